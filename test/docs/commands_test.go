package docs

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// command is one that a document tells people to type.
type command struct {
	text string
	// elsewhere says why it is not run here, and which suite runs it or the like.
	// Empty is a command that is run here.
	elsewhere string
	// given is the recording that the release in namespace library is in; empty
	// leaves it as it is.
	given string
	// lasts says that the command goes on until it is ended.
	lasts bool
	// says is what it prints.
	says string
}

// here are the commands that are run here, in this order: a story that begins on
// an API server that knows nothing of releases.
var here = []command{
	{text: "kubectl create namespace library", says: "created"},
	{text: "kubectl -n library create secret generic nawhas-source --from-literal=url='postgres://nawhas_source:choose-one@db.example.com:5432/source?sslmode=verify-full'", says: "created"},
	{text: "kubectl -n library create secret generic nawhas-databases --from-literal=url='postgres://nawhas_databases:choose-another@db.example.com:5432/postgres?sslmode=verify-full'", says: "created"},
	{text: "kubectl apply -f source-init.yaml", says: "job.batch/nawhas-source-init created"},
	{text: "kubectl nawhas install --image registry.example.com/nawhas-operator:v0.1.0", says: "created    Deployment nawhas-operator"},
	{text: "kubectl apply --server-side -f release.yaml", says: "nawhas serverside-applied"},
	{text: "kubectl nawhas status nawhas -n library --wait --timeout 30m", given: "settled", says: "live 3.1.2 wanted 3.1.2"},
	{text: "kubectl nawhas plan nawhas -n library --version 3.2.0", says: "create database nawhas_v3_2_0"},
	{text: "kubectl nawhas status nawhas -n library -w", given: "replaying", lasts: true, says: "replaying 61 %"},
	{text: "kubectl nawhas dashboard -n library --open", lasts: true, says: "shows the releases"},
	{text: "kubectl nawhas dashboard --open", lasts: true, says: "shows the releases"},
	{text: "kubectl nawhas install --upgrade --image registry.example.com/nawhas-operator:v0.2.0", says: "changed    Deployment nawhas-operator"},
	{text: "kubectl nawhas status -n library", says: "61 %"},
	{text: "kubectl nawhas status", given: "failed", says: "✘ verifying"},
	{text: "kubectl nawhas status -w | cat", lasts: true, says: "✘ verifying"},
	{text: "kubectl nawhas status nawhas --wait --timeout 30m || kubectl nawhas report nawhas", says: "wrote nawhas-report-nawhas.tar.gz"},
	{text: "kubectl nawhas plan --version 3.3.0", given: "switched", says: "Releasing version 3.3.0"},
	{text: "kubectl nawhas history", says: "WARM FOR"},
	{text: "kubectl get nr nawhas -o jsonpath='{.status.conditions[?(@.type==\"RollbackReady\")].message}'", says: "version 3.1.2 can come back without losing anything"},
	{text: "kubectl -n NS describe nr NAME", says: "Reason:                Live"},
	{text: "kubectl -n NS get nr NAME -o jsonpath='{range .status.conditions[*]}{.type}={.status} {.reason}: {.message}{\"\\n\"}{end}'", says: "Ready=True Live: version 3.2.0 is live"},
	{text: "kubectl create clusterrole nawhas-operator-metrics-reader --verb=get --non-resource-url=/metrics", says: "created"},
	{text: "kubectl create clusterrolebinding me-reader --clusterrole nawhas-operator-metrics-reader --serviceaccount default:default", says: "created"},
	{text: "kubectl annotate nr nawhas releases.nawhas.com/hold=3.1.2", says: "annotated"},
	{text: "kubectl get nr", says: "3.2.0     3.2.0   Live"},
	{text: "kubectl wait nr/nawhas --for=condition=Ready --timeout=5m", says: "condition met"},
	{text: "kubectl nawhas promote", given: "waiting", says: "version 3.2.0 may go live"},
	{text: "kubectl nawhas abort", given: "replaying", says: "nawhas: "},
	{text: "kubectl nawhas install --dry-run", given: "upgraded", says: "unchanged"},
	{text: "kubectl nawhas install", says: "unchanged"},
	{text: "kubectl delete nr --all --all-namespaces", says: "deleted"},
}

