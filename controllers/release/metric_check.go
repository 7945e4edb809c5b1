package release

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/ledger"
)

// metricPoints is at how many moments of failAfter a value is looked at.
const metricPoints = 5

// checkMetrics goes by what Prometheus says of the release's checks. A value that
// was wrong for long enough is a reason to go back; a Prometheus that does not
// answer, or knows nothing, is none. A pass does not wait for an answer, but the
// watch is not over before there is one about its end.
func (r *Reconciler) checkMetrics(s *scope, live *ledger.Version, seen observation, until time.Time) observation {
	to := s.now
	if to.After(until) {
		to = until
	}
	questions := s.metricQuestions(live, to)
	answers := r.asker.ask(client.ObjectKeyFromObject(s.release), questions, to, to.Equal(until))
	judged, silent := judgeMetrics(questions, answers, seen, until)
	if judged.over && len(silent) > 0 {
		r.event(s, eventWarning, "MetricUnknown", fmt.Sprintf("version %s was watched without these: %s", live.Version, strings.Join(silent, "; ")))
	}
	return judged
}

// metricQuestions are those of the release's checks that the version has been live
// for long enough to fail.
func (s *scope) metricQuestions(live *ledger.Version, to time.Time) []metricQuestion {
	var questions []metricQuestion
	for i := range s.release.Spec.Cutover.Checks {
		check := &s.release.Spec.Cutover.Checks[i]
		lasting := max(durationOf(check.FailAfter).Truncate(time.Second), time.Second)
		if to.Add(-lasting).Before(*live.LiveSince) {
			continue
		}
		query := strings.NewReplacer("$version", live.Version, "$namespace", s.release.Namespace, "$release", s.release.Name).Replace(check.Prometheus.Query)
		questions = append(questions, metricQuestion{name: check.Name, address: check.Prometheus.Address, query: query, max: check.Max, min: check.Min,
			lasting: lasting, liveSince: live.LiveSince.UnixMicro()})
	}
	return questions
}

// judgeMetrics decides on what is known of the checks by now, and says which of
// them Prometheus does not know.
func judgeMetrics(questions []metricQuestion, answers []*metricAnswer, seen observation, until time.Time) (judged observation, silent []string) {
	for i, answer := range answers {
		switch {
		case answer != nil && answer.failed != "":
			return observation{reason: v1alpha1.ReasonMetricFailed, message: answer.failed}, nil
		case answer == nil || answer.to.Before(until):
			seen.over = false
		case answer.err != nil:
			silent = append(silent, fmt.Sprintf("check %s: %v", questions[i].name, answer.err))
		}
	}
	if len(questions) > 0 {
		seen.again = soonest(pollProgress, seen.again)
	}
	return seen, silent
}

// judgeMetric decides on the values of a check over the time that it has to be
// wrong for: all of them must be there, and wrong.
func judgeMetric(check metricQuestion, values []float64) (failed string, err error) {
	if len(values) == 0 {
		return "", errors.New("the query finds no value")
	}
	highest, isMax := bound(check.max)
	lowest, isMin := bound(check.min)
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
		return fmt.Sprintf("check %s: the value is %s and was above %s for %s", check.name, last, check.max, check.lasting), nil
	case below:
		return fmt.Sprintf("check %s: the value is %s and was below %s for %s", check.name, last, check.min, check.lasting), nil
	}
	return "", nil
}

// bound reads a limit, which the API server has found to be a number.
func bound(text string) (float64, bool) {
	value, err := strconv.ParseFloat(text, 64)
	return value, err == nil
}
