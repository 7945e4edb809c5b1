package server

import (
	"context"
	"sync"
	"time"
)

// tide wakes those who wait for the database to reach a position. However many
// wait, one goroutine reads the checkpoint, and only while somebody does.
type tide struct {
	read  func(context.Context) (int64, error)
	every time.Duration

	mu      sync.Mutex
	seen    int64
	waiting map[*waiter]struct{}
	running bool
}

type waiter struct {
	position int64
	reached  chan struct{}
}

func newTide(read func(context.Context) (int64, error), every time.Duration) *tide {
	return &tide{read: read, every: every, waiting: map[*waiter]struct{}{}}
}

// wait returns when the database has reached the position, or with the
// context's error.
func (t *tide) wait(ctx context.Context, position int64) error {
	w := t.enter(position)
	if w == nil {
		return nil
	}
	select {
	case <-w.reached:
		return nil
	case <-ctx.Done():
		t.mu.Lock()
		delete(t.waiting, w)
		t.mu.Unlock()
		return ctx.Err()
	}
}

func (t *tide) enter(position int64) *waiter {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.seen >= position {
		return nil
	}
	w := &waiter{position: position, reached: make(chan struct{})}
	t.waiting[w] = struct{}{}
	if !t.running {
		t.running = true
		go t.watch()
	}
	return w
}

// fall notes that the database is at a lower position than it was: its server
// lost what was not on the disk yet.
func (t *tide) fall(position int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seen = min(t.seen, position)
}

func (t *tide) watch() {
	for {
		// A read that hangs must not outlive its waiters by much.
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		position, err := t.read(ctx)
		cancel()
		if !t.rise(position, err) {
			return
		}
		time.Sleep(t.every)
	}
}

// rise wakes who has waited long enough and says whether anybody is left. A
// failed read wakes nobody: the waiters have their own time limits.
func (t *tide) rise(position int64, err error) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil {
		t.seen = position
		for w := range t.waiting {
			if w.position <= position {
				close(w.reached)
				delete(t.waiting, w)
			}
		}
	}
	t.running = len(t.waiting) > 0
	return t.running
}

func (t *tide) waiters() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.waiting)
}
