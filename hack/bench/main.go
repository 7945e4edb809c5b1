// Command bench measures what the log and the projection engine can do, next
// to what else could be used: `make bench` runs it. It works on throw-away
// Postgres servers and on the real program nawhas.
//
// It ends with 1 when a figure is not what it must be and with 2 when something
// could not be measured. docs/performance.md explains the figures.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/nawhas/nawhas-operator/hack/bench/figures"
	"github.com/nawhas/nawhas-operator/hack/bench/testbed"
)

const (
	exitMissed     = 1
	exitUnmeasured = 2
)

// group is a part of the measurements that can be run by itself.
type group struct {
	name    string
	measure func(context.Context, *bench) error
}

var groups = []group{
	{"replay", measureReplay},
	{"scale", measureScale},
	{"resume", measureResume},
	{"follow", measureFollow},
	{"append", measureAppend},
	{"verify", measureVerify},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code, err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
	}
	os.Exit(code)
}

func run(ctx context.Context) (int, error) {
	b, wanted, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return 0, nil
	}
	if err != nil {
		return exitUnmeasured, err
	}
	if err := b.introduce(ctx); err != nil {
		return exitUnmeasured, err
	}
	started := time.Now()
	var unmeasured error
	for _, g := range wanted {
		fmt.Printf("\n%s\n", g.name)
		if err := g.measure(ctx, b); err != nil {
			unmeasured = errors.Join(unmeasured, fmt.Errorf("%s could not be measured: %w", g.name, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	fmt.Printf("\nmeasured in %s\n", time.Since(started).Round(time.Second))
	if err := errors.Join(unmeasured, b.write()); err != nil {
		return exitUnmeasured, err
	}
	if missed := b.Missed(); len(missed) > 0 {
		return exitMissed, fmt.Errorf("missed: %s", strings.Join(missed, "; "))
	}
	return 0, nil
}

// bench is what the groups share: how much to measure, with what, and what
// came out.
type bench struct {
	figures.List
	events, bigEvents, smallEvents, rounds int
	// seconds is how long rates and costs are watched, each time.
	seconds     int
	nawhas, out string
	facts       []string
}

func parse(args []string) (*bench, []group, error) {
	b := &bench{List: figures.List{Out: os.Stdout}}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.IntVar(&b.events, "events", 1_000_000, "events of a normal log")
	flags.IntVar(&b.bigEvents, "big-events", 10_000_000, "events of a big log")
	flags.IntVar(&b.smallEvents, "small-events", 20_000, "events of a small log, for what is slow")
	flags.IntVar(&b.rounds, "rounds", 3, "how often each thing is measured, taking turns")
	flags.IntVar(&b.seconds, "seconds", 15, "how long rates and costs are watched, each time")
	flags.StringVar(&b.nawhas, "nawhas", "bin/bench/nawhas", "the program to measure")
	flags.StringVar(&b.out, "out", "bin/bench", "folder of the results")
	only := flags.String("only", "", "groups to measure, separated by commas: "+strings.Join(names(), ", ")+" (default all)")
	quick := flags.Bool("quick", false, "see in about a minute whether everything can be measured, with few events and without judging")
	if err := flags.Parse(args); err != nil {
		return nil, nil, err
	}
	if *quick {
		b.events, b.bigEvents, b.smallEvents, b.rounds, b.seconds, b.Unjudged = 50_000, 100_000, 2_000, 1, 2, true
	}
	if flags.NArg() > 0 || b.events < 1000 || b.bigEvents < b.events || b.smallEvents < 1 || b.rounds < 1 || b.seconds < 1 {
		return nil, nil, errors.New("bench takes no arguments, at least 1,000 events, no fewer big events than events, and at least one round and second")
	}
	wanted, err := choose(*only)
	return b, wanted, err
}

func names() []string {
	var all []string
	for _, g := range groups {
		all = append(all, g.name)
	}
	return all
}

func choose(only string) ([]group, error) {
	if only == "" {
		return groups, nil
	}
	var wanted []group
	for name := range strings.SplitSeq(only, ",") {
		at := slices.Index(names(), strings.TrimSpace(name))
		if at < 0 {
			return nil, fmt.Errorf("--only: no group is called %q; there are %s", name, strings.Join(names(), ", "))
		}
		wanted = append(wanted, groups[at])
	}
	return wanted, nil
}

// introduce says what is measured on what.
func (b *bench) introduce(ctx context.Context) error {
	if err := os.MkdirAll(b.out, 0o755); err != nil {
		return fmt.Errorf("make the folder of results: %w", err)
	}
	program, err := testbed.Run(ctx, nil, b.nawhas, "version")
	if err != nil {
		return err
	}
	server, err := testbed.Start(ctx)
	if err != nil {
		return err
	}
	defer server.Close()
	postgres, err := server.Version(ctx)
	if err != nil {
		return err
	}
	b.facts = testbed.Facts(postgres, program.Output)
	fmt.Println(strings.Join(b.facts, "\n"))
	return nil
}

func (b *bench) write() error {
	return errors.Join(b.WriteJSON(filepath.Join(b.out, "results.json")), b.WriteMarkdown(filepath.Join(b.out, "results.md"), b.facts))
}

// start starts a server and returns the program on it.
func (b *bench) start(ctx context.Context, settings ...string) (testbed.Nawhas, error) {
	server, err := testbed.Start(ctx, settings...)
	return testbed.Nawhas{Path: b.nawhas, Server: server}, err
}

// say tells what is going on; figures are told by themselves.
func (b *bench) say(format string, args ...any) { fmt.Printf("  - "+format+"\n", args...) }
