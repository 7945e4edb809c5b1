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

func TestATargetWhoseEffectWasRefusedIsHitAgain(t *testing.T) {
	const point = "operator: patch services"
	b := NewBook()
	b.Arm(Target{Point: point, Moment: After})
	if b.Meet(point) != After {
		t.Fatal("it was not hit")
	}
	b.Refused(point)
	if hit := b.Hit(); len(hit) != 0 {
		t.Errorf("nothing happened, and it counts: %+v", hit)
	}
	if b.Meet(point) != After || len(b.Hit()) != 1 {
		t.Error("it was not hit again")
	}
}

// A program whose every attempt is refused must come to an end.
func TestATargetIsNotHitInVainForEver(t *testing.T) {
	const point = "operator: patch services"
	b := NewBook()
	b.Arm(Target{Point: point, Moment: After, Pass: 1})
	hits := 0
	for range 10 {
		if b.Meet(point) == After {
			hits++
			b.Refused(point)
		}
	}
	if hits != mostRefused || len(b.Hit()) != 0 {
		t.Errorf("hit %d times in vain, and it counts: %+v", hits, b.Hit())
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
