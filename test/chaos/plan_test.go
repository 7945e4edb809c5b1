package main

import (
	"maps"
	"reflect"
	"slices"
	"testing"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/test/chaos/killpoint"
)

var someCatalogue = []string{
	"operator: apply services nawhas-api", "operator: create events", "replay: commit of UPDATE checkpoint", "replay: UPDATE checkpoint (in a transaction)",
	"Strict operator: commit of LOCK", "FlipThenFence operator: GRANT INSERT",
}

func TestASeedHasOnePlan(t *testing.T) {
	for seed := range uint64(50) {
		if a, b := planOf(seed+1, 50, someCatalogue), planOf(seed+1, 50, someCatalogue); !reflect.DeepEqual(a, b) {
			t.Fatalf("seed %d: %v and %v", seed+1, a, b)
		}
	}
}

func TestTheSeedsShareAllPoints(t *testing.T) {
	for _, seeds := range []uint64{7, 20, 100} {
		got := map[v1alpha1.CutoverMode]map[killpoint.Target]bool{}
		for seed := uint64(1); seed <= seeds; seed++ {
			p := planOf(seed, seeds, someCatalogue)
			if got[p.mode] == nil {
				got[p.mode] = map[killpoint.Target]bool{}
			}
			for _, target := range p.targets {
				target.Pass = 0
				if target.Moment != killpoint.Late {
					got[p.mode][target] = true
				}
			}
		}
		for mode, targets := range got {
			for _, target := range targetsOf(someCatalogue, mode) {
				if !targets[target] {
					t.Errorf("%d seeds, %s: nobody ends %s %s", seeds, mode, target.Moment, target.Point)
				}
			}
		}
	}
}

func TestAStatementThatIsRolledBackAnywayIsNoTargetAfterwards(t *testing.T) {
	for _, target := range targetsOf(someCatalogue, v1alpha1.CutoverStrict) {
		if target.Moment == killpoint.After && target.Point == "replay: UPDATE checkpoint (in a transaction)" {
			t.Error("it is")
		}
	}
}

func TestPointsBelongToTheirMode(t *testing.T) {
	points := map[string]bool{}
	for _, target := range targetsOf(someCatalogue, v1alpha1.CutoverFlipThenFence) {
		points[target.Point] = true
	}
	if want := []string{"operator: GRANT INSERT", "operator: apply services nawhas-api", "operator: create events", "replay: UPDATE checkpoint (in a transaction)",
		"replay: commit of UPDATE checkpoint"}; !slices.Equal(slices.Sorted(maps.Keys(points)), want) {
		t.Errorf("got %q", slices.Sorted(maps.Keys(points)))
	}
}

func TestARunBearsSoManyKills(t *testing.T) {
	var many []killpoint.Target
	for range 20 {
		many = append(many, killpoint.Target{Point: "replay: commit"}, killpoint.Target{Point: "operator: create events"})
	}
	bearable, rest := bear(many)
	if len(bearable) != mostKills || len(bearable)+len(rest) != len(many) {
		t.Errorf("%d are borne and %d are left of %d", len(bearable), len(rest), len(many))
	}
	jobs := 0
	for _, target := range bearable {
		if target.Point == "replay: commit" {
			jobs++
		}
	}
	if jobs != mostJobKills {
		t.Errorf("%d of them are of Jobs", jobs)
	}
}
