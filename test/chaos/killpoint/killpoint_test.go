package killpoint

import (
	"slices"
	"testing"
)

func TestATargetIsHitOnceAfterItWasLetPass(t *testing.T) {
	b := NewBook()
	b.Arm(Target{Point: "operator: apply services", Moment: After, Pass: 1})
	var got []Moment
	for range 4 {
		got = append(got, b.Meet("operator: apply services"))
	}
	if want := []Moment{"", After, "", ""}; !slices.Equal(got, want) {
		t.Errorf("the moments are %q, want %q", got, want)
	}
	if hit := b.Hit(); len(hit) != 1 || hit[0].Moment != After {
		t.Errorf("hit: %+v", hit)
	}
}

func TestOtherPointsPass(t *testing.T) {
	b := NewBook()
	b.Arm(Target{Point: "replay: commit", Moment: Before})
	if got := b.Meet("follow: commit"); got != "" {
		t.Errorf("another program's point was hit %s it", got)
	}
	b.Disarm()
	if got := b.Meet("replay: commit"); got != "" {
		t.Errorf("a disarmed point was hit %s it", got)
	}
	if want := []string{"follow: commit", "replay: commit"}; !slices.Equal(b.Met(), want) {
		t.Errorf("met %q, want %q", b.Met(), want)
	}
}
