// Package library is Nawhas' domain: the events that happened to reciters and
// albums, the projectors that turn them into rows, and the editions that say
// which migrations and projectors a released version has.
//
// It does not read the log, keep checkpoints or open connections: the engines
// in internal/eventlog and internal/projection do. It knows nothing of
// Kubernetes or HTTP.
package library
