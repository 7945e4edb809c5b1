package prerequisite

import (
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
)

// TestTwoInOneNamespace have leases of their own, if they have names of their own.
func TestTwoInOneNamespace(t *testing.T) {
	older, younger := deployment("own", time.Now().Add(-time.Hour)), deployment("own", time.Now())
	younger.Name = operators + "-b"
	both := []appsv1.Deployment{*older, *younger}
	for name, test := range map[string]struct {
		pod    string
		second bool
	}{
		"the older one":              {operators + "-6f7c-x2", false},
		"the younger one":            {operators + "-b-6f7c-x2", true},
		"one that does not know who": {"", false},
	} {
		t.Run(name, func(t *testing.T) {
			if err := second(both, Operator{Namespace: "own", Pod: test.pod}); (err != nil) != test.second {
				t.Errorf("it says %v", err)
			}
		})
	}
	older.Spec.Template.Spec.Containers[0].Args = []string{watchFlag + "a"}
	if err := second([]appsv1.Deployment{*older, *younger}, Operator{Namespace: "own", Pod: operators + "-b-6f7c-x2", Watched: []string{"b"}}); err != nil {
		t.Errorf("for other namespaces it says %v", err)
	}
}
