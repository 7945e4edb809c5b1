package library

import (
	"reflect"
	"testing"

	"github.com/nawhas/nawhas-operator/internal/projection"
)

func TestTheGeneratorRepeatsItself(t *testing.T) {
	one, two, other := newGenerator(7), newGenerator(7), newGenerator(8)
	same := 0
	for i := range 5000 {
		e := one.next()
		if !reflect.DeepEqual(e, two.next()) {
			t.Fatalf("event %d differs", i)
		}
		if e.ID == other.next().ID {
			same++
		}
	}
	if same > 0 {
		t.Errorf("%d ids are the same with another seed", same)
	}
}

func TestTheGeneratorKeepsMakingEntities(t *testing.T) {
	g := newGenerator(1)
	created, names := 0, map[string]int{}
	for n := 1; n <= 20_000; n++ {
		e := g.next()
		names[e.Name]++
		if e.Name == ReciterCreated || e.Name == AlbumCreated {
			created++
		}
		if created*5 < n {
			t.Fatalf("%d new entities in %d events", created, n)
		}
		if _, err := decoders[projection.Kind{Name: e.Name, Version: e.Version}](e.Payload); err != nil {
			t.Fatalf("event %d (%s): %v", n, e.Name, err)
		}
	}
	for kind := range decoders {
		if names[kind.Name] == 0 {
			t.Errorf("no %s in 20,000 events", kind.Name)
		}
	}
}
