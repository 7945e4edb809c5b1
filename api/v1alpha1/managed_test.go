package v1alpha1_test

import (
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

// Who set which field of a version would be half of a release, and work for the API
// server at every write.
func TestVersionsInTheStatusHaveOneOwner(t *testing.T) {
	object := manifests(t, "testdata/valid/smallest.yaml")[0]
	if err := create(t, object); err != nil {
		t.Fatal(err)
	}
	release := stored(t, object.GetName())
	release.Status.Versions = []v1alpha1.VersionStatus{{Version: "3.1.2", Role: v1alpha1.RoleLive, Stages: []v1alpha1.StageStatus{{Name: "Migrated"}}}}
	if err := cluster.Status().Update(t.Context(), release, &client.SubResourceUpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, entry := range stored(t, object.GetName()).ManagedFields {
		if entry.Subresource == "status" {
			if fields := entry.FieldsV1.GetRawString(); !strings.Contains(fields, `"f:versions":{}`) {
				t.Errorf("the status' fields are owned one by one: %s", fields)
			}
			return
		}
	}
	t.Error("nobody owns the status")
}
