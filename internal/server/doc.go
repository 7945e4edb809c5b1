// Package server is the HTTP API of Nawhas' library: reciters, their albums,
// the revisions of both, and uploaded images.
//
// Every command is checked against the version's database and appends one
// event to the log; every read comes from the version's database alone. A
// client that carries the position of its last write (Nawhas-Position) from one
// request to the next reads what it wrote, whichever version answers.
//
// The package does not apply events and does not wait for its own writes: a
// follower does the first, and the second is the reader's choice. It knows
// nothing of Kubernetes and does not decide whether its version may write; the
// log's grants do.
package server
