// Command model checks the models of the protocol in docs/model with spin: each
// of them, and each of its mutants, which are protocols with a mistake that the
// checker has to find.
//
// It prints a line for each and writes bin/model/summary.json. What has not
// changed since the last run is not checked again. It ends with 1 when a model
// fails or a mutant survives. With --trail it shows how a mutant goes wrong.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"

	"golang.org/x/sync/errgroup"
)

const (
	modelsDir = "docs/model"
	outputDir = "bin/model"
)

var errNotProven = errors.New("a model fails or a mutant survives")

func main() {
	trail := flag.String("trail", "", "show how this model or mutant goes wrong")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *trail)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "model:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, trail string) error {
	checks, err := declared(modelsDir)
	if err != nil {
		return err
	}
	c, err := newChecker(ctx, outputDir)
	if err != nil {
		return err
	}
	if trail != "" {
		return c.explain(ctx, checks, trail)
	}
	results, err := checkAll(ctx, c, checks)
	if err != nil {
		return err
	}
	s := summarize(results)
	if err := s.write(filepath.Join(outputDir, "summary.json")); err != nil {
		return err
	}
	fmt.Println(s)
	if !s.proven() {
		return errNotProven
	}
	return nil
}

// checkAll runs two checks at a time: each needs a processor and up to a
// gigabyte. Lines come in the order of the declarations.
func checkAll(ctx context.Context, c *checker, checks []check) ([]result, error) {
	results := make([]result, len(checks))
	done := make([]chan struct{}, len(checks))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(min(2, runtime.NumCPU()) + 1) // one of them prints
	for i := range checks {
		done[i] = make(chan struct{})
	}
	group.Go(func() error {
		for i := range checks {
			select {
			case <-done[i]:
				fmt.Println(results[i])
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	for i := range checks {
		group.Go(func() error {
			var err error
			results[i], err = c.check(ctx, checks[i])
			if err != nil {
				return fmt.Errorf("check %s: %w", checks[i].name, err)
			}
			close(done[i])
			return nil
		})
	}
	return results, group.Wait()
}
