// Package release reconciles NawhasReleases: it takes spec.version from nothing
// to live, keeps what is live as it should be, and removes what is no longer
// wanted.
//
// # How a pass goes
//
//	gather    the object, the ledger, the log's head, what the cluster has
//	stages    DatabaseReady → Migrated → Replayed → Verified → CaughtUp → Switched → Fenced
//	          each in a file of its own, each the owner of one condition; the first
//	          that is not passed ends the way
//	upkeep    pods, followers and Services of every version; retirement
//	summary   Available, Ready, Reconciling, Stalled, RollbackReady
//	status    one patch, whatever happened before
//
// A stage is passed on positive evidence only, which the ledger keeps: a Job
// that is gone proves nothing. Every side effect is idempotent, so that the
// operator may end between any two of them; the next pass goes on from what the
// ledger says. Decisions are pure functions of what was gathered (judge…).
//
// The package does not read events, know what a reciter is, or run SQL of its
// own: the log, the ledger and the databases have packages under internal/.
package release
