package load

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"
)

const requestTimeout = 10 * time.Second

// client is one keep-alive connection, as one user's.
type client struct {
	url  string
	http http.Client
	load *Load
}

func newClient(url string, l *Load) *client {
	return &client{url: url, load: l, http: http.Client{Timeout: requestTimeout, Transport: &http.Transport{MaxIdleConnsPerHost: 1}}}
}

// newNewcomer is a client that opens a connection for each request.
func newNewcomer(url string, l *Load) *client {
	return &client{url: url, load: l, http: http.Client{Timeout: requestTimeout, Transport: &http.Transport{DisableKeepAlives: true}}}
}

// receipt is the answer to a write.
type receipt struct {
	ID       uuid.UUID `json:"id"`
	Changed  bool      `json:"changed"`
	Position int64     `json:"position"`
}

// write sends a command under a key of its own, and notes it when it is
// acknowledged.
func (c *client) write(ctx context.Context, method, path string, after int64, body any) (receipt, bool) {
	event := uuid.Must(uuid.NewV7())
	began := time.Now()
	var r receipt
	version, ok := c.do(ctx, method, path, after, event.String(), body, &r)
	if ok && r.Changed {
		c.load.acknowledged(Write{At: time.Now(), Event: event, Entity: r.ID, Position: r.Position, Version: version}, began)
	}
	return r, ok
}

// read asks for something from a database that has reached a position.
func (c *client) read(ctx context.Context, path string, after int64, into any) bool {
	_, ok := c.do(ctx, http.MethodGet, path, after, "", nil, into)
	return ok
}

// do sends a request until it succeeds or the patience is over, under one key:
// whether an attempt was recorded before it failed makes no difference.
func (c *client) do(ctx context.Context, method, path string, after int64, key string, body, into any) (version string, ok bool) {
	began := time.Now()
	for {
		version, err := c.exchange(ctx, method, path, after, key, body, into)
		if err == nil {
			return version, true
		}
		failure := Failure{At: time.Now(), What: method + " " + path, Err: err}
		again := eagerness
		if refused, isRefused := errors.AsType[*refusal](err); isRefused && refused.again >= 0 {
			failure.Refused, again = true, max(again, refused.again)
		}
		failure.GivenUp = time.Since(began) >= c.load.options.Patience
		c.load.failed(failure)
		if failure.GivenUp {
			return "", false
		}
		time.Sleep(again)
	}
}

// eagerness is the shortest time after which a client comes again.
const eagerness = 50 * time.Millisecond

// refusal is an answer that is not what was asked for.
type refusal struct {
	status, version string
	content         []byte
	// again is after which time to come again, negative when the answer does not say.
	again time.Duration
}

func (e *refusal) Error() string {
	return fmt.Sprintf("%s from version %s: %s", e.status, e.version, e.content)
}

func refusalOf(response *http.Response, version string, content []byte) *refusal {
	e := &refusal{status: response.Status, version: version, content: content, again: -1}
	if seconds, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil && response.StatusCode == http.StatusServiceUnavailable {
		e.again = time.Duration(seconds) * time.Second
	}
	return e
}

func (c *client) exchange(ctx context.Context, method, path string, after int64, key string, body, into any) (version string, err error) {
	request, err := c.request(ctx, method, path, after, key, body)
	if err != nil {
		return "", err
	}
	c.load.sent()
	response, err := c.http.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return "", err
	}
	version = response.Header.Get("Nawhas-Version")
	c.load.answered(time.Now(), version)
	if response.StatusCode >= http.StatusMultipleChoices {
		return version, refusalOf(response, version, content)
	}
	return version, json.Unmarshal(content, into)
}

func (c *client) request(ctx context.Context, method, path string, after int64, key string, body any) (*http.Request, error) {
	var content io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(encoded)
	}
	request, err := http.NewRequestWithContext(ctx, method, c.url+path, content)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Nawhas-Position", strconv.FormatInt(after, 10))
	if key != "" {
		request.Header.Set("Idempotency-Key", key)
	}
	return request, nil
}
