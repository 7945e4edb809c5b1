package apiproxy

import "testing"

func TestWritesAreNamedWithoutWhatDiffers(t *testing.T) {
	const release = "/apis/releases.nawhas.com/v1alpha1/namespaces/chaos-7/nawhasreleases/nawhas"
	for _, test := range []struct{ method, path, content, want string }{
		{"GET", release, "", ""},
		{"PATCH", release, "application/merge-patch+json", "patch nawhasreleases nawhas"},
		{"PATCH", release + "/status", "application/merge-patch+json", "patch nawhasreleases nawhas/status"},
		{"PATCH", "/apis/batch/v1/namespaces/chaos-7/jobs/nawhas-replay-3-1-2-0a1b2c3d-2", "application/apply-patch+yaml", "apply jobs nawhas-replay-…-…"},
		{"PATCH", "/apis/apps/v1/namespaces/chaos-7/deployments/nawhas-api-3-2-0", "application/apply-patch+yaml", "apply deployments nawhas-api-…"},
		{"DELETE", "/api/v1/namespaces/chaos-7/services/nawhas-api-preview", "", "delete services nawhas-api-preview"},
		{"POST", "/apis/events.k8s.io/v1/namespaces/chaos-7/events", "application/json", "create events"},
		{"PATCH", "/apis/events.k8s.io/v1/namespaces/chaos-7/events/nawhas.18c2f00d", "application/json", "patch events nawhas.…"},
		{"PUT", "/apis/coordination.k8s.io/v1/namespaces/x/leases/nawhas-operator", "application/json", ""},
		{"POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", "application/json", ""},
	} {
		if got := Effect(test.method, test.path, test.content); got != test.want {
			t.Errorf("%s %s is named %q, want %q", test.method, test.path, got, test.want)
		}
	}
}
