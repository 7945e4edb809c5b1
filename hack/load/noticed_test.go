package load

import (
	"testing"
	"time"
)

var noon = time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)

func at(millis int) time.Time { return noon.Add(time.Duration(millis) * time.Millisecond) }

func span(from, to int) Span { return Span{at(from), at(to)} }

func TestAWritePauseIsTheLongestSilence(t *testing.T) {
	r := Result{Writes: []Exchange{{Began: at(10), Ended: at(20)}, {Began: at(15), Ended: at(40)}, {Began: at(30), Ended: at(400)}, {Began: at(405), Ended: at(410)}}}
	for name, c := range map[string]struct {
		within           Span
		silence, slowest int
	}{
		"between two writes":       {span(0, 420), 360, 370},
		"after the last":           {span(405, 1000), 590, 5},
		"before the first":         {span(50, 410), 350, 370},
		"in a span without writes": {span(1000, 1500), 500, 0},
	} {
		silence, slowest := r.WritePause(c.within)
		if silence.Milliseconds() != int64(c.silence) || slowest.Milliseconds() != int64(c.slowest) {
			t.Errorf("%s: silence %s, slowest %s", name, silence, slowest)
		}
	}
}

func TestTwoVersionsOverlapFromTheFirstAnswerOfOneToTheLastOfTheOther(t *testing.T) {
	r := Result{Answers: map[string][]time.Time{"a": {at(0), at(50), at(90), at(500)}, "b": {at(10), at(60), at(70)}}}
	if overlap, total := r.Overlap(span(40, 200), "a", "b"); overlap != 30*time.Millisecond || total != 50*time.Millisecond {
		t.Errorf("overlap %s, total %s", overlap, total)
	}
	if overlap, total := r.Overlap(span(100, 200), "a", "b"); overlap != 0 || total != 0 {
		t.Errorf("without answers: overlap %s, total %s", overlap, total)
	}
	if rate := r.Rate(span(0, 100)); rate != 60 {
		t.Errorf("%.1f answers per second", rate)
	}
}

func TestNewcomersCountByTheTimeTheyCame(t *testing.T) {
	r := Result{Newcomers: []Exchange{
		{Began: at(10), Ended: at(20), Version: "a"}, {Began: at(30), Ended: at(35), Version: "b"}, {Began: at(60), Ended: at(90), Version: "a"}, {Began: at(70), Ended: at(72), Version: "b"},
	}}
	if settled := r.Settled(span(25, 100), "a"); settled != 35*time.Millisecond {
		t.Errorf("version a answered newcomers for %s", settled)
	}
	if settled := r.Settled(span(65, 100), "a"); settled != 0 {
		t.Errorf("version a answered newcomers for %s", settled)
	}
}
