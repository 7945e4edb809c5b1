package projection_test

import "testing"

// A bound on the rate decides how long a replay takes, and nothing else.
func TestAThrottledReplayMakesTheSameDatabase(t *testing.T) {
	const events, rate = 300, 250
	from, _ := generated(t, events, 1)
	want := rebuilt(t, from)
	o, conn := migrated(t, from)
	o.MaxEventsPerSecond = rate

	result := replay(t, o)

	if result.Events != events || result.Position != events {
		t.Errorf("%d events up to %d, want %d", result.Events, result.Position, events)
	}
	assertSame(t, contentHash(t, conn), want)
	assertOnce(t, conn)
}
