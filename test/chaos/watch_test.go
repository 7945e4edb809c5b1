package main

import "testing"

func TestTwoLiveVersionsAreSeen(t *testing.T) {
	for name, test := range map[string]struct {
		versions map[string]position
		now      seen
		wrong    bool
	}{
		"nothing live":         {versions: map[string]position{"3.1.2": {role: "Candidate", app: "a"}}},
		"one live, fenced":     {versions: afterwards(true), now: seen{able: map[string]bool{"b": true}, served: "3.2.0"}},
		"both write, unfenced": {versions: afterwards(false), now: seen{able: map[string]bool{"a": true, "b": true}, appending: map[string]bool{"a": true}}},
		"both write, fenced":   {versions: afterwards(true), now: seen{able: map[string]bool{"a": true, "b": true}}, wrong: true},
		"appends, fenced":      {versions: afterwards(true), now: seen{able: map[string]bool{"b": true}, appending: map[string]bool{"a": true}}, wrong: true},
		"excused":              {versions: afterwards(true), now: seen{able: map[string]bool{"a": true, "b": true}, excused: map[string]bool{"a": true}}},
		"may not write":        {versions: afterwards(true), now: seen{}, wrong: true},
		"clients led away":     {versions: afterwards(false), now: seen{served: "3.1.2"}, wrong: true},
		"not yet led":          {versions: map[string]position{"3.1.2": {role: "Warm"}, "3.2.0": {role: "Live"}}, now: seen{served: "3.1.2"}},
		"two in the ledger":    {versions: map[string]position{"3.1.2": {role: "Live", app: "a"}, "3.2.0": {role: "Live", app: "b"}}, wrong: true},
	} {
		if got := judge(test.versions, test.now); (got != "") != test.wrong {
			t.Errorf("%s: judged %q", name, got)
		}
	}
}

// afterwards is after a switch.
func afterwards(fenced bool) map[string]position {
	return map[string]position{"3.1.2": {role: "Warm", app: "a"}, "3.2.0": {role: "Live", app: "b", switched: true, fenced: fenced}}
}
