package release

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

// Steps run the same image as the workload: an image whose user has a name needs its
// number from whoever says it, the pod or its container.
func TestAStepRunsAsItsWorkloadDoes(t *testing.T) {
	for name, c := range map[string]struct {
		pod       *corev1.PodSecurityContext
		container *corev1.SecurityContext
		user      *int64
		nonRoot   bool
	}{
		"nothing is said":    {nonRoot: true},
		"a container says":   {container: &corev1.SecurityContext{RunAsUser: ptr.To[int64](1000), RunAsNonRoot: ptr.To(true)}, user: ptr.To[int64](1000), nonRoot: true},
		"a container's root": {container: &corev1.SecurityContext{RunAsUser: ptr.To[int64](0)}, user: ptr.To[int64](0)},
		"a pod says":         {pod: &corev1.PodSecurityContext{RunAsUser: ptr.To[int64](2000)}},
		"both say": {pod: &corev1.PodSecurityContext{RunAsNonRoot: ptr.To(true)}, container: &corev1.SecurityContext{RunAsUser: ptr.To[int64](3000)},
			user: ptr.To[int64](3000), nonRoot: true},
	} {
		step, pod := stepSecurity(&corev1.PodSpec{SecurityContext: c.pod, Containers: []corev1.Container{{SecurityContext: c.container}}})
		if !ptr.Equal(step.RunAsUser, c.user) || ptr.Deref(pod.RunAsNonRoot, false) != c.nonRoot {
			t.Errorf("%s: it runs as %v, and the pod as %+v", name, step.RunAsUser, pod)
		}
		if ptr.Deref(step.AllowPrivilegeEscalation, true) || len(step.Capabilities.Drop) == 0 {
			t.Errorf("%s: it may do more than a step needs: %+v", name, step)
		}
	}
}
