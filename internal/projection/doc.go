// Package projection builds a version's database from the log and keeps it
// current.
//
// It knows no reciter: a [Model] brings the decoders, projectors and tables of
// an edition. It runs no migrations and opens no database but the two it is
// given.
//
// # One engine
//
// [Replay] builds an empty database up to a watermark of the log and then makes
// the indexes that only readers need. [Follow] goes on from there in small
// steps, for ever or up to a position. What a batch of events does to the
// database is the same code in both, so it cannot differ: the projectors say
// which rows the events need, the engine looks these up in one round trip, the
// projectors apply the events in order to the rows in memory, and the net change
// is written together with the checkpoint.
//
// One or more batches are a chunk, and a chunk is one transaction. Follow has
// chunks of one batch and writes each in a single round trip. Replay has long
// ones: what only grows, such as the revisions, is written batch by batch, but a
// row that many events of the chunk change is written once, in place. It reads
// and decodes, folds, and writes side by side, each in a session of its own:
//
//	log ──▶ read, decode ──▶ fold ──▶ write ──▶ version's database
//	                          ▲ look up               │
//	                          └───────────────────────┘
//
// So a chunk is folded while the one before is still being written, and looking
// up shows the database without it. That is right because the rows of a chunk
// stay in memory until it is committed, and a row in memory always wins. Rows
// beyond that stay as long as there is room, and memory is bounded by that room
// and the chunk, not by the log.
//
// # Exactly once
//
// Every batch moves the checkpoint with
//
//	UPDATE checkpoint SET position = <new> … WHERE position = <previous> AND epoch = <mine>
//
// in its chunk's transaction, which fails when that finds no row. So a chunk is
// applied completely or not at all, never after another one has been applied in
// its place, and two appliers wait for each other at the checkpoint's row. An
// applier holds a session lock of its database as long as it works, which keeps
// two from taking turns; the epoch, raised by each new applier, is what makes a
// sleeping one harmless. A new applier waits for a working one, and ends the
// session of one that has been silent: a lost node's session may hold its lock
// for hours.
//
// A follower's transactions do not wait for the disk. A crash of the version's
// server may take back the last ones, and with them the checkpoint that counted
// them; they are applied again. What is reported is on the disk: twice a second,
// if there is news, one transaction waits for it.
//
// # Waking up
//
// Follow polls the log: a few milliseconds after an event, then less and less
// often, down to ten times a second. A notification from the writers would be
// prompt after a long pause too, but NOTIFY takes one lock for the whole server
// at commit, so that all writers commit one after the other: with eight of them
// and no disk to wait for it cost three fifths of the appends.
//
// # When a server goes away
//
// Replay returns an error: its Job starts again and resumes after the last chunk
// that was committed.
// Follow begins again from the checkpoint with new sessions, a new epoch and a
// new reader, exactly as a new process would.
package projection
