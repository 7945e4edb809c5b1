package release

import (
	"context"
	"fmt"
	"strconv"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/ledger"
)

const (
	replayFromVariable  = "NAWHAS_REPLAY_FROM"
	replayUntilVariable = "NAWHAS_REPLAY_UNTIL"
)

// find is the round's Job and its pods, as they are now.
func (d rounds) find(ctx context.Context, s *scope, v *ledger.Version, round *ledger.Round) (*batchv1.Job, []corev1.Pod, error) {
	job := &batchv1.Job{}
	err := d.Client.Get(ctx, client.ObjectKey{Namespace: s.release.Namespace, Name: roundName(s, v, round)}, job)
	if client.IgnoreNotFound(err) != nil {
		return nil, nil, fmt.Errorf("read the Job of round %d: %w", round.Number, err)
	}
	if err != nil || job.Annotations[v1alpha1.AnnotationBuild] != v.Build.String() {
		return nil, nil, nil
	}
	var pods corev1.PodList
	err = d.Client.List(ctx, &pods, client.InNamespace(s.release.Namespace), client.MatchingLabels{batchv1.JobNameLabel: job.Name})
	if err != nil {
		return nil, nil, fmt.Errorf("list the pods of round %d: %w", round.Number, err)
	}
	return job, pods.Items, nil
}

func roundName(s *scope, v *ledger.Version, round *ledger.Round) string {
	return objectName(s.release.Name, roundStep, v.Version, v.Build.String()[:8], strconv.Itoa(int(round.Number)))
}

// giveUp fails a round whose Job is gone, or suspended since it was let go: its
// pod was ended, and another would replay on top of what that one left. A cache may
// be behind, so that the API server is asked whether the Job goes on.
func (d rounds) giveUp(ctx context.Context, s *scope, v *ledger.Version, round *ledger.Round, goesOn func(*batchv1.Job) bool, message string) (done bool, result outcome, err error) {
	if d.Live != nil {
		job := &batchv1.Job{}
		err := d.Live.Get(ctx, client.ObjectKey{Namespace: s.release.Namespace, Name: roundName(s, v, round)}, job)
		if client.IgnoreNotFound(err) != nil {
			return false, outcome{}, fmt.Errorf("read the Job of round %d: %w", round.Number, err)
		}
		if err == nil && goesOn(job) {
			return false, waiting(v1alpha1.ReasonReplaying, describeRound(v, "is under way"), pollFast), nil
		}
	}
	return d.fail(ctx, s, v, round, message)
}

func suspends(job *batchv1.Job) bool { return ptr.Deref(job.Spec.Suspend, false) }

// wasLetGo reports whether a Job has, or had, a pod, or was changed since it was
// made. The ledger cannot tell: it has the Job before that is let go. A pod that is
// gone was counted before, unless it was ended because the Job was suspended.
func wasLetGo(job *batchv1.Job, pods []corev1.Pod) bool {
	st := job.Status
	uncounted := ptr.Deref(st.UncountedTerminatedPods, batchv1.UncountedTerminatedPods{})
	return job.Generation > 1 || len(pods) > 0 || st.StartTime != nil || st.Active+st.Succeeded+st.Failed > 0 || len(uncounted.Succeeded)+len(uncounted.Failed) > 0
}

// make applies the round's Job, suspended. It has one pod, which is not tried
// again.
func (d rounds) make(ctx context.Context, s *scope, v *ledger.Version, round *ledger.Round) error {
	job, err := d.render(ctx, s, v, round)
	if err != nil {
		return err
	}
	job.Spec.Suspend = ptr.To(true)
	return d.apply(ctx, s, job)
}

func (d rounds) render(ctx context.Context, s *scope, v *ledger.Version, round *ledger.Round) (*batchv1.Job, error) {
	p := s.plans[v.Version]
	from := int64(0)
	if round.From > 0 {
		from = round.From + 1
	}
	return d.renderJob(ctx, s, p, step{of: v, name: roundStep, command: p.Replay.Command, spec: p.Replay.StepSpec, timeout: p.Replay.Timeout, once: true,
		log: s.windowOf(v).Name(), env: []corev1.EnvVar{
			{Name: replayFromVariable, Value: strconv.FormatInt(from, 10)}, {Name: replayUntilVariable, Value: strconv.FormatInt(round.Until, 10)},
		}}, int(round.Number))
}

// start lets the round's Job run, as the only one that ever will, and takes away
// those of earlier rounds.
func (d rounds) start(ctx context.Context, s *scope, v *ledger.Version, round *ledger.Round, job *batchv1.Job) error {
	for i := range s.jobs {
		if old := &s.jobs[i]; old.Labels[v1alpha1.LabelStage] == roundStep && old.Annotations[v1alpha1.AnnotationBuild] == v.Build.String() && attemptOf(old) < int(round.Number)-1 {
			if err := d.remove(ctx, old); err != nil {
				return err
			}
		}
	}
	if err := s.ledger.StartRound(ctx, v, round.Number, string(job.UID)); err != nil {
		return err
	}
	begin := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"suspend":false}}`))
	if err := d.Client.Patch(ctx, job.DeepCopy(), begin, client.FieldOwner(FieldManager)); err != nil {
		return fmt.Errorf("let Job %s run: %w", job.Name, err)
	}
	return nil
}

// judgeRoundJob does not wait for a Job's controller: its only pod that ended
// with 0 has done it.
func judgeRoundJob(job *batchv1.Job, pods []corev1.Pod) verdict {
	state := judgeJob(job, pods)
	if state.done || state.failed {
		return state
	}
	for i := range pods {
		if pods[i].Status.Phase == corev1.PodSucceeded {
			return verdict{done: true}
		}
	}
	if state.reason != "" {
		state.message += " (this round keeps what its Job was made with, until its timeout; the next one has what is corrected)"
	}
	return state
}
