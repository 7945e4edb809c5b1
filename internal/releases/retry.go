package releases

import (
	"context"
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

// Retry tries the wanted version again: one that was sent back or given up by
// raising spec.retry, a step that failed by deleting its Job, which the operator
// then makes anew; that is of use also where a repository owns spec.retry. It
// returns what it did. With try nothing is stored.
func (c *Cluster) Retry(ctx context.Context, release *v1alpha1.NawhasRelease, try bool) (string, error) {
	if wanted := versionOf(release, release.Spec.Version); wanted != nil && wanted.Held != "" || release.Spec.Abort == release.Spec.Version {
		change, err := Again(release)
		if err != nil {
			return "", err
		}
		return change.Say, c.Apply(ctx, release, change, try)
	}
	jobs, err := c.Jobs(ctx, release.Name)
	if err != nil {
		return "", err
	}
	for i := range jobs {
		job := &jobs[i]
		if job.Labels[v1alpha1.LabelVersion] == release.Spec.Version && failed(job) {
			return c.deleteJob(ctx, job, try)
		}
	}
	return "", refusal("`kubectl nawhas status` tells what the release waits for; a failure with a cause outside goes on by itself when the cause is gone.",
		"nothing of version %s has failed that could be tried again", release.Spec.Version)
}

func (c *Cluster) deleteJob(ctx context.Context, job *batchv1.Job, try bool) (string, error) {
	options := []client.DeleteOption{client.PropagationPolicy(metav1.DeletePropagationBackground), client.Preconditions{UID: &job.UID}}
	if try {
		options = append(options, client.DryRunAll)
	}
	if err := client.IgnoreNotFound(c.Delete(ctx, job, options...)); err != nil {
		return "", fmt.Errorf("delete Job %s: %w", job.Name, err)
	}
	return fmt.Sprintf("step %s is tried again: its failed Job %s is deleted, and the operator makes another", job.Labels[v1alpha1.LabelStage], job.Name), nil
}

func failed(job *batchv1.Job) bool {
	for _, condition := range job.Status.Conditions {
		if condition.Type == batchv1.JobFailed && condition.Status == corev1.ConditionTrue {
			return job.DeletionTimestamp.IsZero()
		}
	}
	return false
}
