// Package ledger is the journal of releases, kept in the source database: which
// versions a release has, what each one is for, which stages it passed and on
// what evidence, and how far each version's database is.
//
// Kubernetes' objects can be lost and applied anew; the ledger then still says
// which version is live and whose the databases are. What happens to a version
// is one transaction that changes its row and appends to the journal.
//
// Each operator process takes an epoch when it opens the ledger. A write under
// an older epoch is refused (ErrSuperseded), so that an operator which lost its
// leadership without noticing cannot change anything here.
//
// The package does not decide what should happen, and reads no log: positions
// are numbers to it.
package ledger
