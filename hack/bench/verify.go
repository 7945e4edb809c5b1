package main

import (
	"context"
	"strconv"

	"github.com/nawhas/nawhas-operator/hack/bench/figures"
	"github.com/nawhas/nawhas-operator/hack/bench/testbed"
)

// auditedTail is how many events came after a verification that is audited.
const auditedTail = 1000

// verifications are what it took to prove databases, beside what it took to
// build them.
type verifications struct {
	replay, verify, audit []float64 // seconds
	// cpu is the processor time of the program and its server, in seconds.
	replayCPU, verifyCPU []float64
	peaks                []float64 // MiB
}

// measureVerify finds out what the proof of a database costs, next to its
// replay: each is verified right after it was built, as a release does it.
func measureVerify(ctx context.Context, b *bench) error {
	nawhas, err := b.start(ctx)
	if err != nil {
		return err
	}
	defer nawhas.Server.Close()
	if err := nawhas.Generate(ctx, source, b.events); err != nil {
		return err
	}
	v := &verifications{}
	for range b.rounds {
		if err := v.round(ctx, b, nawhas); err != nil {
			return err
		}
	}
	many := figures.Grouped(int64(b.events)) + " events"
	b.Add(figures.Told("verify", figures.Median(v.verify), "s").Noting("%s, without a comparison", many))
	b.Add(figures.Told("verify / replay", figures.Ratio(v.verify, v.replay), "×").Aiming(0.35))
	b.Add(figures.Told("verify / replay, processor time of program and server", figures.Ratio(v.verifyCPU, v.replayCPU), "×"))
	b.Add(figures.Told("peak memory of a verification", figures.Median(v.peaks), "MiB"))
	b.Add(figures.Told("audit", figures.Median(v.audit)*1000, "ms").Noting("a process that verifies the last %s of %s", figures.Grouped(auditedTail), many))
	return nil
}

func (v *verifications) round(ctx context.Context, b *bench, nawhas testbed.Nawhas) error {
	var replay, verify, audit testbed.Usage
	replayCPU, err := b.cpuOf(ctx, nawhas, &replay, func() (testbed.Usage, error) { return nawhas.Replay(ctx, source, ours) })
	if err != nil {
		return err
	}
	verifyCPU, err := b.cpuOf(ctx, nawhas, &verify, func() (testbed.Usage, error) { return nawhas.Run(ctx, source, ours, "verify") })
	if err != nil {
		return err
	}
	if audit, err = nawhas.Run(ctx, source, ours, "verify", "--after", strconv.Itoa(max(0, b.events-auditedTail))); err != nil {
		return err
	}
	v.replay, v.verify, v.audit = append(v.replay, replay.Elapsed.Seconds()), append(v.verify, verify.Elapsed.Seconds()), append(v.audit, audit.Elapsed.Seconds())
	v.replayCPU, v.verifyCPU = append(v.replayCPU, replayCPU), append(v.verifyCPU, verifyCPU)
	v.peaks = append(v.peaks, float64(verify.PeakRSS)/(1<<20))
	b.say("replay %.2f s, verify %.2f s (processor time %.1f and %.1f s), peak %.0f MiB, audit %.0f ms", replay.Elapsed.Seconds(), verify.Elapsed.Seconds(),
		replayCPU, verifyCPU, v.peaks[len(v.peaks)-1], audit.Elapsed.Seconds()*1000)
	return nawhas.Server.Drop(ctx, ours)
}

// cpuOf is the processor time that a run of the program took, its own and the server's.
func (b *bench) cpuOf(ctx context.Context, nawhas testbed.Nawhas, usage *testbed.Usage, run func() (testbed.Usage, error)) (float64, error) {
	before, err := nawhas.Server.CPU(ctx)
	if err != nil {
		return 0, err
	}
	if *usage, err = run(); err != nil {
		return 0, err
	}
	after, err := nawhas.Server.CPU(ctx)
	return (after - before + usage.CPU).Seconds(), err
}
