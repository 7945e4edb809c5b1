package release

import (
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/ledger"
)

// A quota keeps pods from being made, so that there is no pod to tell why.
func TestPodsThatAreNotMadeAreTold(t *testing.T) {
	failure := appsv1.DeploymentCondition{Type: appsv1.DeploymentReplicaFailure, Status: corev1.ConditionTrue, Reason: "FailedCreate", Message: "exceeded quota: few"}
	available := appsv1.DeploymentCondition{Type: appsv1.DeploymentAvailable, Status: corev1.ConditionTrue}
	for name, c := range map[string]struct {
		conditions []appsv1.DeploymentCondition
		told       bool
	}{
		"pods are made": {conditions: []appsv1.DeploymentCondition{available}},
		"none is made":  {conditions: []appsv1.DeploymentCondition{available, failure}, told: true},
		"they were not": {conditions: []appsv1.DeploymentCondition{{Type: failure.Type, Status: corev1.ConditionFalse}}},
	} {
		d := appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "nawhas-api-3-2-0", Labels: map[string]string{v1alpha1.LabelVersion: "3.2.0"}}}
		d.Status.Conditions = refusedPods(c.conditions)
		s := &scope{deployments: []appsv1.Deployment{d}}
		got := s.podTrouble(&ledger.Version{Version: "3.2.0"})
		if told := got.reason == v1alpha1.ReasonSpecRefused && strings.Contains(got.message, "exceeded quota: few"); told != c.told {
			t.Errorf("%s: %+v", name, got)
		}
		if other := s.podTrouble(&ledger.Version{Version: "3.1.2"}); other.reason != "" {
			t.Errorf("%s: another version has it: %+v", name, other)
		}
	}
}
