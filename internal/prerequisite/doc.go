// Package prerequisite says what a cluster lacks for the operator to work: the
// definition of NawhasRelease as this operator knows it, the right to watch what
// it watches, and nobody else who does the same. Without it the operator would
// drop what it does not know, wait for ever, or take releases from another one
// and lose them again.
//
// It only looks. Each answer is an error that tells people what to do.
package prerequisite
