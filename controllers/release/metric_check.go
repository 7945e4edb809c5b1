package release

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/ledger"
	"github.com/nawhas/nawhas-operator/internal/metricquery"
)

// metricsTimeout bounds how long a pass asks Prometheus, for all checks.
const metricsTimeout = 3 * time.Second

// metricPoints is at how many moments of failAfter a value is looked at.
const metricPoints = 5

// checkMetrics asks for the release's checks. A value that was wrong for long
// enough is a reason to go back; a Prometheus that does not answer, or knows
// nothing, is none. Nothing is remembered between passes: Prometheus remembers.
func (r *Reconciler) checkMetrics(ctx context.Context, s *scope, live *ledger.Version, seen observation, until time.Time) observation {
	ctx, cancel := context.WithTimeout(ctx, metricsTimeout)
	defer cancel()
	if len(s.release.Spec.Cutover.Checks) > 0 {
		seen.again = soonest(pollProgress, seen.again)
	}
	var silent []string
	for i := range s.release.Spec.Cutover.Checks {
		check := &s.release.Spec.Cutover.Checks[i]
		failed, err := s.askMetric(ctx, live, check, until)
		switch {
		case failed != "":
			return observation{reason: v1alpha1.ReasonMetricFailed, message: failed}
		case err != nil:
			silent = append(silent, fmt.Sprintf("check %s: %v", check.Name, err))
		}
	}
	if seen.over && len(silent) > 0 {
		r.event(s, eventWarning, "MetricUnknown", fmt.Sprintf("version %s was watched without these: %s", live.Version, strings.Join(silent, "; ")))
	}
	return seen
}

// askMetric says how a check fails, nothing when it does not, and an error when
// that is not known.
func (s *scope) askMetric(ctx context.Context, live *ledger.Version, check *v1alpha1.MetricCheck, until time.Time) (failed string, err error) {
	lasting := max(durationOf(check.FailAfter).Truncate(time.Second), time.Second)
	to := s.now
	if to.After(until) {
		to = until
	}
	from := to.Add(-lasting)
	if from.Before(*live.LiveSince) {
		return "", nil // it was not live for long enough to fail
	}
	query := strings.NewReplacer("$version", live.Version, "$namespace", s.release.Namespace, "$release", s.release.Name).Replace(check.Prometheus.Query)
	values, err := (&metricquery.Client{}).Range(ctx, check.Prometheus.Address, query, from, to, lasting/metricPoints)
	if err != nil {
		return "", err
	}
	return judgeMetric(check, values, lasting)
}

// judgeMetric decides on the values of a check over the time that it has to be
// wrong for: all of them must be there, and wrong.
func judgeMetric(check *v1alpha1.MetricCheck, values []float64, lasting time.Duration) (failed string, err error) {
	if len(values) == 0 {
		return "", errors.New("the query finds no value")
	}
	highest, isMax := bound(check.Max)
	lowest, isMin := bound(check.Min)
	above, below := isMax, isMin
	for _, value := range values {
		above = above && value > highest
		below = below && value < lowest
	}
	last := strconv.FormatFloat(values[len(values)-1], 'g', 6, 64)
	switch {
	case len(values) <= metricPoints:
		return "", nil
	case above:
		return fmt.Sprintf("check %s: the value is %s and was above %s for %s", check.Name, last, check.Max, lasting), nil
	case below:
		return fmt.Sprintf("check %s: the value is %s and was below %s for %s", check.Name, last, check.Min, lasting), nil
	}
	return "", nil
}

// bound reads a limit, which the API server has found to be a number.
func bound(text string) (float64, bool) {
	value, err := strconv.ParseFloat(text, 64)
	return value, err == nil
}
