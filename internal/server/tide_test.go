package server

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestWaitersShareOneReaderAndWakeAtTheirPositions(t *testing.T) {
	var position, inside, most atomic.Int64
	tide := newTide(func(context.Context) (int64, error) {
		if now := inside.Add(1); now > most.Load() {
			most.Store(now)
		}
		defer inside.Add(-1)
		return position.Load(), nil
	}, time.Millisecond)

	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			wanted := int64(i%10 + 1)
			if err := tide.wait(t.Context(), wanted); err != nil {
				t.Errorf("wait for %d: %v", wanted, err)
			}
			if position.Load() < wanted {
				t.Errorf("woke at %d before %d", position.Load(), wanted)
			}
		})
	}
	for range 10 {
		position.Add(1)
		time.Sleep(time.Millisecond)
	}
	wg.Wait()

	if most.Load() != 1 {
		t.Errorf("%d goroutines read the checkpoint at the same time", most.Load())
	}
}

func TestNobodyReadsTheCheckpointWhenNobodyWaits(t *testing.T) {
	var reads atomic.Int64
	tide := newTide(func(context.Context) (int64, error) { reads.Add(1); return 5, nil }, time.Millisecond)
	if err := tide.wait(t.Context(), 5); err != nil {
		t.Fatal(err)
	}
	for tide.isRunning() {
		time.Sleep(time.Millisecond)
	}
	before := reads.Load()
	time.Sleep(20 * time.Millisecond)
	if after := reads.Load(); after != before {
		t.Errorf("the checkpoint was read %d times with nobody waiting", after-before)
	}
	if err := tide.wait(t.Context(), 4); err != nil || reads.Load() != before {
		t.Errorf("waiting for a position already seen read the checkpoint (%v)", err)
	}
}

func TestAWaiterLeavesWhenItsTimeIsUpAndFailedReadsWakeNobody(t *testing.T) {
	tide := newTide(func(context.Context) (int64, error) { return 0, errors.New("away") }, time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := tide.wait(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v", err)
	}
	if left := tide.waiters(); left != 0 {
		t.Errorf("%d waiters are left behind", left)
	}
}

func (t *tide) isRunning() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.running
}
