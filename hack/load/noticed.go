package load

import "time"

// Span is a part of a load's time, its beginning included.
type Span struct{ From, To time.Time }

// Has tells whether a time is in the span. Its end is not.
func (s Span) Has(at time.Time) bool { return !at.Before(s.From) && at.Before(s.To) }

// Whole is the time of the load.
func (r *Result) Whole() Span { return Span{r.Began, r.Ended} }

// Overlap is how long two versions answered side by side within a span: from
// the first answer of the new version to the last one of the old, and how long
// it took from the span's beginning to that last one.
func (r *Result) Overlap(within Span, from, to string) (overlap, total time.Duration) {
	var first, last time.Time
	for _, at := range r.Answers[to] {
		if within.Has(at) && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	for _, at := range r.Answers[from] {
		if within.Has(at) && at.After(last) {
			last = at
		}
	}
	if first.IsZero() || last.IsZero() {
		return 0, 0
	}
	return max(0, last.Sub(first)), last.Sub(within.From)
}

// Rate is the number of answers per second within a span.
func (r *Result) Rate(within Span) float64 {
	answers := 0
	for _, times := range r.Answers {
		for _, at := range times {
			if within.Has(at) {
				answers++
			}
		}
	}
	return float64(answers) / within.To.Sub(within.From).Seconds()
}

// FailedWithin are the attempts that failed within a span.
func (r *Result) FailedWithin(within Span) []Failure {
	var failed []Failure
	for _, f := range r.Failures {
		if within.Has(f.At) {
			failed = append(failed, f)
		}
	}
	return failed
}

// WritePause is the longest time within a span in which no write was
// acknowledged to anybody, and the longest that one write took with all its
// attempts.
func (r *Result) WritePause(within Span) (silence, slowest time.Duration) {
	last := within.From
	for _, write := range r.Writes {
		if !within.Has(write.Ended) {
			continue
		}
		silence = max(silence, write.Ended.Sub(last))
		slowest = max(slowest, write.Ended.Sub(write.Began))
		last = write.Ended
	}
	return max(silence, within.To.Sub(last)), slowest
}

// Settled is how long after the span's beginning a version still answered those
// who came over a new connection, 0 when it did not.
func (r *Result) Settled(within Span, version string) time.Duration {
	var settled time.Duration
	for _, newcomer := range r.Newcomers {
		if newcomer.Version == version && within.Has(newcomer.Began) {
			settled = max(settled, newcomer.Began.Sub(within.From))
		}
	}
	return settled
}
