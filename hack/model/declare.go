package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// check is one search through all states of a model.
type check struct {
	name string
	file string
	// flags are given to the preprocessor.
	flags []string
	// mistake is what is wrong with a mutant, empty for a model.
	mistake string
}

func (c check) isMutant() bool { return c.mistake != "" }

// A model says in its first comment with which flags it is run, and which
// mistakes it knows:
//
//	run: NAME [FLAG…]
//	mutant: NAME [(RUN)] what is wrong
var (
	runLine    = regexp.MustCompile(`(?m)^ \* run: ([a-z-]+)((?: -D\S+)*)$`)
	mutantLine = regexp.MustCompile(`(?m)^ \* mutant: ([A-Z0-9_]+) +(?:\(([a-z-]+)\) +)?(\S.*)$`)
	mutantFlag = regexp.MustCompile(`MUTANT_([A-Z0-9_]+)`)
)

// declared are the models of a folder and then their mutants.
func declared(folder string) ([]check, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.pml"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("no models in %s; run this at the root of the repository", folder)
	}
	var models, mutants []check
	for _, file := range files {
		text, err := load(file)
		if err != nil {
			return nil, err
		}
		runs, wrong, err := parse(file, text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		models, mutants = append(models, runs...), append(mutants, wrong...)
	}
	return append(models, mutants...), nil
}

var includeLine = regexp.MustCompile(`(?m)^#include "(.+)"$`)

// load reads a model and what it includes.
func load(file string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("read a model: %w", err)
	}
	all := string(text)
	for _, found := range includeLine.FindAllStringSubmatch(all, -1) {
		part, err := os.ReadFile(filepath.Join(filepath.Dir(file), found[1]))
		if err != nil {
			return "", fmt.Errorf("read a part of %s: %w", file, err)
		}
		all += string(part)
	}
	return all, nil
}

func parse(file, text string) (models, mutants []check, err error) {
	for _, found := range runLine.FindAllStringSubmatch(text, -1) {
		models = append(models, check{name: found[1], file: file, flags: strings.Fields(found[2])})
	}
	if len(models) == 0 {
		return nil, nil, errors.New("it has no line `run: NAME`")
	}
	var names []string
	for _, found := range mutantLine.FindAllStringSubmatch(text, -1) {
		base := models[0]
		if found[2] != "" {
			i := slices.IndexFunc(models, func(c check) bool { return c.name == found[2] })
			if i < 0 {
				return nil, nil, fmt.Errorf("mutant %s is one of %s, which is not run", found[1], found[2])
			}
			base = models[i]
		}
		flags := append(slices.Clone(base.flags), "-DMUTANT_"+found[1])
		mutants = append(mutants, check{name: found[1], file: file, flags: flags, mistake: found[3]})
		names = append(names, found[1])
	}
	return models, mutants, sameMutants(names, text)
}

// sameMutants makes sure that what is declared is there, and the other way
// round: a mutant without code would be the model itself.
func sameMutants(declared []string, text string) error {
	var used []string
	for _, found := range mutantFlag.FindAllStringSubmatch(text, -1) {
		used = append(used, found[1])
	}
	for _, name := range declared {
		if !slices.Contains(used, name) {
			return fmt.Errorf("mutant %s is declared, but nothing asks for MUTANT_%[1]s", name)
		}
	}
	for _, name := range used {
		if !slices.Contains(declared, name) {
			return fmt.Errorf("MUTANT_%s is not declared by a line `mutant: %[1]s`", name)
		}
	}
	return nil
}
