// Package config carries the manifests that install the operator, for programs
// that install it. It reads nothing and decides nothing: what they mean is told
// by config/default, and what is done with them by internal/install.
package config

import "embed"

// Files are the manifests that config/default names, by their paths below this
// folder.
//
//go:embed default/kustomization.yaml crd rbac manager
var Files embed.FS
