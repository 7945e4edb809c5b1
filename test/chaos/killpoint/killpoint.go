// Package killpoint names the side effects of programs and decides at which of
// them a program ends.
//
// A point is a program and what it is about to do, such as "operator: apply
// services nawhas-api". Proxies in front of the servers tell a [Book] of every
// point they see; it knows nothing of SQL or Kubernetes, and ends no process
// itself.
package killpoint

import (
	"maps"
	"slices"
	"sync"
)

// Moment is when, relative to a side effect, something happens to its program.
type Moment string

// The moments. Before means that the effect never happens; After that it does
// and the program never learns of it; Late that the program is stopped before
// it and goes on, with the effect, when somebody else has taken its place.
const (
	Before Moment = "before"
	After  Moment = "after"
	Late   Moment = "late"
)

// Target is a point at which a program shall end once.
type Target struct {
	Point  string
	Moment Moment
	// Pass is how many times the point is let pass before.
	Pass int
}

// String names the target, whichever pass it is.
func (t Target) String() string { return string(t.Moment) + " " + t.Point }

// Book keeps which points were met and which targets are still to come. It is
// safe for concurrent use.
type Book struct {
	mu    sync.Mutex
	armed []Target
	met   map[string]int
	hit   []Target
	// refused is how often a target was hit in vain.
	refused map[Target]int
}

// NewBook makes a book with nothing armed.
func NewBook() *Book { return &Book{met: map[string]int{}, refused: map[Target]int{}} }

// Arm adds targets. Each is hit at most once.
func (b *Book) Arm(targets ...Target) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.armed = append(b.armed, targets...)
}

// Disarm lets all points pass from now on.
func (b *Book) Disarm() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.armed = nil
}

// Meet notes that a program is at a point, and returns the moment at which it
// shall end there, empty if it may go on.
func (b *Book) Meet(point string) Moment {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.met[point]++
	for i := range b.armed {
		target := &b.armed[i]
		if target.Point != point {
			continue
		}
		if target.Pass > 0 {
			target.Pass--
			return ""
		}
		moment := target.Moment
		b.hit = append(b.hit, *target)
		b.armed = slices.Delete(b.armed, i, i+1)
		return moment
	}
	return ""
}

// mostRefused is how often a target is tried in vain: a program that ends at it
// each time would come to no end.
const mostRefused = 3

// Refused takes a hit of the moment After back, because the server did not do
// what it was asked for, and has the program end there another time.
func (b *Book) Refused(point string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, target := range b.hit {
		if target.Point != point || target.Moment != After {
			continue
		}
		b.hit = slices.Delete(b.hit, i, i+1)
		target.Pass = 0
		if b.refused[target]++; b.refused[target] < mostRefused {
			b.armed = append(b.armed, target)
		}
		return
	}
}

// Met are the points that were met, sorted.
func (b *Book) Met() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Sorted(maps.Keys(b.met))
}

// Hit are the targets that were hit, in that order.
func (b *Book) Hit() []Target {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.hit)
}