// elsewhere are the commands that need more than this package has.
var elsewhere = []command{
	{text: "make test", elsewhere: "it runs this test"},
	{text: "make demo", elsewhere: "it needs a node; test/e2e does the same on one"},
	{text: "make plugin", elsewhere: "this test builds the plugin the same way"},
	{text: "make plugin && install bin/kubectl-nawhas /usr/local/bin/", elsewhere: "it writes outside of the repository"},
	{text: "make cluster-up", elsewhere: "make test-e2e starts the node with it"},
	{text: "make cluster-down", elsewhere: "CI ends with it"},
	{text: "make bench", elsewhere: "it takes half an hour; hack/bench has tests of its own"},
	{text: "make bench BENCH='--only replay --rounds 5'", elsewhere: "as make bench"},
	{text: "make bench BENCH=--quick", elsewhere: "as make bench"},
	{text: "make bench-operator", elsewhere: "it takes half an hour; hack/operatorbench has tests of its own"},
	{text: "make bench-operator BENCH=--quick", elsewhere: "as make bench-operator"},
	{text: "make chaos", elsewhere: "it takes long, and is a suite of its own"},
	{text: "make chaos SEEDS=100", elsewhere: "as make chaos"},
	{text: "make chaos SEEDS=100 ONLY=17", elsewhere: "as make chaos"},
	{text: "make chaos MISSED=1", elsewhere: "as make chaos"},
	{text: "make chaos-points", elsewhere: "as make chaos"},
	{text: "make model", elsewhere: "it needs spin; hack/model has tests of its own"},
	{text: "go run ./hack/model --trail NO_WAIT", elsewhere: "as make model"},
	{text: "go run ./hack/model --trail DRAIN_BEFORE_FLIP", elsewhere: "as make model"},
	{text: "git clone https://github.com/nawhas/nawhas-operator && cd nawhas-operator", elsewhere: "it needs a network"},
	{text: "hack/cluster.sh run bin/kubectl-nawhas status -n nawhas", elsewhere: "it needs the node; cmd/kubectl-nawhas tests the command"},
	{text: "hack/cluster.sh run bin/kubectl-nawhas history -n nawhas", elsewhere: "as above"},
	{text: "hack/cluster.sh run bin/kubectl-nawhas rollback -n nawhas", elsewhere: "as above"},
	{text: "hack/cluster.sh run bin/kubectl-nawhas status -n nawhas --wait", elsewhere: "as above"},
	{text: "hack/cluster.sh run bin/kubectl-nawhas dashboard -n nawhas --address 127.0.0.1:8080", elsewhere: "as above"},
	{text: "bin/local-node forward 8080", elsewhere: "hack/node has tests of its own"},
	{text: "bin/local-node forward 8081 10.96.0.20:80", elsewhere: "as above"},
	{text: "hack/cluster.sh run bin/kubernetes/kubectl get pods -A", elsewhere: "it needs the node; make test-e2e runs kubectl on it"},
	{text: "hack/cluster.sh run sh", elsewhere: "it waits for somebody to type"},
	{text: "bin/local-node status", elsewhere: "hack/node has tests of its own"},
	{text: "bin/local-node kill postgres", elsewhere: "the tests of the node's faults do it"},
	{text: "bin/local-node start postgres", elsewhere: "as above"},
	{text: "bin/local-node kill containerd://ID", elsewhere: "as above"},
	{text: "kubectl -n library wait job/nawhas-source-init --for=condition=Complete --timeout=2m", elsewhere: "it needs a node, and a Postgres for its pod"},
	{text: "docker build --target manager --build-arg OPERATOR=v0.1.0 -t registry.example.com/nawhas-operator:v0.1.0 .", elsewhere: "it needs Docker and a registry; make images makes the same images without"},
	{text: "docker build --target nawhas --build-arg VERSION=3.1.2 -t registry.example.com/nawhas:3.1.2 .", elsewhere: "as above"},
	{text: "docker push registry.example.com/nawhas-operator:v0.1.0", elsewhere: "as above"},
	{text: "docker push registry.example.com/nawhas:3.1.2", elsewhere: "as above"},
	{text: "kubectl -n nawhas-operator rollout status deployment nawhas-operator", elsewhere: "it needs a node; make test-e2e waits with it"},
	{text: "kubectl -n nawhas-operator describe pod -l app.kubernetes.io/part-of=nawhas-operator | grep -A3 'Last State'", elsewhere: "it needs a pod that has ended, and so a node"},
	{text: "kubectl -n nawhas-operator logs deployment/nawhas-operator --previous | tail -1", elsewhere: "as above"},
	{text: "kubectl -n nawhas-operator port-forward deploy/nawhas-operator 8443 &", elsewhere: "it needs a running operator, and so a node"},
	{text: "curl -sk -H \"Authorization: Bearer $(kubectl create token default)\" https://localhost:8443/metrics | grep ^nawhas_", elsewhere: "as above"},
	{text: "helm install nawhas-operator . --namespace nawhas-operator --create-namespace --set image.repository=registry.example.com/nawhas-operator --set image.tag=v0.1.0", elsewhere: "make test-platform installs the chart"},
	{text: "helm uninstall nawhas-operator --namespace nawhas-operator", elsewhere: "as above"},
	{text: "kubectl create secret generic nawhas-source --from-literal=url='postgres://nawhas_source:…@host:5432/source?sslmode=verify-full'", elsewhere: "getting-started.md has the same, with passwords"},
	{text: "kubectl create secret generic nawhas-databases --from-literal=url='postgres://nawhas_databases:…@host:5432/postgres?sslmode=verify-full'", elsewhere: "as above"},
	{text: "nawhas verify --report", elsewhere: "cmd/nawhas tests it with a version's database"},
	{text: "cat > /usr/local/bin/kubectl_complete-nawhas <<'EOF'\n#!/bin/sh\nexec kubectl-nawhas __complete \"$@\"\nEOF", elsewhere: "it writes outside of the repository; cmd/kubectl-nawhas tests what it calls"},
	{text: "chmod +x /usr/local/bin/kubectl_complete-nawhas", elsewhere: "as above"},
}

