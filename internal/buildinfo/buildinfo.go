// Package buildinfo holds what the linker stamps into every binary of this
// repository. It does not decide anything: what a version knows is the
// business of the edition that carries its number.
package buildinfo

// Version is the released version, N.N.N with an optional pre-release. It is
// set at link time with -X; a plain `go build` is the newest edition.
var Version = "3.1.2"

// Commit is the source revision the binary was built from, or "unknown".
var Commit = "unknown"

// Operator is the version of the operator and of what belongs to it: the
// plugin, the manifests. Images carry it as their tag.
var Operator = "dev"
