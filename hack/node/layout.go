package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// maxStateLength keeps the longest socket below the state folder within the
// 108 bytes that Linux allows in the address of a Unix socket.
const maxStateLength = 70

// layout says where the files of one checkout's node are.
type layout struct {
	checkout  string // the folder of the repository
	id        string // a short hash of it, in names that are global to the machine
	programs  string // the Kubernetes programs
	state     string // everything the node writes, but for Postgres' data
	link      string // where people look for the state
	namespace string // the network namespace
}

// newLayout derives everything from the place of this program, which the
// Makefile builds as bin/local-node.
func newLayout() (layout, error) {
	self, err := os.Executable()
	if err != nil {
		return layout{}, fmt.Errorf("find the place of this program: %w", err)
	}
	self, err = filepath.EvalSymlinks(self)
	if err != nil {
		return layout{}, fmt.Errorf("find the place of this program: %w", err)
	}
	bin := filepath.Dir(self)
	hash := sha256.Sum256([]byte(filepath.Dir(bin)))
	home := layout{
		checkout: filepath.Dir(bin),
		id:       hex.EncodeToString(hash[:4]),
		programs: filepath.Join(bin, "kubernetes"),
		state:    filepath.Join(bin, "node"),
		link:     filepath.Join(bin, "node"),
	}
	home.namespace = "nawhas-" + home.id
	if len(home.state) > maxStateLength {
		home.state = "/var/tmp/nawhas-node-" + home.id
	}
	return home, nil
}

// path is a file below the state folder.
func (l layout) path(elements ...string) string {
	return filepath.Join(append([]string{l.state}, elements...)...)
}

// program is one of the Kubernetes programs of this checkout.
func (l layout) program(name string) string { return filepath.Join(l.programs, name) }

// prepare makes the folders and, when the state had to be elsewhere, a link to
// it at the place where people look.
func (l layout) prepare() error {
	for _, folder := range []string{"pid", "log", "pki", "run", "etc"} {
		if err := os.MkdirAll(l.path(folder), 0o700); err != nil {
			return fmt.Errorf("make the state folder: %w", err)
		}
	}
	if l.link == l.state {
		return nil
	}
	if err := os.Symlink(l.state, l.link); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("link the state folder: %w", err)
	}
	return nil
}

// write replaces a configuration file below the state folder.
func (l layout) write(name, content string) error {
	path := l.path(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("make the folder of %s: %w", name, err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}
