// Package support makes the bundle that somebody who asks for help hands in:
// the release and what belongs to it, Events, logs and the operator's version.
//
// Secrets are never read. What logs, messages and manifests hold of passwords
// and of events' payloads is taken out before anything is written (Redact,
// redactObject). What could not be read is named in the bundle.
package support
