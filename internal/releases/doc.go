// Package releases finds NawhasReleases in a cluster with what belongs to
// them, and changes what people may change in their specs.
//
// It reads and patches with the rights of whoever runs it and waits for
// nothing. What a change should be is decided by pure functions of the release
// (Promotion, Abort, Rollback, Retry); Explain turns the errors of a cluster
// into what to do about them.
package releases
