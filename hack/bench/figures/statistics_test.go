package figures_test

import (
	"math"
	"testing"

	"github.com/nawhas/nawhas-operator/hack/bench/figures"
)

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{
		{[]float64{3}, 3},
		{[]float64{3, 1}, 2},
		{[]float64{9, 1, 3}, 3},
		{[]float64{4, 1, 3, 2}, 2.5},
	} {
		if got := figures.Median(c.values); got != c.want {
			t.Errorf("the median of %v is %v, want %v", c.values, got, c.want)
		}
	}
	if got := figures.Median([]float64{}); !math.IsNaN(got) {
		t.Errorf("the median of nothing is %v", got)
	}
}

func TestMedianKeepsTheOrderOfItsValues(t *testing.T) {
	values := []int{3, 1, 2}
	figures.Median(values)
	if values[0] != 3 || values[1] != 1 {
		t.Errorf("values are %v now", values)
	}
}

func TestPercentile(t *testing.T) {
	var hundred []int
	for i := 100; i > 0; i-- {
		hundred = append(hundred, i)
	}
	for _, c := range []struct {
		values []int
		p      float64
		want   int
	}{
		{hundred, 50, 50}, {hundred, 99, 99}, {hundred, 100, 100}, {hundred, 0, 1}, {hundred, 99.5, 100},
		{[]int{7}, 50, 7}, {[]int{7}, 99, 7}, {[]int{1, 2}, 50, 1}, {[]int{1, 2}, 51, 2},
	} {
		if got, ok := figures.Percentile(c.values, c.p); !ok || got != c.want {
			t.Errorf("p%v of %d values is %d, want %d", c.p, len(c.values), got, c.want)
		}
	}
	if _, ok := figures.Percentile([]int{}, 50); ok {
		t.Error("nothing has a percentile")
	}
}

func TestRatioPairsWhatWasMeasuredTogether(t *testing.T) {
	// The machine was three times as slow in the second round.
	if got := figures.Ratio([]float64{10, 36, 11}, []float64{10, 30, 10}); got != 1.1 {
		t.Errorf("%v, want 1.1", got)
	}
	if got := figures.Ratio(nil, []float64{1}); !math.IsNaN(got) {
		t.Errorf("the ratio of nothing is %v", got)
	}
}
