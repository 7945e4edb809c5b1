package dashboard

import (
	"time"

	"github.com/nawhas/nawhas-operator/internal/screen"
)

// Sample is the lag of a version from a moment on.
type Sample struct {
	At      time.Time `json:"at"`
	Release string    `json:"release"`
	Version string    `json:"version"`
	Lag     int64     `json:"lag"`
}

// What is kept of the lag.
const (
	keptFor     = time.Hour
	keptSamples = 8192
)

// lagHistory keeps a sample for each change of a lag. Samples are numbered from
// 1, so that a reader can say which it has.
type lagHistory struct {
	samples []Sample
	dropped int64
	latest  map[series]int64
}

type series struct{ release, version string }

func (h *lagHistory) record(releases []screen.Summary, now time.Time) {
	if h.latest == nil {
		h.latest = map[series]int64{}
	}
	for _, release := range releases {
		name := release.Namespace + "/" + release.Name
		for _, v := range release.Versions {
			lag, known := lagOf(v)
			key := series{name, v.Version}
			if before, seen := h.latest[key]; !known || seen && before == lag {
				continue
			}
			h.latest[key] = lag
			h.samples = append(h.samples, Sample{At: now.UTC(), Release: name, Version: v.Version, Lag: lag})
		}
	}
	h.forget(now)
}

// lagOf is what a database has yet to apply: while it is replayed, what is
// missing to the replay's end.
func lagOf(v screen.Version) (int64, bool) {
	switch {
	case v.Lag != nil:
		return *v.Lag, true
	case v.Progress != nil:
		return max(0, v.Progress.Target-v.Progress.Position), true
	}
	return 0, false
}

// forget drops what is old. The last sample of a version stays, whatever its
// age: it says what is true still.
func (h *lagHistory) forget(now time.Time) {
	drop := max(0, len(h.samples)-keptSamples)
	for drop < len(h.samples) && now.Sub(h.samples[drop].At) > keptFor {
		drop++
	}
	if drop == 0 {
		return
	}
	kept := make([]Sample, 0, len(h.samples))
	later := map[series]bool{}
	for _, sample := range h.samples[drop:] {
		later[series{sample.Release, sample.Version}] = true
	}
	for i := drop - 1; i >= 0; i-- {
		if key := (series{h.samples[i].Release, h.samples[i].Version}); !later[key] {
			later[key] = true
			kept = append([]Sample{h.samples[i]}, kept...)
		}
	}
	kept = append(kept, h.samples[drop:]...)
	h.dropped += int64(len(h.samples) - len(kept))
	h.samples = kept
}

// last is the number of the latest sample.
func (h *lagHistory) last() int64 { return h.dropped + int64(len(h.samples)) }

// after are the samples that follow those up to a number.
func (h *lagHistory) after(seen int64) []Sample {
	first := max(0, seen-h.dropped)
	return append([]Sample{}, h.samples[min(first, int64(len(h.samples))):]...)
}
