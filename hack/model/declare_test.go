package main

import (
	"slices"
	"strings"
	"testing"
)

const declarations = `/*
 * What it is about.
 *
 * run: plain
 * run: strict -DSTRICT -DN=2
 * mutant: NO_LOCK          the lock is not taken
 * mutant: LATE    (strict) it is late
 */
#ifdef MUTANT_NO_LOCK
#elif defined(MUTANT_LATE)
#endif
`

func TestMutantsAreRunsWithAFlagMore(t *testing.T) {
	models, mutants, err := parse("x.pml", declarations)
	if err != nil {
		t.Fatal(err)
	}
	if len(models) != 2 || models[0].name != "plain" || models[0].isMutant() || !slices.Equal(models[1].flags, []string{"-DSTRICT", "-DN=2"}) {
		t.Errorf("models are %+v", models)
	}
	if len(mutants) != 2 || !slices.Equal(mutants[0].flags, []string{"-DMUTANT_NO_LOCK"}) || mutants[0].mistake != "the lock is not taken" {
		t.Fatalf("mutants are %+v", mutants)
	}
	if !slices.Equal(mutants[1].flags, []string{"-DSTRICT", "-DN=2", "-DMUTANT_LATE"}) {
		t.Errorf("the mutant of strict has %v", mutants[1].flags)
	}
}

func TestWhatIsDeclaredMustBeThereAndTheOtherWayRound(t *testing.T) {
	cases := map[string]struct{ from, to, says string }{
		"declared only": {"#elif defined(MUTANT_LATE)\n", "", "nothing asks for MUTANT_LATE"},
		"used only":     {" * mutant: LATE    (strict) it is late\n", "", "MUTANT_LATE is not declared"},
		"unknown run":   {"(strict)", "(loose)", "loose"},
		"no run":        {"run: ", "ran: ", "run: NAME"},
	}
	for name, c := range cases {
		_, _, err := parse("x.pml", strings.ReplaceAll(declarations, c.from, c.to))
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
