//go:build argocd

package argocd

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// gitRepository is a Git repository with a copy of config/samples and of what
// config/argocd says of it, and a server for it.
type gitRepository struct {
	folder, url string
}

func newGitRepository(t *testing.T, namespace, prefix string) *gitRepository {
	t.Helper()
	base := t.TempDir()
	g := &gitRepository{folder: filepath.Join(base, "library")}
	for from, to := range map[string]string{"config/samples": "samples", "config/argocd/release": "argocd/release"} {
		if err := os.CopyFS(filepath.Join(g.folder, to), os.DirFS(filepath.Join(shared.Root, from))); err != nil {
			t.Fatal(err)
		}
	}
	g.write(t, "deploy/kustomization.yaml", "namespace: "+namespace+"\nresources:\n  - ../argocd/release\n")
	g.edit(t, manifest, "  databases:\n", "  databases:\n    prefix: "+prefix+"\n")
	g.run(t, "init", "--quiet", "--initial-branch", "main")
	g.commit(t, "Release "+first)

	address := freeAddress(t)
	cmd := exec.Command("git", "daemon", "--base-path="+base, "--export-all", "--reuseaddr", "--listen=127.0.0.1", "--port="+port(address), base)
	cmd.Env = g.environment()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	reachable(t, address)
	g.url = "git://" + address + "/library"
	return g
}

// edit replaces a text in a file. It must be there, once.
func (g *gitRepository) edit(t *testing.T, file, old, replacement string) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(g.folder, file))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(content), old) != 1 {
		t.Fatalf("%s has %q not once:\n%s", file, old, content)
	}
	g.write(t, file, strings.Replace(string(content), old, replacement, 1))
}

func (g *gitRepository) write(t *testing.T, file, content string) {
	t.Helper()
	path := filepath.Join(g.folder, file)
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (g *gitRepository) commit(t *testing.T, subject string) {
	t.Helper()
	g.run(t, "add", "--all")
	g.run(t, "commit", "--quiet", "--message", subject)
}

func (g *gitRepository) run(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", args...)
	cmd.Dir, cmd.Env = g.folder, g.environment()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func (g *gitRepository) environment() []string {
	return append(os.Environ(), "HOME="+filepath.Dir(g.folder), "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=Test", "GIT_AUTHOR_EMAIL=test@example.com", "GIT_COMMITTER_NAME=Test", "GIT_COMMITTER_EMAIL=test@example.com")
}
