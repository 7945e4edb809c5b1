// Package flux_test has Flux's own code judge releases as the operator tells of
// them: kstatus, which reads the conditions, and the expressions of config/flux.
package flux_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"github.com/fluxcd/pkg/apis/kustomize"
	"github.com/fluxcd/pkg/runtime/cel"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

const (
	releases  = "../testdata/releases"
	manifests = "../../../config/flux/release.yaml"
)

// judged is how Flux should see the captured releases, without and with the expressions.
var judged = map[string]struct{ kstatus, expressions status.Status }{
	"building":          {status.InProgressStatus, status.InProgressStatus},
	"candidate":         {status.InProgressStatus, status.InProgressStatus},
	"live":              {status.CurrentStatus, status.CurrentStatus},
	"awaiting-approval": {status.InProgressStatus, status.CurrentStatus},
	"held":              {status.FailedStatus, status.FailedStatus},
	"sent-back":         {status.FailedStatus, status.FailedStatus},
	"secret-missing":    {status.FailedStatus, status.FailedStatus},
}

func release(t *testing.T, name string) *unstructured.Unstructured {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(releases, name+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	// As the API server's answers are read: numbers are integers.
	text, err := yaml.YAMLToJSON(content)
	if err != nil {
		t.Fatal(err)
	}
	object := &unstructured.Unstructured{}
	if err := object.UnmarshalJSON(text); err != nil {
		t.Fatal(err)
	}
	return object
}

func TestKstatus(t *testing.T) {
	for name, want := range judged {
		t.Run(name, func(t *testing.T) {
			result, err := status.Compute(release(t, name))
			if err != nil {
				t.Fatal(err)
			}
			if result.Status != want.kstatus {
				t.Errorf("it is %s (%s), not %s", result.Status, result.Message, want.kstatus)
			}
		})
	}
}

func TestAChangeThatIsNotSeenYetIsInProgress(t *testing.T) {
	object := release(t, "live")
	object.SetGeneration(99)
	result, err := status.Compute(object)
	if err != nil || result.Status != status.InProgressStatus {
		t.Errorf("it is %v, %v", result, err)
	}
	result, err = evaluator(t).Evaluate(t.Context(), object)
	if err != nil || result.Status != status.InProgressStatus {
		t.Errorf("by the expressions it is %v, %v", result, err)
	}
}

func TestExpressions(t *testing.T) {
	for name, want := range judged {
		t.Run(name, func(t *testing.T) {
			result, err := evaluator(t).Evaluate(t.Context(), release(t, name))
			if err != nil {
				t.Fatal(err)
			}
			if result.Status != want.expressions {
				t.Errorf("it is %s (%s), not %s", result.Status, result.Message, want.expressions)
			}
		})
	}
}

// TestAReleaseWithoutStatus is one that the operator has not looked at.
func TestAReleaseWithoutStatus(t *testing.T) {
	object := release(t, "live")
	delete(object.Object, "status")
	if result, err := evaluator(t).Evaluate(t.Context(), object); err == nil && result.Status == status.CurrentStatus {
		t.Error("it counts as current")
	}
}

func evaluator(t *testing.T) *cel.StatusEvaluator {
	t.Helper()
	var kustomization struct {
		Spec struct {
			HealthCheckExprs []kustomize.CustomHealthCheck `json:"healthCheckExprs"`
		} `json:"spec"`
	}
	content, err := os.ReadFile(manifests)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(content, &kustomization); err != nil {
		t.Fatal(err)
	}
	if len(kustomization.Spec.HealthCheckExprs) != 1 {
		t.Fatalf("%s has %d health checks", manifests, len(kustomization.Spec.HealthCheckExprs))
	}
	check := kustomization.Spec.HealthCheckExprs[0]
	made, err := cel.NewStatusEvaluator(&check.HealthCheckExpressions)
	if err != nil {
		t.Fatal(err)
	}
	return made
}
