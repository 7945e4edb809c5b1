package main

import (
	"math"
	"runtime/debug"
)

// memoryAim is what a replay holds at a time, with room for its garbage. The
// collector works harder above it and refuses nothing.
const memoryAim = 200 << 20

// aimAtLittleMemory has the collector keep to memoryAim, unless GOMEMLIMIT says
// where else. A replay makes garbage faster than anything else here, and its
// container needs no more memory for a log of ten million events than for one
// of a hundred thousand.
func aimAtLittleMemory() {
	if debug.SetMemoryLimit(-1) == math.MaxInt64 {
		debug.SetMemoryLimit(memoryAim)
	}
}
