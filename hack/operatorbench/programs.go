package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/ledger"
)

// doneAnnotation says that a pod's program has done what it is for.
const doneAnnotation = "bench.nawhas.com/done"

func (w *watcher) work(ctx context.Context) {
	for {
		key, down := w.programs.Get()
		if down {
			return
		}
		if err := w.program(ctx, key); err != nil && ctx.Err() == nil {
			fmt.Printf("  - the program of pod %s: %v\n", key.Name, err)
			w.programs.AddRateLimited(key)
		} else {
			w.programs.Forget(key)
		}
		w.programs.Done(key)
	}
}

// program does what a pod's program would, as far as the operator sees it: the
// steps write to the databases and report to the ledger, with the credentials of
// their pods.
func (w *watcher) program(ctx context.Context, key client.ObjectKey) error {
	pod := &corev1.Pod{}
	if err := w.pods.Get(ctx, key, pod); err != nil {
		return client.IgnoreNotFound(err)
	}
	if pod.Annotations[doneAnnotation] != "" {
		return nil
	}
	stage, release, version := pod.Labels[v1alpha1.LabelStage], pod.Labels[v1alpha1.LabelRelease], pod.Labels[v1alpha1.LabelVersion]
	var err error
	switch stage {
	case "migrate":
		err = w.connected(ctx, release, version, "NAWHAS_DATABASE_URL", func(conn *pgx.Conn) error {
			_, err := conn.Exec(ctx, "CREATE TABLE IF NOT EXISTS reciters (id uuid PRIMARY KEY)")
			return err
		})
	case "replay", "follower":
		err = w.connected(ctx, release, version, "NAWHAS_SOURCE_URL", func(conn *pgx.Conn) error { return report(ctx, conn) })
	}
	if err != nil {
		return err
	}
	patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:"true"}}}`, doneAnnotation)
	if stage == "follower" {
		patch = fmt.Sprintf(`{"metadata":{"annotations":{%q:"follows"}}}`, doneAnnotation)
	}
	return client.IgnoreNotFound(w.client.Patch(ctx, pod, client.RawPatch("application/merge-patch+json", []byte(patch))))
}

// report says that the database is where the log ends.
func report(ctx context.Context, conn *pgx.Conn) error {
	var head int64
	if err := conn.QueryRow(ctx, "SELECT coalesce(max(position), 0) FROM events").Scan(&head); err != nil {
		return fmt.Errorf("read the head of the log: %w", err)
	}
	return ledger.NewReporter(conn).Report(ctx, ledger.Progress{Stage: "complete", Position: head, Target: head})
}

// connected connects with a variable of the owner-side Secret of a version.
func (w *watcher) connected(ctx context.Context, release, version, variable string, do func(*pgx.Conn) error) error {
	url, err := w.variable(ctx, release, version, "owner", variable)
	if err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return fmt.Errorf("connect as the version's role: %w", err)
	}
	defer func() { _ = conn.Close(ctx) }()
	return do(conn)
}

func (w *watcher) variable(ctx context.Context, release, version, side, variable string) (string, error) {
	secret := &corev1.Secret{}
	name := release + "-" + strings.ReplaceAll(version, ".", "-") + "-" + side
	if err := w.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, secret); err != nil {
		return "", fmt.Errorf("read the Secret for the %s side of release %s: %w", side, release, err)
	}
	return w.direct(string(secret.Data[variable])), nil
}
