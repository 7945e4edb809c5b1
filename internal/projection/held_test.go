package projection

import (
	"strings"
	"testing"
	"time"

	"github.com/nawhas/nawhas-operator/internal/eventlog"
)

// A follower's role may not see since when a transaction of an application is
// open, so it goes by how long it is held up itself.
func TestAFollowerNamesAWriterWhoseAgeItCannotSee(t *testing.T) {
	f := &follower{log: eventlog.New(eventlog.DefaultTable()).Reader(nil, 5)}
	held := []eventlog.Holder{{PID: 42, Role: "nawhas_v3_1_2_app"}}
	begin := time.Now()
	for after, named := range map[time.Duration]bool{0: false, patience: false, patience + time.Second: true} {
		f.heldSince, f.heldAt = begin, 5
		if who := f.tooLong(held, begin.Add(after)); strings.Contains(who, "session 42") != named {
			t.Errorf("after %s it names %q", after, who)
		}
	}
	f.heldAt = 4 // it has gone on since
	if who := f.tooLong(held, begin.Add(time.Hour)); who != "" {
		t.Errorf("it goes on, and names %q", who)
	}
	if f.tooLong(nil, begin.Add(time.Hour)); !f.heldSince.IsZero() {
		t.Error("nobody holds it up any more, and it goes on counting")
	}
}
