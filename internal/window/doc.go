// Package window shows a part of a log to a program that cannot be told where to
// stop: a database with one table, of the log's name and columns, that holds the
// rows of from < position ≤ until and no others.
//
// The database lies beside the versions' databases and belongs to their account.
// A version's role may read the table and nothing else. Rows are copied from the
// source in pieces. Each is one transaction that also moves the mark up to which
// the window is filled, so that a copy which was interrupted goes on there. When the
// log's columns change, the table is made anew and filled from the beginning.
//
// The name holds a nonce that nobody can guess and that was recorded before, so
// that whatever has the name is ours.
//
// The package does not decide what a window holds, nor when it may change: no
// program may be reading it while it is filled.
package window
