package main

import (
	"context"
	"fmt"
	"os"
	"syscall"

	"github.com/nawhas/nawhas-operator/hack/bench/figures"
	"github.com/nawhas/nawhas-operator/hack/bench/testbed"
)

const (
	// bigRounds is how often the big log is replayed: it takes minutes.
	bigRounds = 2
	// diskPerEvent is what log, database and WAL need at most, in bytes.
	diskPerEvent = 2500
)

// size is a log of some size and what its replays took.
type size struct {
	name    string
	source  string
	events  int
	rounds  int
	seconds []float64
	peaks   []float64 // MiB
}

func (s *size) called() string { return figures.Grouped(int64(s.events)) + " events" }

// microseconds is the time per event.
func (s *size) microseconds() float64 {
	return figures.Median(s.seconds) / float64(s.events) * 1e6
}

// measureScale finds out what a log that is ten times as long costs.
func measureScale(ctx context.Context, b *bench) error {
	if err := enoughDisk(int64(b.bigEvents) * diskPerEvent); err != nil {
		return err
	}
	nawhas, err := b.start(ctx)
	if err != nil {
		return err
	}
	defer nawhas.Server.Close()
	few := &size{name: "small log", source: "source_few", events: b.events / 10, rounds: b.rounds}
	normal := &size{name: "normal log", source: "source_normal", events: b.events, rounds: b.rounds}
	many := &size{name: "big log", source: "source_many", events: b.bigEvents, rounds: min(b.rounds, bigRounds)}
	sizes := []*size{few, normal, many}
	for _, s := range sizes {
		b.say("making a log of %s", s.called())
		if err := nawhas.Generate(ctx, s.source, s.events); err != nil {
			return err
		}
	}
	for round := range b.rounds {
		for _, s := range sizes {
			if round >= s.rounds {
				continue
			}
			if err := b.replaySize(ctx, nawhas, s); err != nil {
				return err
			}
		}
	}
	for _, s := range sizes {
		b.Add(figures.Told("time per event, "+s.name, s.microseconds(), "µs").Noting("%s, rounds: %d", s.called(), len(s.seconds)))
	}
	b.Add(figures.AtMost("time per event, big / normal log", many.microseconds()/normal.microseconds(), "×", 1.25).Aiming(1.1))
	normalPeak, manyPeak := figures.Median(normal.peaks), figures.Median(many.peaks)
	b.Add(figures.Told("peak memory of a replay, normal log", normalPeak, "MiB").Noting("%s", normal.called()))
	b.Add(figures.AtMost("peak memory of a replay, big log", manyPeak, "MiB", 256).Noting("%s", many.called()))
	b.Add(figures.AtMost("peak memory, big / normal log", manyPeak/normalPeak, "×", 1.2))
	return nil
}

func (b *bench) replaySize(ctx context.Context, nawhas testbed.Nawhas, s *size) error {
	usage, err := nawhas.Replay(ctx, s.source, ours)
	if err != nil {
		return err
	}
	s.seconds = append(s.seconds, usage.Elapsed.Seconds())
	s.peaks = append(s.peaks, float64(usage.PeakRSS)/(1<<20))
	b.say("replay: %s in %.2f s, %.1f µs each, peak %.0f MiB, own CPU %.1f s", s.called(), usage.Elapsed.Seconds(),
		usage.Elapsed.Seconds()/float64(s.events)*1e6, s.peaks[len(s.peaks)-1], usage.CPU.Seconds())
	return nawhas.Server.Drop(ctx, ours)
}

// enoughDisk refuses what would fill the disk half way.
func enoughDisk(bytes int64) error {
	var disk syscall.Statfs_t
	if err := syscall.Statfs(os.TempDir(), &disk); err != nil {
		return fmt.Errorf("look how much of the disk is free: %w", err)
	}
	free := int64(disk.Bavail) * disk.Bsize //nolint:gosec // no disk has that many blocks
	if free < bytes {
		return fmt.Errorf("%d GiB below %s are too few, %d GiB are needed; set TMPDIR to a bigger disk or --big-events to fewer",
			free>>30, os.TempDir(), bytes>>30)
	}
	return nil
}
