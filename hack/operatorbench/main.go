// Command operatorbench measures the operator with a thousand releases: `make
// bench-operator` runs it. The operator is the real program, on a real API server
// with Kubernetes' own controllers, and on a real Postgres. Pods are KWOK's: it
// says that they run. What their programs would do is done here, with the
// credentials of the pods.
//
// It ends with 1 when a figure is not what it must be and with 2 when something
// could not be measured. docs/operator.md explains the figures.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/nawhas/nawhas-operator/hack/bench/figures"
	"github.com/nawhas/nawhas-operator/hack/bench/testbed"
)

const (
	exitMissed     = 1
	exitUnmeasured = 2
)

func main() {
	ctrl.SetLogger(logr.Discard())
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code, err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "operatorbench:", err)
	}
	os.Exit(code)
}

// bench is how much is measured, and what came out.
type bench struct {
	figures.List
	releases, atOnce, sources int
	steady, busy, hang        time.Duration
	programs, manager, kwok   string
	crds, out                 string

	*cluster
	*databases
	operator *operator
	watcher  *watcher
}

func parse(args []string) (*bench, error) {
	b := &bench{List: figures.List{Out: os.Stdout}}
	flags := flag.NewFlagSet("operatorbench", flag.ContinueOnError)
	flags.IntVar(&b.releases, "releases", 1000, "releases in all")
	flags.IntVar(&b.atOnce, "at-once", 100, "releases on their way at once")
	flags.IntVar(&b.sources, "sources", 20, "sources that the releases share")
	flags.DurationVar(&b.steady, "steady", 3*time.Minute, "how long the steady state is watched")
	flags.DurationVar(&b.busy, "busy", time.Minute, "how long a log is busy")
	flags.DurationVar(&b.hang, "hang", 45*time.Second, "how long a source does not answer")
	flags.StringVar(&b.programs, "kubernetes", "bin/kubernetes", "folder of Kubernetes' programs")
	flags.StringVar(&b.manager, "manager", "bin/bench/manager", "the operator to measure")
	flags.StringVar(&b.kwok, "kwok", "bin/tools/kwok", "the program kwok")
	flags.StringVar(&b.crds, "crds", "config/crd/bases", "folder of the definitions")
	flags.StringVar(&b.out, "out", "bin/bench", "folder of the results")
	quick := flags.Bool("quick", false, "see in a few minutes whether everything can be measured, with few releases and without judging")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if *quick {
		b.releases, b.atOnce, b.sources, b.steady, b.busy, b.hang, b.Unjudged = 40, 10, 4, 30*time.Second, 20*time.Second, 20*time.Second, true
	}
	if flags.NArg() > 0 || b.sources < 2 || b.atOnce < 1 || b.releases < 2*b.sources || b.atOnce > b.releases {
		return nil, errors.New("operatorbench takes no arguments, at least two sources and two releases for each")
	}
	return b, nil
}

func run(ctx context.Context) (int, error) {
	b, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return 0, nil
	}
	if err != nil {
		return exitUnmeasured, err
	}
	if err := os.MkdirAll(b.out, 0o755); err != nil {
		return exitUnmeasured, fmt.Errorf("make the folder of results: %w", err)
	}
	defer b.close()
	started := time.Now()
	unmeasured := b.measure(ctx)
	fmt.Printf("\nmeasured in %s\n", time.Since(started).Round(time.Second))
	if err := errors.Join(unmeasured, b.WriteJSON(filepath.Join(b.out, "operator.json"))); err != nil {
		return exitUnmeasured, err
	}
	if missed := b.Missed(); len(missed) > 0 {
		return exitMissed, fmt.Errorf("missed: %s", strings.Join(missed, "; "))
	}
	return 0, nil
}

// measure goes through the phases; each begins where the one before ended.
func (b *bench) measure(ctx context.Context) error {
	if err := b.start(ctx); err != nil {
		return err
	}
	for _, phase := range []struct {
		name    string
		measure func(context.Context) error
	}{
		{fmt.Sprintf("%d releases go live, %d at once", b.releases, b.atOnce), b.goLive},
		{"steady state", b.rest},
		{"each release is changed", b.lookAtAll},
		{"one log gets 100 events a second", b.beBusy},
		{fmt.Sprintf("%d releases go to the next version at once", b.atOnce), b.goOn},
		{"one source does not answer", b.hangOne},
		{"the operator is started anew", b.restart},
	} {
		fmt.Printf("\n%s\n", phase.name)
		if err := phase.measure(ctx); err != nil {
			return fmt.Errorf("%s could not be measured: %w", phase.name, err)
		}
	}
	return nil
}

func (b *bench) start(ctx context.Context) error {
	var err error
	if b.databases, err = startDatabases(ctx, b.sources); err != nil {
		return err
	}
	facts := testbed.Facts(b.version, b.manager)
	facts[len(facts)-1] = "Postgres: " + b.version + ", on the loopback address, with " + strings.Join(settings, ", ")
	fmt.Println(strings.Join(facts, "\n"))
	if b.cluster, err = startCluster(ctx, b.programs, b.kwok, b.crds, b.out); err != nil {
		return err
	}
	if b.watcher, err = watch(ctx, b.cluster, b.databases); err != nil {
		return err
	}
	b.operator, err = startOperator(ctx, b.manager, b.kubeconfig, b.out)
	return err
}

func (b *bench) close() {
	if b.operator != nil {
		b.operator.stop()
	}
	if b.cluster != nil {
		b.cluster.stop()
	}
	if b.databases != nil {
		b.databases.stop()
	}
}

// say tells what is going on; figures are told by themselves.
func (b *bench) say(format string, args ...any) { fmt.Printf("  - "+format+"\n", args...) }
