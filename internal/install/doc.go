// Package install puts the operator into a cluster: the manifests of
// config/default, for an image and a namespace, by server-side apply.
//
// It looks before it acts, and refuses with what to do when the cluster has
// something that it would break: a definition of releases that is newer, an
// installation that Helm looks after, an operator in another namespace. It
// deletes nothing, and installs no release.
package install
