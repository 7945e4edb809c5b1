// Package screen says what a release is doing, for people and for scripts.
//
// Of sums a NawhasRelease and its Deployments up; Tree, Line and History draw
// what was summed up. All of it is pure: no cluster, no clock and no terminal
// is asked, and the same release gives the same lines.
package screen
