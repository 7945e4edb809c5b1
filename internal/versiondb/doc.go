// Package versiondb makes and removes what a version has on the Postgres
// servers: its database, its two roles and their rights.
//
// # Ownership
//
// Every database and role carries a Stamp (a COMMENT): the ledger's
// installation, the release, the version and the build's nonce. What is not
// stamped, or stamped by somebody else, is never adopted, altered or dropped:
// making returns a *ForeignError and changes nothing, removing passes over it.
//
// CREATE DATABASE cannot run in a transaction, so that a crash can leave a
// database without its stamp. The database is therefore made under a name that
// holds the build's nonce, which nobody can guess and which the ledger recorded
// before; the stamp and the final name are given in one transaction. Whoever
// finds the final name finds the stamp. Removal is the same way back: the stamp
// is checked and the database renamed to a tombstone in one transaction, and
// only tombstones are dropped.
//
// # Rights
//
// The operator's account owns the databases, so that a version can neither
// drop nor re-stamp its own. The owner-side role owns the tables and reads the
// log. The app role reads both and may append while it is granted.
//
// The package does not decide when any of this should happen, keeps no state
// and knows nothing of Kubernetes.
package versiondb
