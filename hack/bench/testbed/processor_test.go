package testbed

import (
	"testing"
	"time"
)

func TestTheTimesOfAProcessAreFoundBehindItsName(t *testing.T) {
	const line = "42 (post) gres: 1 (x)) S 7 42 42 0 -1 4194560 1 2 3 4 150 25 10 20 20 0 1 0 100 1 2"
	want := times{parent: 7, own: 1750 * time.Millisecond, ended: 300 * time.Millisecond}
	if got, err := parseTimes(line); err != nil || got != want {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	for _, bad := range []string{"", "42 (x) S 1", "42 (x) S 1 42 42 0 -1 4194560 1 2 3 4 a b 10 20"} {
		if _, err := parseTimes(bad); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

func TestContentsThatDifferAreNamed(t *testing.T) {
	want := map[string]string{"albums": "2:7", "reciters": "1:5"}
	if err := differences(want, map[string]string{"albums": "2:7", "reciters": "1:5", "more": "0:0"}); err != nil {
		t.Errorf("equal contents: %v", err)
	}
	for name, got := range map[string]map[string]string{
		"another sum": {"albums": "2:8", "reciters": "1:5"},
		"no table":    {"reciters": "1:5"},
	} {
		if err := differences(want, got); err == nil {
			t.Errorf("%s is taken for the same", name)
		}
	}
}
