// Package metricquery asks a Prometheus for one number over time. It judges
// nothing.
package metricquery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// largest bounds an answer, in bytes: one series of some points is far smaller.
const largest = 1 << 20

// ManyError says that a query finds more than one series, so that no number is
// the answer.
type ManyError struct {
	// Series is how many it finds.
	Series int
}

func (e *ManyError) Error() string {
	return fmt.Sprintf("the query finds %d series, not one: sum them, or name more labels", e.Series)
}

// RefusedError says that Prometheus does not take a query.
type RefusedError struct {
	// Reason is what Prometheus says.
	Reason string
}

func (e *RefusedError) Error() string { return "Prometheus refuses the query: " + e.Reason }

// Client asks. The zero value is ready, and safe for concurrent use.
type Client struct {
	// HTTP asks; a client that follows no redirects when nil.
	HTTP *http.Client
}

// stay keeps a query from being sent to whom nobody named.
var stay = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

// Range evaluates a query at from, at each step after it, and up to to. The
// values are in order; a moment without one is left out, so that there may be
// none at all.
func (c *Client) Range(ctx context.Context, address, query string, from, to time.Time, step time.Duration) ([]float64, error) {
	asked := strings.TrimSuffix(address, "/") + "/api/v1/query_range?" + url.Values{
		"query": {query}, "start": {seconds(from)}, "end": {seconds(to)}, "step": {strconv.FormatFloat(step.Seconds(), 'f', 3, 64)},
	}.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, asked, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("ask Prometheus at %s: %w", address, err)
	}
	client := c.HTTP
	if client == nil {
		client = stay
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("ask Prometheus at %s: %w", address, withoutQuery(err))
	}
	defer func() { _ = response.Body.Close() }()
	values, err := read(response)
	if err != nil {
		return nil, fmt.Errorf("ask Prometheus at %s: %w", address, err)
	}
	return values, nil
}

// answer is what matters here of Prometheus' answers.
type answer struct {
	Status string `json:"status"`
	Error  string `json:"error"`
	Data   struct {
		Type   string `json:"resultType"`
		Result []struct {
			Values [][2]json.RawMessage `json:"values"`
		} `json:"result"`
	} `json:"data"`
}

func read(response *http.Response) ([]float64, error) {
	content, err := io.ReadAll(io.LimitReader(response.Body, largest))
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	var a answer
	switch err := json.Unmarshal(content, &a); {
	case err != nil:
		return nil, fmt.Errorf("it answers %s, and not as Prometheus does", response.Status)
	case a.Status == "error":
		return nil, &RefusedError{Reason: a.Error}
	case a.Status != "success" || a.Data.Type != "matrix":
		return nil, fmt.Errorf("it answers %s, and not as Prometheus does", response.Status)
	case len(a.Data.Result) > 1:
		return nil, &ManyError{Series: len(a.Data.Result)}
	case len(a.Data.Result) == 0:
		return nil, nil
	}
	var values []float64
	for _, point := range a.Data.Result[0].Values {
		var text string
		if err := json.Unmarshal(point[1], &text); err != nil {
			return nil, fmt.Errorf("understand a value: %w", err)
		}
		value, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, fmt.Errorf("understand a value: %w", err)
		}
		values = append(values, value)
	}
	return values, nil
}

// withoutQuery leaves out the address with the query, which net/http's errors
// repeat.
func withoutQuery(err error) error {
	if failed := (&url.Error{}); errors.As(err, &failed) {
		return failed.Err
	}
	return err
}

func seconds(t time.Time) string { return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64) }
