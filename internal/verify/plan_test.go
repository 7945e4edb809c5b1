package verify

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestAPlanIsReadAndWritten(t *testing.T) {
	const text = `{"compare":"Require","expectedDiff":[{"table":"albums","columns":["title"],"kinds":["Changed"]}],` +
		`"queries":[{"name":"no-albums","query":"SELECT 1","expect":"1","timeout":"1m30s"}]}`
	plan, err := ParsePlan([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	want := Plan{Compare: Require, ExpectedDiff: []Expected{{Table: "albums", Columns: []string{"title"}, Kinds: []Kind{Changed}}},
		Queries: []Query{{Name: "no-albums", Query: "SELECT 1", Expect: "1", Timeout: Duration(90 * time.Second)}}}
	if !reflect.DeepEqual(plan, want) {
		t.Errorf("read %+v", plan)
	}
	if written, err := json.Marshal(plan); err != nil || string(written) != text {
		t.Errorf("wrote %s, %v", written, err)
	}
}

func TestAPlanThatCannotBeIsRefused(t *testing.T) {
	for text, want := range map[string]string{
		`{`:                      "read the plan",
		`{"expected": []}`:       "expected",
		`{"compare": "Perhaps"}`: "Perhaps",
		`{"expectedDiff": [{}]}`: "must name a table",
		`{"expectedDiff": [{"table": "a"}, {"table": "a"}]}`:                                                   "named twice",
		`{"expectedDiff": [{"table": "a", "kinds": ["Other"]}]}`:                                               "Other",
		`{"expectedDiff": [{"table": "a", "columns": ["b"], "kinds": ["Extra"]}]}`:                             "only Changed",
		`{"queries": [{"name": "A b", "query": "SELECT 1"}]}`:                                                  "name of its own",
		`{"queries": [{"name": "a", "query": "SELECT 1", "expect": "1"}, {"name": "a", "query": "SELECT 1"}]}`: "name of its own",
		`{"queries": [{"name": "a"}]}`:                                                                         "needs a statement",
		`{"queries": [{"name": "a", "query": "SELECT 1", "timeout": "-1s"}]}`:                                  "below 0",
		`{"queries": [{"name": "a", "query": "SELECT 1", "timeout": "soon"}]}`:                                 "not a duration",
	} {
		if _, err := ParsePlan([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestReportsAreCompared(t *testing.T) {
	before := Evidence{Version: "3.1.2", Database: "a", Position: 10, Events: 10, EventsHash: "x", Seconds: 1, Job: "1",
		Checks: []Check{{Name: "one", Passed: true, Figure: 3, Unit: "rows"}, {Name: "two", Passed: true}}}
	same := before
	same.Seconds, same.Job = 2, "2"
	if found := Differences(before, same); len(found) != 0 {
		t.Errorf("the same reports differ: %+v", found)
	}
	after := Evidence{Version: "3.1.2", Database: "a", Position: 12, Events: 12, EventsHash: "y",
		Checks: []Check{{Name: "one", Figure: 4, Faults: 2, Unit: "rows"}, {Name: "three", Passed: true, Unit: "rows"}}, Comparison: &Comparison{Version: "3.1.1"}}
	want := []Difference{{"position", "10", "12"}, {"events", "10", "12"}, {"events' hash", "x", "y"}, {"compared with", "nothing", "3.1.1"},
		{"one", "passed on 3 rows", "2 faults in 4 rows"}, {"two", "passed on 0 ", "not made"}, {"three", "not made", "passed on 0 rows"}}
	if found := Differences(before, after); !reflect.DeepEqual(found, want) {
		t.Errorf("found %+v", found)
	}
}
