package v1alpha1_test

import (
	"encoding/json"
	"strings"
	"testing"
)

// largestAnnotations is what Kubernetes lets the annotations of an object weigh together.
const largestAnnotations = 256 << 10

func TestTheDefinitionSurvivesClientSideApply(t *testing.T) {
	out, err := kubectl("get", "crd", "nawhasreleases.releases.nawhas.com", "-o", "json")
	if err != nil {
		t.Fatal(err, out)
	}
	var definition struct {
		Metadata struct {
			Annotations map[string]string `json:"annotations"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal([]byte(out), &definition); err != nil {
		t.Fatal(err)
	}
	size := 0
	for key, value := range definition.Metadata.Annotations {
		size += len(key) + len(value)
	}
	applied := definition.Metadata.Annotations["kubectl.kubernetes.io/last-applied-configuration"]
	if applied == "" || size >= largestAnnotations {
		t.Errorf("the annotations weigh %d bytes of %d, %d of them from kubectl apply", size, largestAnnotations, len(applied))
	}
	t.Logf("%d of %d bytes", size, largestAnnotations)
}

func TestKubectl(t *testing.T) {
	const sample, full = "../../config/samples/nawhasrelease.yaml", "testdata/valid/full.yaml"
	for name, test := range map[string]struct {
		args []string
		want []string
	}{
		"apply the definition again":             {[]string{"apply", "-f", definitions}, []string{"unchanged"}},
		"apply the definition, server-side":      {[]string{"apply", "--server-side", "--force-conflicts", "-f", definitions}, []string{"serverside-applied"}},
		"try the sample on the server":           {[]string{"apply", "--dry-run=server", "-f", sample}, []string{"created (server dry run)"}},
		"try the sample, server-side":            {[]string{"apply", "--dry-run=server", "--server-side", "-f", sample}, []string{"serverside-applied (server dry run)"}},
		"try all fields on the server":           {[]string{"apply", "--dry-run=server", "-f", full}, []string{"created (server dry run)"}},
		"explain the version":                    {[]string{"explain", "nr.spec.version"}, []string{"the version that should be live", "<string>"}},
		"explain the template without its words": {[]string{"explain", "nr.spec.workloads.template.spec.containers"}, []string{"livenessProbe"}},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := kubectl(test.args...)
			if err != nil {
				t.Fatal(err, out)
			}
			for _, want := range test.want {
				if !strings.Contains(out, want) {
					t.Errorf("kubectl does not say %q:\n%s", want, out)
				}
			}
		})
	}
}

func TestColumns(t *testing.T) {
	object := manifests(t, "testdata/valid/smallest.yaml")[0]
	if err := create(t, object); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"nr", "nawhasreleases", "all"} {
		out, err := kubectl("get", name, "--namespace", namespace)
		if err != nil {
			t.Fatal(err, out)
		}
		header := "NAME VERSION LIVE STAGE LAG AVAILABLE READY AGE"
		if joined := strings.Join(strings.Fields(out), " "); !strings.Contains(joined, header) || !strings.Contains(joined, object.GetName()+" 3.1.2") {
			t.Errorf("kubectl get %s shows\n%s", name, out)
		}
	}
}
