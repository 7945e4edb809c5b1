package dashboard

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/nawhas/nawhas-operator/internal/screen"
)

func release(lag int64) screen.Summary {
	return screen.Summary{Namespace: "library", Name: "nawhas", Wanted: "3.2.0", Versions: []screen.Version{{Version: "3.2.0", Lag: &lag}}}
}

// clock is one that tests set.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func newClock() *clock { return &clock{time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)} }

func heard(t *testing.T, f *Feed, seen int64) (message, int64) {
	t.Helper()
	encoded, next, err := f.since(seen)
	if err != nil {
		t.Fatal(err)
	}
	var got message
	if err := json.Unmarshal(encoded, &got); err != nil {
		t.Fatal(err)
	}
	return got, next
}

func TestAPageGetsAllSamplesFirstAndOnlyNewOnesLater(t *testing.T) {
	c := newClock()
	f := NewFeed("", "library", c.now)
	for _, lag := range []int64{500, 500, 30, 0} {
		c.at = c.at.Add(time.Second)
		f.Show([]screen.Summary{release(lag)}, false)
	}

	first, seen := heard(t, f, nothing)
	again, _ := heard(t, f, seen)
	f.Show([]screen.Summary{release(7)}, false)
	later, _ := heard(t, f, seen)

	if !first.All || len(first.Lags) != 3 || first.Lags[0].Lag != 500 || first.Lags[2].Lag != 0 {
		t.Errorf("at first %+v", first)
	}
	if again.All || len(again.Lags) != 0 {
		t.Errorf("nothing was new, but it sent %+v", again)
	}
	if later.All || len(later.Lags) != 1 || later.Lags[0].Lag != 7 || later.Lags[0].Release != "library/nawhas" {
		t.Errorf("later %+v", later.Lags)
	}
}

func TestTheFirstSampleReachesAPageThatWasOpenBeforeIt(t *testing.T) {
	f := NewFeed("", "library", newClock().now)
	_, seen := heard(t, f, nothing)
	f.Show([]screen.Summary{release(3)}, false)
	if got, _ := heard(t, f, seen); len(got.Lags) != 1 {
		t.Errorf("%+v", got.Lags)
	}
}

func TestALagIsKeptForAnHourAndItsLastValueForEver(t *testing.T) {
	c := newClock()
	f := NewFeed("", "library", c.now)
	for minute := range 200 {
		f.Show([]screen.Summary{release(int64(minute))}, false)
		c.at = c.at.Add(time.Minute)
	}
	_, before := heard(t, f, nothing)
	got, _ := heard(t, f, nothing)
	if n := len(got.Lags); n < 60 || n > 62 {
		t.Errorf("%d samples of an hour", n)
	}
	c.at = c.at.Add(10 * time.Hour)
	f.Show([]screen.Summary{release(199)}, false)
	got, after := heard(t, f, nothing)
	if len(got.Lags) != 1 || got.Lags[0].Lag != 199 {
		t.Errorf("of an old value is left %+v", got.Lags)
	}
	if after != before {
		t.Errorf("nothing was added, but the count went from %d to %d", before, after)
	}
}

func TestALagThatNeverRestsIsBounded(t *testing.T) {
	f := NewFeed("", "library", newClock().now)
	for i := range int64(keptSamples + 100) {
		f.Show([]screen.Summary{release(i)}, false)
	}
	got, _ := heard(t, f, nothing)
	if len(got.Lags) > keptSamples+1 || got.Lags[len(got.Lags)-1].Lag != keptSamples+99 {
		t.Errorf("%d samples, the last is %+v", len(got.Lags), got.Lags[len(got.Lags)-1])
	}
}

func TestAReplayLagsBehindItsTarget(t *testing.T) {
	lag, known := lagOf(screen.Version{Progress: &screen.Progress{Position: 61, Target: 100}})
	if lag != 39 || !known {
		t.Errorf("%d, %v", lag, known)
	}
	if _, known := lagOf(screen.Version{}); known {
		t.Error("a version of which nothing is known has a lag")
	}
}

func TestAnInterruptionKeepsWhatWasKnown(t *testing.T) {
	f := NewFeed("", "library", newClock().now)
	f.Show([]screen.Summary{release(1)}, false)
	f.Interrupt(Problem{What: "the API server does not answer"})
	got, _ := heard(t, f, nothing)
	if got.Problem == nil || len(got.Releases) != 1 {
		t.Errorf("%+v", got)
	}
	f.Show([]screen.Summary{release(1)}, false)
	if got, _ = heard(t, f, nothing); got.Problem != nil {
		t.Errorf("the problem stays: %+v", got.Problem)
	}
}

func TestAListenerIsToldOnceForManyChangesAndNeverForNone(t *testing.T) {
	f := NewFeed("", "library", newClock().now)
	changed, stop := f.listen()
	for lag := range int64(5) {
		f.Show([]screen.Summary{release(lag)}, false)
	}
	<-changed
	f.Show([]screen.Summary{release(4)}, false)
	select {
	case <-changed:
		t.Error("it was told of a change that was none")
	default:
	}
	stop()
	f.Show([]screen.Summary{release(9)}, false)
	select {
	case <-changed:
		t.Error("it was told after it had stopped")
	default:
	}
}
