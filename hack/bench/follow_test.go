package main

import (
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
)

func TestLatenciesPairEachEventWithItsProjection(t *testing.T) {
	late, early := uuid.New(), uuid.New()
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	acknowledged := map[uuid.UUID]time.Time{late: at, early: at}
	committed := map[uuid.UUID]time.Time{late: at.Add(2500 * time.Microsecond), early: at.Add(-time.Millisecond), uuid.New(): at}
	got, err := latencies(acknowledged, committed)
	slices.Sort(got)
	if err != nil || !slices.Equal(got, []float64{-1, 2.5}) {
		t.Errorf("%v, %v", got, err)
	}
	delete(committed, late)
	if _, err := latencies(acknowledged, committed); err == nil {
		t.Error("a missing event was passed over")
	}
}
