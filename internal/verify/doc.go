// Package verify proves that a version's database is what the log says, at a
// pinned position: the checkpoint of one snapshot of the database.
//
// Each proof is a named check with a figure and, when it fails, at most ten
// keys to look at; payloads never leave the databases. The checks are plain SQL
// and simple comparisons of streams. They share no code with the engine that
// built the database, so that a mistake of the engine cannot excuse itself, and
// they use a bounded amount of memory whatever the size of the log.
//
// The package writes nothing and repairs nothing. What a failed check means for
// a release is decided by the operator.
package verify
