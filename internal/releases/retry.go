package releases

import (
	"context"
	"fmt"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

// again are the steps whose Job the operator makes anew when it is deleted. One
// of a round has begun what nobody can take back; its loss would be a failure.
var again = []string{"migrate", "replay", "verify", "observe"}

// stageOf is the stage that a step is made for. Observe has none: it is of use while
// the version is watched.
var stageOf = map[string]string{"migrate": v1alpha1.ConditionMigrated, "replay": v1alpha1.ConditionReplayed, "verify": v1alpha1.ConditionVerified}

// Retry tries the wanted version again: one that was sent back or given up, and
// one that cannot go on from what it has, by raising spec.retry; a step that
// failed by deleting its Job, which the operator then makes anew. That is of use
// also where a repository owns spec.retry. It returns what it did, and refuses
// when nothing has failed that the version waits for. With try nothing is stored.
func (c *Cluster) Retry(ctx context.Context, release *v1alpha1.NawhasRelease, try bool) (string, error) {
	if needsRetry(release) {
		change, err := Again(release)
		if err != nil {
			return "", err
		}
		return change.Say, c.Apply(ctx, release, change, try)
	}
	if release.Spec.Suspend {
		return "", refusal("To let it go on: `"+resume(release)+"`. What has failed is then tried again at its time, or by another retry at once.",
			"release %s is suspended, so that no step is begun", release.Name)
	}
	jobs, err := c.Jobs(ctx, release.Name)
	if err != nil {
		return "", err
	}
	for _, step := range again {
		if job := newest(jobs, release.Spec.Version, step); job != nil && failed(job) && awaits(release, step) {
			return c.deleteJob(ctx, job, try)
		}
	}
	return "", refusal("`kubectl nawhas status` tells what the release waits for; a failure with a cause outside goes on by itself when the cause is gone.",
		"nothing of version %s has failed that could be tried again", release.Spec.Version)
}

// newest is the last Job that was made for a step of a version, or nil.
func newest(jobs []batchv1.Job, version, step string) *batchv1.Job {
	var last *batchv1.Job
	for i := range jobs {
		job := &jobs[i]
		if job.Labels[v1alpha1.LabelVersion] != version || job.Labels[v1alpha1.LabelStage] != step {
			continue
		}
		if last == nil || last.CreationTimestamp.Before(&job.CreationTimestamp) {
			last = job
		}
	}
	return last
}

// awaits reports whether the wanted version still needs what a step has to show: a
// Job that failed before its stage was passed is history, and so is one that watched
// the version when it was live at another time.
func awaits(release *v1alpha1.NawhasRelease, step string) bool {
	if stage, is := stageOf[step]; is {
		return !meta.IsStatusConditionTrue(release.Status.Conditions, stage)
	}
	wanted := versionOf(release, release.Spec.Version)
	return wanted != nil && wanted.ObservedUntil != nil
}

// needsRetry reports whether only a raised spec.retry lets the wanted version go
// on: no Job of it failed that could be deleted.
func needsRetry(release *v1alpha1.NawhasRelease) bool {
	wanted := versionOf(release, release.Spec.Version)
	if release.Spec.Abort == release.Spec.Version || wanted != nil && wanted.Held != "" {
		return true
	}
	return slices.ContainsFunc(v1alpha1.Stages(), func(stage string) bool {
		condition := meta.FindStatusCondition(release.Status.Conditions, stage)
		if condition == nil || wanted == nil {
			return false
		}
		// A version that was live before is not built anew.
		return condition.Reason == v1alpha1.ReasonEvidenceRefused ||
			condition.Reason == v1alpha1.ReasonRoundFailed && wanted.Role == v1alpha1.RoleCandidate ||
			cannotStart(release, condition)
	})
}

// cannotStart reports whether a stage waits for the pod of a step that does not
// start, other than a round's. It has not failed, and so has no Job to delete.
func cannotStart(release *v1alpha1.NawhasRelease, stage *metav1.Condition) bool {
	if stage.Reason != v1alpha1.ReasonPodFailing && stage.Reason != v1alpha1.ReasonImageUnavailable {
		return false
	}
	inRounds := release.Spec.Replay.Strategy == v1alpha1.ReplayRounds
	return stage.Type == v1alpha1.ConditionMigrated || stage.Type == v1alpha1.ConditionVerified || stage.Type == v1alpha1.ConditionReplayed && !inRounds
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
