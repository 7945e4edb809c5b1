package v1alpha1_test

import (
	"os"
	"reflect"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

func TestValidManifestsAreAccepted(t *testing.T) {
	for _, file := range append(glob(t, "testdata/valid/*.yaml"), "../../config/samples/nawhasrelease.yaml", "../../config/samples/laravel/nawhasrelease.yaml") {
		t.Run(nameOf(file), func(t *testing.T) {
			for _, object := range manifests(t, file) {
				if err := create(t, object); err != nil {
					t.Fatal(err)
				}
				// What the server keeps, the operator can read.
				if release := stored(t, object.GetName()); release.Spec.Version == "" || len(release.Spec.Workloads) == 0 {
					t.Errorf("read as %+v", release.Spec)
				}
			}
		})
	}
}

// TestInvalidManifestsAreRefused creates each document of a file, and updates
// with those that follow. All but the last are accepted.
func TestInvalidManifestsAreRefused(t *testing.T) {
	for _, file := range glob(t, "testdata/invalid/*.yaml") {
		t.Run(nameOf(file), func(t *testing.T) {
			all := manifests(t, file)
			for _, object := range all[:len(all)-1] {
				if err := create(t, object); err != nil {
					t.Fatal(err)
				}
			}
			refused := all[len(all)-1]
			var err error
			if len(all) == 1 {
				err = create(t, refused)
			} else {
				refused.SetResourceVersion(stored(t, refused.GetName()).ResourceVersion)
				err = cluster.Update(t.Context(), refused)
			}
			if err == nil {
				t.Fatal("accepted")
			}
			if !apierrors.IsInvalid(err) && !apierrors.IsBadRequest(err) {
				t.Errorf("refused for another cause: %v", err)
			}
			if want := wanted(t, file); !strings.Contains(err.Error(), want) {
				t.Errorf("the message does not say %q:\n%v", want, err)
			}
		})
	}
}

// wanted is what the message must say: the file's first line.
func wanted(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(content), "\n")
	want, found := strings.CutPrefix(first, "# want: ")
	if !found || want == "" {
		t.Fatalf("%s does not begin with # want: and a part of the message", file)
	}
	return want
}

func TestTheSmallestManifestGetsDefaults(t *testing.T) {
	object := manifests(t, "testdata/valid/smallest.yaml")[0]
	if err := create(t, object); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile("testdata/defaults.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]any
	if err := yaml.Unmarshal(content, &want); err != nil {
		t.Fatal(err)
	}
	got, err := yaml.Marshal(object.Object["spec"])
	if err != nil {
		t.Fatal(err)
	}
	var spec map[string]any
	if err := yaml.Unmarshal(got, &spec); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(spec, want) {
		t.Errorf("got\n%s\nwant\n%s", got, content)
	}
	if observed := stored(t, object.GetName()).Status.ObservedGeneration; observed != -1 {
		t.Errorf("a release that nobody looked at has observedGeneration %d; want -1", observed)
	}
}

func TestTheVersionMayChangeAndChangeBack(t *testing.T) {
	object := manifests(t, "testdata/valid/full.yaml")[0]
	if err := create(t, object); err != nil {
		t.Fatal(err)
	}
	for _, version := range []string{"3.3.0-rc.1", "3.2.0"} {
		release := stored(t, object.GetName())
		before := release.Generation
		release.Spec.Version = version
		if err := cluster.Update(t.Context(), release); err != nil {
			t.Fatal(err)
		}
		if release.Generation == before {
			t.Errorf("%s is no new generation", version)
		}
	}
}

func TestTemplatesKeepTheirMetadata(t *testing.T) {
	object := manifests(t, "testdata/valid/full.yaml")[0]
	if err := create(t, object); err != nil {
		t.Fatal(err)
	}
	template := stored(t, object.GetName()).Spec.Workloads[0].Template
	if template.Labels["team"] != "library" || template.Annotations["prometheus.io/scrape"] != "true" {
		t.Errorf("got %+v", template.ObjectMeta)
	}
}

func TestTheStatusIsWrittenApart(t *testing.T) {
	object := manifests(t, "testdata/valid/smallest.yaml")[0]
	if err := create(t, object); err != nil {
		t.Fatal(err)
	}
	release := stored(t, object.GetName())
	release.Spec.Version, release.Status.Live = "3.3.0", "3.1.2"
	release.Status.Versions = []v1alpha1.VersionStatus{{Version: "3.1.2", Role: v1alpha1.RoleLive, Database: "nawhas_v3_1_2"}}
	if err := cluster.Status().Update(t.Context(), release, &client.SubResourceUpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	read := stored(t, object.GetName())
	if read.Status.Live != "3.1.2" || len(read.Status.Versions) != 1 || read.Spec.Version != "3.1.2" {
		t.Errorf("got %+v of %s", read.Status, read.Spec.Version)
	}
}
