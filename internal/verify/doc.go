// Package verify proves that a version's database is what the log says, at a
// pinned position: the checkpoint of one snapshot of the database.
//
// Each proof is a named check with a figure and, when it fails, at most ten
// keys to look at; payloads never leave the databases.
//
//   - checkpoint, schema, indexes, statistics: the database is built to the end,
//     by this edition, and its checkpoint remembers events of this log.
//   - events-known, completeness: every kind of event is handled or knowingly
//     ignored, and each projector has handled exactly the events it should.
//   - reciters-content, albums-content: the last revision of every entity that
//     ever lived is what one statement over the log makes of it.
//   - the invariants: rows equal their last revisions, revisions are numbered
//     without holes, nothing is orphaned, slugs are unique.
//
// Together these cover the rows column by column, but for slugs, of which only
// the uniqueness is proven: they depend on who had a name first. Of revisions
// before the last one the number is proven and the content is not.
//
// Most of this is settled by one statement over the log and one over the rows,
// which add up hashes and count what breaks an invariant. Only when something is
// wrong is each check made by itself, to say what and where.
//
// An [Audit] proves the same of what was applied after a proven position, by the
// events since and what they name; an [Auditor] does it beside a follower.
//
// The checks share no code with the engine that built the database, so that a
// mistake of the engine cannot excuse itself. Memory is bounded whatever the
// size of the log; the servers sort on disk.
//
// The package writes nothing and repairs nothing. What a failed check means for
// a release is decided by the operator.
package verify
