//go:build platform

package installed_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nawhas/nawhas-operator/hack/platform/manifests"
)

// golden are the chart's renderings with every option on and off.
func golden(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../manifests/testdata/*/golden.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no renderings: %v", err)
	}
	return files
}

func TestHelmLint(t *testing.T) {
	for _, file := range golden(t) {
		values := filepath.Join(filepath.Dir(file), "values.yaml")
		must(t, helm(t, "lint", "--strict", chart, "--values", values))
	}
}

// TestTheServerTakesEverything asks the API server, without keeping anything.
func TestTheServerTakesEverything(t *testing.T) {
	// They stay: without a controller of namespaces a deleted one would never be gone.
	for _, namespace := range []string{"nawhas-operator", "nawhas", "nawhas-staging"} {
		must(t, kubectl(t, "create", "namespace", namespace))
	}
	must(t, kubectl(t, "apply", "--dry-run=server", "--server-side", "--validate=strict", "-f", root+"/dist/install.yaml"))
	for _, file := range golden(t) {
		// The Prometheus operator's kinds are not known here.
		must(t, kubectl(t, "apply", "--dry-run=server", "--validate=strict", "-f", withoutMonitors(t, file)))
	}
}

func withoutMonitors(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var kept []string
	for document := range strings.SplitSeq(string(content), "---\n") {
		if strings.TrimSpace(document) != "" && !strings.Contains(document, "monitoring.coreos.com") {
			kept = append(kept, document)
		}
	}
	path := filepath.Join(t.TempDir(), "known.yaml")
	if err := os.WriteFile(path, []byte(strings.Join(kept, "---\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestRestrictedPodSecurity has the server's own admission look at the operator's pod.
func TestRestrictedPodSecurity(t *testing.T) {
	out := must(t, kubectl(t, "apply", "--server-side", "-f", root+"/dist/install.yaml"))
	if strings.Contains(out, "would violate PodSecurity") {
		t.Errorf("the namespace's restricted policy refuses the operator:\n%s", out)
	}
	refused(t, kubectl(t, "-n", "nawhas-operator", "run", "root", "--image=x", "--dry-run=server"), "violates PodSecurity")
	// The next test finds none of it: no definition, no rights.
	must(t, kubectl(t, "delete", "-f", root+"/dist/install.yaml", "--wait=false"))
	must(t, kubectl(t, "wait", "--for=delete", "crd/nawhasreleases.releases.nawhas.com", "--timeout=60s"))
}

func TestKubeScore(t *testing.T) {
	told := tool(t, tools+"/kube-score", "score", "--output-format", "ci",
		"--ignore-test", "container-image-pull-policy", // IfNotPresent: tags of the operator are not moved
		"--ignore-test", "container-ephemeral-storage-request-and-limit", // it writes a certificate and nothing else
		"--ignore-test", "container-security-context-user-group-id", // the image's user is 65532, and OpenShift chooses another
		"--ignore-test", "container-resources", // no CPU limit: it would only slow a switch down
		"--ignore-test", "deployment-has-host-podantiaffinity", // one replica works, the others wait
		root+"/hack/platform/manifests/testdata/everything/golden.yaml")
	if told.err != nil {
		t.Error(told.err)
	}
	for line := range strings.Lines(told.out) {
		if strings.HasPrefix(line, "[CRITICAL]") || strings.HasPrefix(line, "[WARNING]") {
			t.Error(strings.TrimSpace(line))
		}
	}
}

// TestKubeconform checks against schemas made of what the API server itself publishes.
func TestKubeconform(t *testing.T) {
	folder := t.TempDir()
	writeSchemas(t, folder)
	args := append([]string{"-strict", "-summary", "-schema-location", folder + "/{{.ResourceKind}}{{.KindSuffix}}.json",
		"-skip", "ServiceMonitor,CustomResourceDefinition"}, golden(t)...)
	t.Log(must(t, tool(t, tools+"/kubeconform", append(args, root+"/dist/install.yaml")...)))
}

// TestHelmInstalls meets a definition that somebody else installed, takes it
// over, upgrades, refuses a second operator for all namespaces, and leaves the
// definition behind when it is uninstalled.
func TestHelmInstalls(t *testing.T) {
	install := func(release, namespace string, args ...string) said {
		return helm(t, append([]string{"install", release, chart, "--namespace", namespace, "--create-namespace"}, args...)...)
	}
	must(t, kubectl(t, "apply", "--server-side", "-k", root+"/config/crd"))
	refused(t, install("nawhas-operator", "first"), "invalid ownership metadata")
	must(t, install("nawhas-operator", "first", "--take-ownership"))
	must(t, helm(t, "upgrade", "nawhas-operator", chart, "--namespace", "first", "--set", "replicas=2"))
	refused(t, install("nawhas-operator", "second", "--set", "crds.install=false", "--set", "rbac.aggregate=false"), "installed already, in namespace first")
	must(t, helm(t, "uninstall", "nawhas-operator", "--namespace", "first"))
	must(t, kubectl(t, "get", "crd", "nawhasreleases.releases.nawhas.com"))
}

// TestNamespacedRights installs the operator for one namespace and asks the
// server what it may do there and elsewhere.
func TestNamespacedRights(t *testing.T) {
	must(t, kubectl(t, "create", "namespace", "watched"))
	must(t, helm(t, "install", "team", chart, "--namespace", "team", "--create-namespace", "--set", "watchNamespaces={watched}",
		"--set", "crds.install=false", "--set", "rbac.aggregate=false", "--set", "metrics.secure=false"))
	account := "system:serviceaccount:team:team-nawhas-operator"
	for _, rule := range rules(t) {
		if may := must(t, kubectl(t, append([]string{"auth", "can-i", "--namespace", "watched", "--as", account}, rule...)...)); !strings.HasSuffix(strings.TrimSpace(may), "yes") {
			t.Errorf("it may not %v where it watches: %s", rule, may)
		}
	}
	for _, denied := range [][]string{
		{"--namespace", "default", "list", "secrets"}, {"--all-namespaces", "list", "secrets"}, {"--all-namespaces", "list", "nawhasreleases.releases.nawhas.com"},
	} {
		if may := kubectl(t, append([]string{"auth", "can-i", "--as", account}, denied...)...).out; strings.TrimSpace(may) != "no" {
			t.Errorf("it may %v: %s", denied, may)
		}
	}
}

// rules are what the operator's role allows, as a verb and a resource each.
func rules(t *testing.T) [][]string {
	t.Helper()
	built, err := manifests.Kustomize(root, "config/rbac")
	if err != nil {
		t.Fatal(err)
	}
	var found [][]string
	for _, object := range built {
		if object.Name() != "ClusterRole/nawhas-operator" {
			continue
		}
		all, _ := object["rules"].([]any)
		for _, rule := range all {
			rule, _ := rule.(map[string]any)
			group := fmt.Sprint(rule["apiGroups"].([]any)[0])
			for _, resource := range rule["resources"].([]any) {
				resource, sub, _ := strings.Cut(fmt.Sprint(resource), "/")
				if group != "" {
					resource += "." + group
				}
				for _, verb := range rule["verbs"].([]any) {
					question := []string{fmt.Sprint(verb), resource}
					if resource == "namespaces" {
						question[1] += "/watched"
					}
					if sub != "" {
						question = append(question, "--subresource", sub)
					}
					found = append(found, question)
				}
			}
		}
	}
	if len(found) == 0 {
		t.Fatal("the operator's role allows nothing")
	}
	return found
}
