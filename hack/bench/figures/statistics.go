package figures

import (
	"cmp"
	"math"
	"slices"
)

// Number is what can be averaged.
type Number interface {
	~int | ~int64 | ~float64
}

// Median is the middle value, or the mean of the two in the middle. None have
// no median: it is not a number.
func Median[N Number](values []N) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return float64(sorted[middle])
	}
	return (float64(sorted[middle-1]) + float64(sorted[middle])) / 2
}

// Ratio is the median of what the values are of those measured next to them.
// What slows the machine down for a while slows both, so that it says more
// than the ratio of the medians.
func Ratio(values, of []float64) float64 {
	ratios := make([]float64, min(len(values), len(of)))
	for i := range ratios {
		ratios[i] = values[i] / of[i]
	}
	return Median(ratios)
}

// Percentile is the smallest value that p percent of the values do not exceed.
// None have no percentile: it is the zero value, false.
func Percentile[N cmp.Ordered](values []N, p float64) (N, bool) {
	if len(values) == 0 {
		var none N
		return none, false
	}
	sorted := slices.Sorted(slices.Values(values))
	rank := int(math.Ceil(p / 100 * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1], true
}
