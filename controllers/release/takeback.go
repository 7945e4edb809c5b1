package release

import (
	"context"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"
)

const (
	// firstTakeBack is how long a release that another operator has taken over is
	// left to it. Each further time is twice as long as the one before, so that two
	// operators which nobody chose between come to rest.
	firstTakeBack = 10 * time.Second
	lastTakeBack  = 10 * time.Minute
)

// displacement is what is known of a release that another operator has taken
// over, once or again and again.
type displacement struct {
	times int
	// until is when it is taken back, or was.
	until   time.Time
	pending bool
}

// next decides what to do about a release that is another operator's: wait, or
// take it back when there is nothing to wait for. What happened long ago does not
// count.
func (d displacement) next(now time.Time) (after displacement, wait time.Duration) {
	if d.pending {
		wait = max(0, d.until.Sub(now))
		d.pending = wait > 0
		return d, wait
	}
	if now.Sub(d.until) > lastTakeBack {
		d.times = 0
	}
	wait = min(firstTakeBack<<min(d.times, 10), lastTakeBack)
	return displacement{times: d.times + 1, until: now.Add(wait), pending: true}, wait
}

// takeBack takes a release back from another operator when it is time: by opening
// the ledger anew, as an operator that has just been started would. The other one
// may have been a former leader whose last write was late, and be gone. It
// returns when to look again.
//
// It must have been an operator of this cluster, which knows the same object. A
// release of that name in another cluster has a right of its own to the ledger,
// until it was deleted.
func (r *Reconciler) takeBack(ctx context.Context, s *scope) time.Duration {
	if s.ledger == nil {
		return pollSlow
	}
	holder, err := s.ledger.Holder(ctx)
	isNobodys := holder == "" && !s.release.DeletionTimestamp.IsZero()
	if err != nil || holder != string(s.release.UID) && !isNobodys {
		return pollSlow
	}
	known, _ := r.displaced.Load(s.key())
	d, _ := known.(displacement)
	d, wait := d.next(s.now)
	r.displaced.Store(s.key(), d)
	if wait > 0 {
		return wait
	}
	ctrl.LoggerFrom(ctx).Info("takes the release back from another operator of this cluster", "times", d.times)
	r.servers.reopen(s.key())
	r.suitable.Delete(s.key())
	r.claimed.Delete(s.key())
	for _, v := range s.versions {
		r.equipped.Delete(s.key() + " " + v.Version)
	}
	return pollFast
}
