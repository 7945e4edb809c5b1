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
	spec := func(version string, drained ...string) *v1alpha1.NawhasReleaseSpec {
		s := &v1alpha1.NawhasReleaseSpec{Version: version, Image: v1alpha1.ImageSpec{Repository: "r/api"}}
		if len(drained) > 0 {
			s.Replay.Drained = &v1alpha1.DrainedSpec{Command: drained}
		}
		return s
	}
	for name, c := range map[string]struct {
		had, has []string
	}{
		"another one":   {[]string{"queue:clear"}, []string{"wait"}},
		"the first one": {nil, []string{"wait"}},
		"none any more": {[]string{"queue:clear"}, nil},
	} {
		live, present := planOf(spec("1.0.0", c.had...)), spec("2.0.0", c.has...)
		current := live.current(present)
		var got []string
		if current.Replay.Drained != nil {
			got = current.Replay.Drained.Command
		}
		if !slices.Equal(got, c.has) || current.image() != "r/api:1.0.0" {
			t.Errorf("%s: %s runs %q", name, current.image(), got)
		}
		// It is nobody's own, so that a version that comes back is the one that it was.
		carried, err := planOf(spec("1.0.0", c.has...)).carriedOver(planOf(spec("2.0.0", c.had...)), spec("1.0.0", c.has...))
		if err != nil || !carried {
			t.Errorf("%s: carried over is %t, %v", name, carried, err)
		}
	}
}
