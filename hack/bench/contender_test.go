package main

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestOnlyTheFirstDatabaseIsCompared(t *testing.T) {
	compared := 0
	c := contender{name: "x", events: 1000,
		build:   func(context.Context) (time.Duration, error) { return 2 * time.Second, nil },
		compare: func(context.Context) error { compared++; return nil }}
	for range 3 {
		if err := c.measure(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if compared != 1 || len(c.seconds) != 3 || c.rate() != 500 {
		t.Errorf("compared %d times, seconds %v, %v events/s", compared, c.seconds, c.rate())
	}
}

func TestADifferentDatabaseIsNoMeasurement(t *testing.T) {
	different := errors.New("table albums differs")
	c := contender{build: func(context.Context) (time.Duration, error) { return time.Second, nil },
		compare: func(context.Context) error { return different }}
	if err := c.measure(t.Context()); !errors.Is(err, different) || len(c.seconds) > 0 {
		t.Errorf("%v, seconds %v", err, c.seconds)
	}
}

func TestFasterComparesRatesOfTheSameRound(t *testing.T) {
	quick := contender{events: 1000, seconds: []float64{1, 4}}
	other := contender{events: 100, seconds: []float64{2, 8}}
	if got := quick.faster(&other); got != 20 {
		t.Errorf("%v times as fast, want 20", got)
	}
}
