package main

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nawhas/nawhas-operator/hack/bench/figures"
	"github.com/nawhas/nawhas-operator/hack/bench/testbed"
)

// replayChunks is in how many transactions a replay is done here: a normal log
// has its usual ones. A killed replay may lose one.
const replayChunks = 10

// resumption is what a killed replay and the next one did.
type resumption struct {
	// took is the time of both, kept and applied are events: those that were in
	// the database when the second began, and those it applied.
	took          time.Duration
	kept, applied int64
}

// twice is how many events were applied by both replays.
func (r resumption) twice(events int) int64 { return r.kept + r.applied - int64(events) }

func measureResume(ctx context.Context, b *bench) error {
	nawhas, err := b.start(ctx)
	if err != nil {
		return err
	}
	defer nawhas.Server.Close()
	if err := nawhas.Generate(ctx, source, b.events); err != nil {
		return err
	}
	chunk := b.events / replayChunks
	replay := []string{"replay", "--chunk", strconv.Itoa(chunk)}
	var lost []float64
	var twice int64
	for round := range b.rounds {
		var undisturbed testbed.Usage
		var killed resumption
		steps := []func() error{
			func() (err error) { undisturbed, err = nawhas.Replay(ctx, source, reference, replay[1:]...); return },
			func() (err error) { killed, err = killHalfWay(ctx, nawhas, int64(b.events), replay); return },
		}
		if round%2 == 1 {
			slices.Reverse(steps)
		}
		for _, step := range steps {
			if err := step(); err != nil {
				return err
			}
		}
		if err := nawhas.Server.SameContent(ctx, reference, ours); err != nil {
			return fmt.Errorf("a replay that was killed: %w", err)
		}
		lost = append(lost, (killed.took - undisturbed.Elapsed).Seconds())
		twice = max(twice, killed.twice(b.events))
		b.say("undisturbed %.2f s; killed at %s events and begun again %.2f s", undisturbed.Elapsed.Seconds(), figures.Grouped(killed.kept), killed.took.Seconds())
	}
	b.Add(figures.Told("killed replay: time lost", figures.Median(lost), "s").Noting("%s events, killed half way, the same content afterwards", figures.Grouped(int64(b.events))))
	b.Add(figures.AtMost("killed replay: events applied twice", float64(twice), "events", float64(chunk)).Noting("a chunk is %s events", figures.Grouped(int64(chunk))))
	return nil
}

// killHalfWay replays a log, kills that at its half, and lets the next one end it.
func killHalfWay(ctx context.Context, nawhas testbed.Nawhas, events int64, replay []string) (resumption, error) {
	var r resumption
	if err := nawhas.Migrate(ctx, source, ours); err != nil {
		return r, err
	}
	if err := nawhas.Server.Settle(ctx); err != nil {
		return r, err
	}
	first, err := nawhas.Start(ctx, source, ours, replay...)
	if err != nil {
		return r, err
	}
	_, err = nawhas.Server.AwaitPosition(ctx, ours, events/2)
	r.took = first.Kill()
	if err != nil {
		return r, err
	}
	gone := time.Now()
	if r.kept, err = nawhas.Server.AwaitNobody(ctx, ours); err != nil {
		return r, err
	}
	r.took += time.Since(gone)
	if r.kept >= events {
		return r, fmt.Errorf("the replay of %d events was over before it could be killed; give it more with --events", events)
	}
	second, err := nawhas.Run(ctx, source, ours, replay...)
	if err != nil {
		return r, err
	}
	r.took += second.Elapsed
	r.applied, err = eventsApplied(second.Output)
	return r, err
}

var appliedPattern = regexp.MustCompile(`after ([0-9,]+) events`)

// eventsApplied reads the program's last words.
func eventsApplied(output string) (int64, error) {
	found := appliedPattern.FindStringSubmatch(output)
	if found == nil {
		return 0, fmt.Errorf("the replay did not say how many events it applied: %q", output)
	}
	return strconv.ParseInt(strings.ReplaceAll(found[1], ",", ""), 10, 64)
}
