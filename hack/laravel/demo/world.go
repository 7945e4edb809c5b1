package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/hack/cluster"
)

// beginAnew removes what an earlier run has left: the release with its
// databases, and the log.
func beginAnew(ctx context.Context, c *cluster.Cluster) error {
	nr := &v1alpha1.NawhasRelease{}
	nr.Namespace, nr.Name = namespace, release
	known := func() bool { return c.Get(ctx, client.ObjectKeyFromObject(nr), nr) == nil }
	if known() {
		fmt.Println("removing the release of an earlier run")
		before := nr.DeepCopy()
		nr.Spec.DeletionPolicy = v1alpha1.DeletionDelete
		if err := c.Patch(ctx, nr, client.MergeFrom(before)); err != nil {
			return fmt.Errorf("have the databases dropped: %w", err)
		}
		if err := c.Delete(ctx, nr); err != nil {
			return fmt.Errorf("delete the release: %w", err)
		}
		bounded, cancel := context.WithTimeout(ctx, settle)
		defer cancel()
		if err := cluster.Until(bounded, look, func() (bool, error) { return !known(), nil }); err != nil {
			return fmt.Errorf("wait until the release is gone: %w", err)
		}
	}
	source, err := pgx.Connect(ctx, c.SourceURL)
	if err != nil {
		return fmt.Errorf("connect to the log: %w", err)
	}
	defer func() { _ = source.Close(context.WithoutCancel(ctx)) }()
	if _, err := source.Exec(ctx, "DROP TABLE IF EXISTS stored_events"); err != nil {
		return fmt.Errorf("drop the log of an earlier run: %w", err)
	}
	return nil
}

var errNoRound = errors.New("no round of 7.2.2 was seen at work")

// killRound takes the pod of the first round of 7.2.2 away while it is at work,
// without a moment to end.
func killRound(ctx context.Context, c *cluster.Cluster) error {
	bounded, cancel := context.WithTimeout(ctx, settle)
	defer cancel()
	err := cluster.Until(bounded, look, func() (bool, error) {
		var pods corev1.PodList
		err := c.List(bounded, &pods, client.InNamespace(namespace), client.MatchingLabels{v1alpha1.LabelVersion: next, v1alpha1.LabelStage: "round"})
		if err != nil {
			return false, fmt.Errorf("list the pods of rounds: %w", err)
		}
		for i := range pods.Items {
			if pods.Items[i].Status.Phase != corev1.PodRunning {
				continue
			}
			time.Sleep(time.Second)
			fmt.Println("killing pod", pods.Items[i].Name)
			return true, client.IgnoreNotFound(c.Delete(bounded, &pods.Items[i], client.GracePeriodSeconds(0)))
		}
		return false, nil
	})
	if errors.Is(err, context.DeadlineExceeded) {
		return errNoRound
	}
	return err
}
