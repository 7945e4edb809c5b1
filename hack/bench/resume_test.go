package main

import "testing"

func TestTheEventsAppliedAreReadFromTheProgramsLastWords(t *testing.T) {
	got, err := eventsApplied("replay: at position 1000000 after 490,000 events in 7.1s (69,014 events/s)\n  albums: 12 unknown-album")
	if err != nil || got != 490_000 {
		t.Errorf("%d, %v", got, err)
	}
	if _, err := eventsApplied("replay: nothing to do"); err == nil {
		t.Error("a number was found where there is none")
	}
}

func TestEventsAppliedTwice(t *testing.T) {
	if got := (resumption{kept: 510_000, applied: 490_000}).twice(1_000_000); got != 0 {
		t.Errorf("%d, want 0", got)
	}
	if got := (resumption{kept: 510_000, applied: 500_000}).twice(1_000_000); got != 10_000 {
		t.Errorf("%d, want 10000", got)
	}
}

func TestGroupsAreChosenByName(t *testing.T) {
	for only, want := range map[string]int{"": len(groups), "replay": 1, "replay, append": 2} {
		if got, err := choose(only); err != nil || len(got) != want {
			t.Errorf("%q: %d groups, %v; want %d", only, len(got), err, want)
		}
	}
	if _, err := choose("replay,everything"); err == nil {
		t.Error("a group that does not exist was chosen")
	}
}

func TestWrongFlagsAreRefused(t *testing.T) {
	for _, args := range [][]string{{"now"}, {"--rounds", "0"}, {"--events", "10"}, {"--big-events", "5000"}, {"--seconds", "0"}} {
		if _, _, err := parse(args); err == nil {
			t.Errorf("%v was accepted", args)
		}
	}
	if b, _, err := parse([]string{"--quick"}); err != nil || !b.Unjudged {
		t.Errorf("--quick: %+v, %v", b, err)
	}
}
