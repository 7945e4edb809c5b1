package main

import "testing"

func TestTwoLiveVersionsAreSeen(t *testing.T) {
	for name, test := range map[string]struct {
		versions map[string]position
		able     map[string]bool
		wrong    bool
	}{
		"nothing live":         {versions: map[string]position{"3.1.2": {role: "Candidate", app: "a"}}},
		"one live, fenced":     {versions: map[string]position{"3.1.2": {role: "Warm", app: "a"}, "3.2.0": {role: "Live", app: "b", fenced: true}}, able: map[string]bool{"b": true}},
		"both write, unfenced": {versions: map[string]position{"3.1.2": {role: "Warm", app: "a"}, "3.2.0": {role: "Live", app: "b"}}, able: map[string]bool{"a": true, "b": true}},
		"both write, fenced": {versions: map[string]position{"3.1.2": {role: "Warm", app: "a"}, "3.2.0": {role: "Live", app: "b", fenced: true}},
			able: map[string]bool{"a": true, "b": true}, wrong: true},
		"two in the ledger": {versions: map[string]position{"3.1.2": {role: "Live", app: "a"}, "3.2.0": {role: "Live", app: "b"}}, wrong: true},
	} {
		if got := judge(test.versions, test.able); (got != "") != test.wrong {
			t.Errorf("%s: judged %q", name, got)
		}
	}
}
