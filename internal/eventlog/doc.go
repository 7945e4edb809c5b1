// Package eventlog appends to the log of events and reads it back without
// missing one.
//
// It does not know what an event means, keeps no checkpoint and opens no
// connection: callers bring theirs. It reaches the log through a [Table],
// because other applications' logs have other names, lack ids, or are written
// in other ways: an UPDATE of the row that was just inserted takes the same lock
// on the table, so that what follows about writers holds for it, too.
//
// # Why "position > last" is not enough
//
// Postgres draws a position when a row is inserted and shows the row when its
// transaction commits. A writer may draw 7 and commit after the writer of 8.
// A reader that has seen 8 and asks for "position > 8" never sees 7.
//
// # The frontier
//
// The frontier is the highest position below which nothing can still appear.
// Positions without a hole need no proof: everything up to the last of them
// has been seen. At a hole the reader does three things, in this order and in
// separate statements:
//
//  1. It reads L, the last position the sequence has handed out.
//  2. It reads H, the transactions that hold a RowExclusiveLock on the table.
//  3. It waits until no member of H holds that lock any longer, and takes a
//     new snapshot.
//
// In the new snapshot every position up to L is visible or dead (rolled back
// for good). Proof: let p ≤ L be a position. It was drawn before L was read.
// The INSERT or COPY that drew it had taken the table lock before it drew,
// and Postgres lets go of that lock only when the row's fate can be seen: on
// commit after the transaction has left the list of running ones, on
// rollback (of the transaction or of the savepoint around the insert) after
// it is marked aborted. So when H was read, later than L, either the lock was
// already gone and the fate of p was settled, or its holder is a member of H
// and step 3 waited for it. In both cases a snapshot taken afterwards shows p
// or never will. ∎
//
// The order matters: H before L would miss a writer that starts in between
// and draws a position below L. So does the new snapshot: one from before
// step 3 may predate the commit. A reader inside a REPEATABLE READ
// transaction would keep its old snapshot; connections given to this package
// for reading must not be in one.
//
// A member of H is named by its virtual transaction id, which a server never
// reuses while it runs; across a restart an equal name only makes the reader
// wait longer. A transaction that is prepared for two-phase commit may go on
// under another name, so a prepared holder always counts as a member.
//
// A hole at the very end is never passed: the reader stops at the position of
// a real event. After a crash Postgres may hand out again positions that only
// lost transactions had drawn, but never one below an event that was
// committed, because that commit made the sequence's state durable too. What
// a [Reader] has learned about holes is therefore valid for one session: a
// crash of the server ends the session and with it the Reader.
//
// None of this blocks a writer or needs a column in the log. Only a
// transaction that has itself appended can hold the frontier back; [Log.Watermark]
// names it by its process id and age when the caller's patience ends.
//
// # What the log must be
//
// [Log.Check] refuses what would break the proof or the order: a replica, a
// position without a sequence, a sequence that hands out blocks of positions
// to sessions (CACHE above 1) or that goes round, missing keys and rights.
package eventlog
