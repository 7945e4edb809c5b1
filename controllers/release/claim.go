package release

import (
	"context"
	"fmt"
	"strconv"

	corev1 "k8s.io/api/core/v1"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

// claim writes this operator's epoch on the release's Services, once, before it
// changes anything that serves. From then on an operator that had the release before, and
// does not know that it lost it, can change none of them: what it has read is
// out of date, and what it reads now has a higher epoch. Services that are
// missing are made here, so that it cannot make them either.
func (r *Reconciler) claim(ctx context.Context, s *scope) error {
	if known, ok := r.claimed.Load(s.key()); ok && known == s.ledger.Epoch() {
		return nil
	}
	if err := s.overtake(ctx); err != nil {
		return err
	}
	for i := range s.services {
		service := &s.services[i]
		if !s.owns(service) {
			continue
		}
		changed := service.DeepCopy()
		changed.Annotations = merged(changed.Annotations, s.epochAnnotation())
		if err := r.patchService(ctx, s, service, changed); err != nil {
			return err
		}
	}
	if err := r.claimLive(ctx, s); err != nil {
		return err
	}
	r.claimed.Store(s.key(), s.ledger.Epoch())
	return nil
}

// claimLive leads the Services to the live version. It may have become live just
// before the operator ended, so it gets its right to append first: clients would
// be refused otherwise.
func (r *Reconciler) claimLive(ctx context.Context, s *scope) error {
	live := s.live()
	if live == nil || s.plans[live.Version] == nil {
		return nil
	}
	if !s.canAppend(live) {
		if err := s.allowAppending(ctx, live); err != nil {
			return err
		}
	}
	return r.ensureServices(ctx, s, live)
}

// overtake takes an epoch above those on the Services. Only a ledger that was
// restored from a backup lags behind them; to an operator that was taken over,
// the ledger says so.
func (s *scope) overtake(ctx context.Context) error {
	highest := int64(0)
	for i := range s.services {
		if s.owns(&s.services[i]) {
			highest = max(highest, epochOf(&s.services[i]))
		}
	}
	if highest <= s.ledger.Epoch() {
		return nil
	}
	if err := s.ledger.Overtake(ctx, highest); err != nil {
		return fmt.Errorf("take the Services over: %w", err)
	}
	return nil
}

// epochOf is the epoch that a Service carries, 0 when it has none.
func epochOf(service *corev1.Service) int64 {
	epoch, err := strconv.ParseInt(service.Annotations[v1alpha1.AnnotationEpoch], 10, 64)
	if err != nil {
		return 0
	}
	return epoch
}

func (s *scope) epochAnnotation() map[string]string {
	return map[string]string{v1alpha1.AnnotationEpoch: strconv.FormatInt(s.ledger.Epoch(), 10)}
}
