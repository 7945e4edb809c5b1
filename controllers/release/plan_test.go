package release

import (
	"slices"
	"testing"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

// Whoever releases a version with another command to drain the queue means the
// version that makes way: the first release empties the queue, which must not be
// done to it again.
func TestAVersionMakesWayWithThePresentCommand(t *testing.T) {
	spec := func(version string, strategy v1alpha1.ReplayStrategy, drained ...string) *v1alpha1.NawhasReleaseSpec {
		s := &v1alpha1.NawhasReleaseSpec{Version: version, Image: v1alpha1.ImageSpec{Repository: "r/api"}, Replay: v1alpha1.ReplaySpec{Strategy: strategy}}
		if len(drained) > 0 {
			s.Replay.Drained = &v1alpha1.DrainedSpec{Command: drained}
		}
		return s
	}
	empties, waits := []string{"queue:clear"}, []string{"wait"}
	for name, c := range map[string]struct {
		strategy       v1alpha1.ReplayStrategy
		had, has, runs []string
	}{
		"another one":                   {v1alpha1.ReplayRounds, empties, waits, waits},
		"the first one":                 {v1alpha1.ReplayRounds, nil, waits, waits},
		"none any more":                 {v1alpha1.ReplayRounds, empties, nil, nil},
		"another one, for a follower":   {v1alpha1.ReplayFollow, empties, waits, waits},
		"the first one, for a follower": {v1alpha1.ReplayFollow, nil, waits, waits},
		"its own, for a follower":       {v1alpha1.ReplayFollow, empties, nil, empties},
	} {
		live, present := planOf(spec("1.0.0", v1alpha1.ReplayRounds, c.had...)), spec("2.0.0", c.strategy, c.has...)
		current := live.current(present)
		var got []string
		if current.Replay.Drained != nil {
			got = current.Replay.Drained.Command
		}
		if !slices.Equal(got, c.runs) || current.image() != "r/api:1.0.0" {
			t.Errorf("%s: %s runs %q", name, current.image(), got)
		}
		// It is nobody's own, so that a version that comes back is the one that it was.
		back := spec("1.0.0", c.strategy, c.has...)
		carried, err := planOf(back).carriedOver(planOf(spec("2.0.0", c.strategy, c.had...)), back)
		if err != nil || !carried {
			t.Errorf("%s: carried over is %t, %v", name, carried, err)
		}
	}
}
