// Command recording takes a release to its next version on a real cluster, and
// records what `kubectl nawhas status -w` draws on a terminal meanwhile: in
// asciinema's format, and as text, a screen for each stage.
//
// It wants a cluster in which the sample's databases do not exist, and leaves
// the release there.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/hack/cluster"
)

const (
	namespace = "library"
	name      = "nawhas"
	// prefix is the default one: a recording shows what readers will see.
	prefix = "nawhas_v"
	next   = "3.2.0"

	patience = 10 * time.Minute
	look     = 100 * time.Millisecond
	// before and after are how long the recording shows a release at rest.
	before = 2 * time.Second
	after  = 5 * time.Second
)

func main() {
	events := flag.Int("events", 1_000_000, "events in the log")
	folder := flag.String("folder", filepath.Join("docs", "recordings"), "where to put the recording")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *events, *folder)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "recording:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, events int, folder string) error {
	root, err := os.Getwd()
	if err != nil {
		return fmt.Errorf("find the repository: %w", err)
	}
	if err := os.MkdirAll(folder, 0o750); err != nil {
		return fmt.Errorf("make the folder of recordings: %w", err)
	}
	c, err := cluster.Connect(root)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	r := &recording{Cluster: c, folder: folder}
	if err := r.settle(ctx, events); err != nil {
		return err
	}
	return r.record(ctx)
}

// recording is a release, and the files that show it.
type recording struct {
	*cluster.Cluster
	folder string
}

// settle brings the sample's version to its place.
func (r *recording) settle(ctx context.Context, events int) error {
	if err := r.InstallOperator(ctx); err != nil {
		return err
	}
	log, err := r.MakeLog(ctx, "recording")
	if err != nil {
		return fmt.Errorf("%w (make cluster-down, if it is left from before)", err)
	}
	fmt.Printf("generating %d events\n", events)
	if err := log.Append(ctx, events, 1); err != nil {
		return err
	}
	if err := r.Prepare(ctx, namespace, log.URL); err != nil {
		return err
	}
	if _, err := r.Kubectl(ctx, "-n", namespace, "apply", "-f", "config/samples/uploads.yaml"); err != nil {
		return err
	}
	release, err := r.Sample(namespace, prefix)
	if err != nil {
		return err
	}
	if err := r.Create(ctx, release); err != nil {
		return fmt.Errorf("create the release: %w", err)
	}
	fmt.Printf("waiting for version %s to be live\n", release.Spec.Version)
	return r.untilAlone(ctx, release.Spec.Version)
}

// record releases the next version before the eyes of a terminal.
func (r *recording) record(ctx context.Context) error {
	terminal, err := r.startTerminal(ctx)
	if err != nil {
		return err
	}
	released := errors.Join(pause(ctx, before), r.release(ctx), r.untilAlone(ctx, next), pause(ctx, after))
	if err := errors.Join(released, terminal.stop()); err != nil {
		return err
	}
	return writeScreens(r.folder)
}

func (r *recording) release(ctx context.Context) error {
	fmt.Printf("releasing version %s\n", next)
	release := &v1alpha1.NawhasRelease{}
	if err := r.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, release); err != nil {
		return fmt.Errorf("read the release: %w", err)
	}
	patch := client.MergeFrom(release.DeepCopy())
	release.Spec.Version = next
	if err := r.Patch(ctx, release, patch); err != nil {
		return fmt.Errorf("release version %s: %w", next, err)
	}
	return nil
}

// untilAlone waits until a version is live and no other can append.
func (r *recording) untilAlone(ctx context.Context, version string) error {
	release := &v1alpha1.NawhasRelease{}
	err := cluster.Until(ctx, look, func() (bool, error) {
		if err := r.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, release); err != nil {
			return false, fmt.Errorf("read the release: %w", err)
		}
		return release.Status.Live == version && release.Status.ObservedGeneration == release.Generation &&
			meta.IsStatusConditionTrue(release.Status.Conditions, v1alpha1.ConditionFenced), nil
	})
	if err != nil {
		return fmt.Errorf("wait for version %s: %w", version, err)
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
