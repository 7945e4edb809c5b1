package release

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/ledger"
)

// giveUpAfter bounds for how long a deletion fails again and again, as when a
// server does not answer: a finalizer must not hold a namespace for ever.
const giveUpAfter = 10 * time.Minute

// finalize takes the versions' rights away and, with deletionPolicy Delete,
// drops their databases. Kubernetes removes the objects afterwards.
func (r *Reconciler) finalize(ctx context.Context, s *scope) (ctrl.Result, error) {
	if !controllerutil.ContainsFinalizer(s.release, v1alpha1.Finalizer) {
		return ctrl.Result{}, nil
	}
	left, err := r.takeAway(ctx, s)
	switch {
	case errors.Is(err, errBusy):
		return ctrl.Result{}, err
	case err == nil && left == "":
		return ctrl.Result{}, r.release(ctx, s)
	case err == nil:
		r.failing.Delete(s.key())
		s.setCondition(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonDeleting, left)
		s.setCondition(v1alpha1.ConditionReconciling, metav1.ConditionTrue, v1alpha1.ReasonDeleting, left)
		s.setCondition(v1alpha1.ConditionStalled, metav1.ConditionFalse, v1alpha1.ReasonDeleting, left)
		return ctrl.Result{RequeueAfter: pollProgress}, nil
	}
	if holder, isAnother := s.otherHolder(ctx, err); isAnother {
		r.event(s, eventWarning, "LeftToHolder", fmt.Sprintf("deleted without touching a database, role or right, because the ledger says that another object holds this release by now (UID %s). "+
			"If there is no such object any more, apply the release again and then delete it", holder))
		return ctrl.Result{}, r.release(ctx, s)
	}
	if r.hopeless(ctx, s, err) {
		r.event(s, eventWarning, "LeftBehind", "deleted with what is left of its databases and roles, because they could not be taken away: "+err.Error())
		return ctrl.Result{}, r.release(ctx, s)
	}
	return r.tellDeletion(ctx, s, err), nil
}

// otherHolder is the object that holds the release by now, if it is another one:
// that of the same name in another cluster. What there is belongs to it then.
func (s *scope) otherHolder(ctx context.Context, err error) (string, bool) {
	if held, ok := errors.AsType[*ledger.HeldError](err); ok {
		return held.Holder, true
	}
	if !errors.Is(err, ledger.ErrSuperseded) || s.ledger == nil {
		return "", false
	}
	holder, err := s.ledger.Holder(ctx)
	return holder, err == nil && holder != "" && holder != string(s.release.UID)
}

// tellDeletion says why a deletion cannot go on, and for how long it is tried.
func (r *Reconciler) tellDeletion(ctx context.Context, s *scope, err error) ctrl.Result {
	problem := explain(err)
	again := pollProgress
	if problem.known() {
		again = pollSlow
	}
	message := "what it has on the servers cannot be taken away: " + problem.message
	switch since, failing := r.failing.Load(s.key()); {
	case errors.Is(err, ledger.ErrSuperseded):
		again = r.takeBack(ctx, s)
	case failing:
		message += "; at " + since.(time.Time).Add(giveUpAfter).UTC().Format(time.RFC3339) + " the release goes all the same, and leaves the rest behind"
	}
	r.metrics.failed(problem.reason)
	ctrl.LoggerFrom(ctx).Info("the deletion cannot go on", "reason", problem.reason, "problem", err.Error())
	s.setCondition(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonDeleting, message)
	s.setCondition(v1alpha1.ConditionReconciling, metav1.ConditionFalse, problem.reason, message)
	s.setCondition(v1alpha1.ConditionStalled, metav1.ConditionTrue, problem.reason, message)
	return ctrl.Result{RequeueAfter: again}
}

// takeAway does one pass of the removal and says what is left, "" for nothing.
func (r *Reconciler) takeAway(ctx context.Context, s *scope) (left string, err error) {
	if err := r.gatherCluster(ctx, s); err != nil {
		return "", err
	}
	if err := r.prepare(ctx, s); err != nil {
		return "", err
	}
	if err := r.check(ctx, s); err != nil {
		return "", err
	}
	if err := r.gatherDatabases(ctx, s); err != nil {
		return "", err
	}
	if s.release.Spec.DeletionPolicy != v1alpha1.DeletionDelete {
		if err := r.forbidAll(ctx, s); err != nil {
			return "", err
		}
		return "", s.ledger.LetGo(ctx)
	}
	if err := s.ledger.RetireAll(ctx); err != nil {
		return "", err
	}
	if err := s.reload(ctx); err != nil {
		return "", err
	}
	versions := s.versions
	for _, v := range versions {
		if err := r.retire(ctx, s, v); err != nil {
			return "", err
		}
	}
	if len(s.versions) > 0 {
		return fmt.Sprintf("removing version %s; waiting for its pods to end", s.versions[0].Version), nil
	}
	return "", s.ledger.LetGo(ctx)
}

// forbidAll takes every version's right to append. The databases stay, and the
// ledger still knows them: the same release, applied again, goes on with them.
func (r *Reconciler) forbidAll(ctx context.Context, s *scope) error {
	for _, v := range s.versions {
		if v.LastRound() != nil {
			if err := s.dropWindow(ctx, v); err != nil {
				return err
			}
		}
		if !s.canAppend(v) {
			continue
		}
		if err := s.forbidAppending(ctx, v); err != nil {
			return err
		}
	}
	return nil
}

// hopeless reports whether waiting is of no use: the Secret with the connection
// is gone, as in a namespace that is being deleted, the source knows nothing of
// the release, or it has failed for too long.
func (r *Reconciler) hopeless(ctx context.Context, s *scope, err error) bool {
	if errors.Is(err, ledger.ErrSuperseded) {
		return false
	}
	if _, gone := errors.AsType[*secretError](err); gone {
		return true
	}
	if _, foreign := errors.AsType[*ledger.ForeignError](err); foreign {
		return true
	}
	if r.isEnding(ctx, s.release.Namespace) {
		return true
	}
	since, _ := r.failing.LoadOrStore(s.key(), s.now)
	return s.now.Sub(since.(time.Time)) > giveUpAfter
}

// isEnding reports whether a namespace is being deleted. It is asked of the API
// server: a cache would watch namespaces, which the operator has no right to, and
// never be ready.
func (r *Reconciler) isEnding(ctx context.Context, name string) bool {
	reader := r.Live
	if reader == nil {
		reader = r.Client
	}
	namespace := &corev1.Namespace{}
	err := reader.Get(ctx, client.ObjectKey{Name: name}, namespace)
	return err == nil && !namespace.DeletionTimestamp.IsZero()
}

func (r *Reconciler) release(ctx context.Context, s *scope) error {
	r.servers.forget(client.ObjectKeyFromObject(s.release))
	r.suitable.Delete(s.key())
	r.claimed.Delete(s.key())
	r.displaced.Delete(s.key())
	r.failing.Delete(s.key())
	before := s.release.DeepCopy()
	controllerutil.RemoveFinalizer(s.release, v1alpha1.Finalizer)
	err := r.Client.Patch(ctx, s.release, client.MergeFrom(before))
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("remove the finalizer of release %s: %w", s.release.Name, err)
	}
	return nil
}