// commandsOf reads what is to be typed in a block.
func commandsOf(b block) []string {
	var commands []string
	lines := strings.Split(strings.TrimRight(b.text, "\n"), "\n")
	for i := 0; i < len(lines); i++ {
		line, typed := strings.CutPrefix(strings.TrimSpace(lines[i]), "$ ")
		if b.language == "console" && !typed || line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if _, end, here := strings.Cut(line, "<<'"); here {
			end = strings.TrimSuffix(end, "'")
			for i++; i < len(lines) && lines[i] != end; i++ {
				line += "\n" + lines[i]
			}
			line += "\n" + end
		}
		commands = append(commands, strings.TrimSpace(comment.ReplaceAllString(line, "")))
	}
	return commands
}

var comment = regexp.MustCompile(`\s{2,}# .*$|\s+# .*$`)

// TestEveryCommandIsKnown finds commands in the documents that no test knows,
// and tests of commands that no document has any more.
func TestEveryCommandIsKnown(t *testing.T) {
	known := map[string]bool{}
	for _, c := range slices.Concat(here, elsewhere) {
		if known[c.text] {
			t.Errorf("two entries for %q", c.text)
		}
		known[c.text] = false
	}
	for _, d := range documents(t) {
		for _, b := range d.blocks {
			if b.language != "console" && b.language != "sh" {
				continue
			}
			for _, typed := range commandsOf(b) {
				if _, found := known[typed]; !found {
					t.Errorf("%s has a command that is not known here: %q", b.in(d), typed)
				}
				known[typed] = true
			}
		}
	}
	for text, found := range known {
		if !found {
			t.Errorf("no document has the command %q", text)
		}
	}
}

// TestCommandsWork types the commands that can be, against an API server.
func TestCommandsWork(t *testing.T) {
	s := newStage(t)
	s.file("release.yaml", manifestIn(t, "docs/getting-started.md", "kind: NawhasRelease"))
	s.file("source-init.yaml", manifestIn(t, "docs/getting-started.md", "kind: Job"))
	for _, c := range here {
		if c.given != "" && c.given != "upgraded" {
			s.record(c.given)
		}
		if c.given == "upgraded" {
			s.shell("kubectl nawhas install --upgrade")
		}
		if out := s.enter(c); !strings.Contains(out, c.says) {
			t.Errorf("%s\ndid not print %q but\n%s", c.text, c.says, out)
		}
	}
}

// enter runs a command as a user does, and returns what it printed.
func (s *stage) enter(c command) string {
	s.t.Helper()
	c.text = placeholders.Replace(c.text)
	if !c.lasts {
		return s.shell(c.text)
	}
	cmd := s.command(c.text)
	printed := &strings.Builder{}
	heard := make(chan struct{})
	cmd.Stdout = &listener{text: printed, wanted: c.says, heard: heard}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	select {
	case <-heard:
	case <-time.After(time.Minute):
	}
	endGroup(cmd)
	_ = cmd.Wait()
	return printed.String()
}

// placeholders are what readers fill in.
var placeholders = strings.NewReplacer(" NS ", " "+namespace+" ", " NAME", " nawhas")

// listener waits until something was printed.
type listener struct {
	text   *strings.Builder
	wanted string
	heard  chan struct{}
	done   bool
}

func (l *listener) Write(p []byte) (int, error) {
	l.text.Write(p)
	if !l.done && strings.Contains(l.text.String(), l.wanted) {
		l.done = true
		close(l.heard)
	}
	return len(p), nil
}

var (
	madeBy  = regexp.MustCompile("`make ([a-z0-9-]+)")
	plugged = regexp.MustCompile("`kubectl nawhas ([a-z]+)")
	target  = regexp.MustCompile(`(?m)^([a-z0-9-]+):`)
)

// TestNamesInTheTextAreThere looks for the targets of make and the commands of
// the plugin that sentences name.
func TestNamesInTheTextAreThere(t *testing.T) {
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	var targets []string
	for _, found := range target.FindAllStringSubmatch(string(makefile), -1) {
		targets = append(targets, found[1])
	}
	plugin, err := exec.Command(built(t, "kubectl-nawhas"), "--help").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range documents(t) {
		for _, found := range madeBy.FindAllStringSubmatch(d.prose, -1) {
			if !slices.Contains(targets, found[1]) {
				t.Errorf("%s speaks of make %s, which is not in the Makefile", d.path, found[1])
			}
		}
		for _, found := range plugged.FindAllStringSubmatch(d.prose, -1) {
			if !strings.Contains(string(plugin), fmt.Sprintf("\n  %s ", found[1])) {
				t.Errorf("%s speaks of kubectl nawhas %s, which is not there", d.path, found[1])
			}
		}
	}
}
