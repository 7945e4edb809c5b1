// Package docs tests the documents of this repository: links lead somewhere,
// commands work or are known to be tested elsewhere, manifests are accepted and
// statements run. It knows nothing of what the documents say.
package docs
