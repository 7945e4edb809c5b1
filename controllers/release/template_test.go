package release

import (
	"slices"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/ledger"
)

func memory(quantity string) corev1.ResourceList {
	return corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(quantity)}
}

// A version keeps the template that it came with, but for what operators of a
// cluster must be able to change without a release.
func TestResourcesApplyToAllVersionsAtOnce(t *testing.T) {
	w := newWorld(t)
	w.newRelease(func(r *v1alpha1.NawhasRelease) {
		pod := &r.Spec.Workloads[0].Template.Spec
		pod.Containers = append(pod.Containers, corev1.Container{Name: "proxy", Image: "ghcr.io/nawhas/proxy:1", Resources: corev1.ResourceRequirements{Requests: memory("16Mi")}})
	})
	w.until("live", isLive("3.1.2"))
	w.update(func(r *v1alpha1.NawhasRelease) {
		r.Spec.Version = "3.2.0"
		r.Spec.Workloads[0].Template.Spec.Containers = []corev1.Container{{Name: "api", Args: []string{"serve", "--fast"}}}
	})
	w.until("live", isLive("3.2.0"))
	w.settle()
	jobs := len(w.jobs("3.1.2")) + len(w.jobs("3.2.0"))

	w.update(func(r *v1alpha1.NawhasRelease) {
		r.Spec.Workloads[0].Template.Spec.Containers[0].Resources.Limits = memory("256Mi")
		r.Spec.Replay.Follow.Resources.Requests = memory("64Mi")
	})
	w.settle()

	for version, args := range map[string]int{"3.1.2": 1, "3.2.0": 2} {
		containers := w.deployed(version).Spec.Template.Spec.Containers
		if got := containers[0].Resources.Limits.Memory().String(); got != "256Mi" || len(containers[0].Args) != args {
			t.Errorf("version %s has a limit of %s and the arguments %v", version, got, containers[0].Args)
		}
		if got := w.follower(version).Spec.Template.Spec.Containers[0].Resources.Requests.Memory().String(); got != "64Mi" {
			t.Errorf("the follower of version %s requests %s", version, got)
		}
	}
	if containers := w.deployed("3.1.2").Spec.Template.Spec.Containers; len(containers) != 2 || containers[1].Resources.Requests.Memory().String() != "16Mi" {
		t.Errorf("a container that only the older version has was changed: %v", containers)
	}
	if now := len(w.jobs("3.1.2")) + len(w.jobs("3.2.0")); now != jobs {
		t.Errorf("there were %d Jobs and are %d", jobs, now)
	}
}

// Approved and changed in one edit: the pods that are ready are not those that
// would get the traffic.
func TestNoSwitchToPodsThatAreAboutToBeReplaced(t *testing.T) {
	w := newWorld(t)
	w.newRelease()
	w.until("live", isLive("3.1.2"))
	w.update(func(r *v1alpha1.NawhasRelease) {
		r.Spec.Version, r.Spec.Promotion.Mode = "3.2.0", v1alpha1.PromotionManual
	})
	w.until("waiting", readyFor(v1alpha1.ReasonAwaitingApproval))
	w.kubelet.idle = true

	w.update(func(r *v1alpha1.NawhasRelease) {
		r.Spec.Promotion.Approved = "3.2.0"
		r.Spec.Workloads[0].Template.Spec.Containers[0].Resources.Limits = memory("256Mi")
	})
	for range 3 {
		_, err := w.pass()
		w.must(err)
	}

	if live := w.get().Status.Live; live != "3.1.2" {
		t.Errorf("version %s is live although its pods are being replaced", live)
	}
	w.kubelet.idle = false
	w.until("live", isLive("3.2.0"))
}

// Until the nodes lead to the new version, the one before it serves, whatever
// the ledger says: a change of its pods takes none away before another is ready.
func TestPodsThatStillServeAreReplacedOneByOne(t *testing.T) {
	w := newWorld(t)
	w.newRelease()
	w.until("live", isLive("3.1.2"))
	w.kubelet.unwired = true
	w.release("3.2.0")
	w.until("switching", readyFor(v1alpha1.ReasonSwitching))
	w.until("recorded", func(r *v1alpha1.NawhasRelease) bool { return r.Status.Live == "3.2.0" })

	w.update(func(r *v1alpha1.NawhasRelease) {
		r.Spec.Workloads[0].Template.Spec.Containers[0].Resources.Limits = memory("256Mi")
	})
	w.settle()

	d := w.deployed("3.1.2")
	if d.Spec.Template.Spec.Containers[0].Resources.Limits.Memory().IsZero() || d.Spec.Strategy.RollingUpdate.MaxUnavailable.String() != "0" {
		t.Errorf("version 3.1.2 is replaced with %v unavailable", d.Spec.Strategy.RollingUpdate.MaxUnavailable)
	}
	w.kubelet.unwired = false
	w.until("live", isLive("3.2.0"))
	if d := w.deployed("3.1.2"); d.Spec.Strategy.RollingUpdate.MaxUnavailable.String() != "100%" {
		t.Errorf("clients of version 3.1.2 are not let go at once: %v unavailable", d.Spec.Strategy.RollingUpdate.MaxUnavailable)
	}
}

func TestPaceOfReplacement(t *testing.T) {
	passed := map[string]ledger.Stage{v1alpha1.ConditionSwitched: {FinishedAt: &noon}}
	for name, test := range map[string]struct {
		role     ledger.Role
		live     *ledger.Version
		oneByOne bool
	}{
		"a candidate, the first":              {ledger.Candidate, nil, false},
		"a candidate":                         {ledger.Candidate, &ledger.Version{Stages: passed}, false},
		"warm":                                {ledger.Warm, &ledger.Version{Stages: passed}, false},
		"warm, and nodes still lead to it":    {ledger.Warm, &ledger.Version{}, true},
		"a candidate while another goes live": {ledger.Candidate, &ledger.Version{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := pace(&ledger.Version{Role: test.role}, test.live).MaxUnavailable.String() == "0"; got != test.oneByOne {
				t.Errorf("one by one is %v", got)
			}
		})
	}
	live := &ledger.Version{Role: ledger.Live}
	if pace(live, live).MaxUnavailable.String() != "0" {
		t.Error("what is live is taken away before other pods are ready")
	}
}

// Whoever goes back by spec.version alone, as kubectl nawhas rollback does, means
// the version as it was, not with the arguments of the one that it leaves.
func TestAVersionThatComesBackHasItsOwnTemplate(t *testing.T) {
	w := newWorld(t)
	w.newRelease()
	w.until("live", isLive("3.1.2"))
	own := w.deployed("3.1.2").Spec.Template.Spec.Containers[0].Args
	w.update(func(r *v1alpha1.NawhasRelease) {
		r.Spec.Version = "3.2.0"
		r.Spec.Workloads[0].Template.Spec.Containers[0].Args = []string{"serve", "--fast"}
	})
	w.until("live", isLive("3.2.0"))
	w.kubelet.wait(5 * time.Second)

	w.release("3.1.2")
	w.until("back", isLive("3.1.2"))
	w.settle()

	if got := w.deployed("3.1.2").Spec.Template.Spec.Containers[0].Args; !slices.Equal(got, own) {
		t.Errorf("it runs with %v, not with %v", got, own)
	}
	w.update(func(r *v1alpha1.NawhasRelease) {
		r.Spec.Workloads[0].Template.Spec.Containers[0].Args = []string{"serve", "--slow"}
	})
	w.settle()
	if got := w.deployed("3.1.2").Spec.Template.Spec.Containers[0].Args; !slices.Equal(got, []string{"serve", "--slow"}) {
		t.Errorf("corrected, it runs with %v", got)
	}
}

// A correction that was taken back does not come back with the next version.
func TestATemplateThatWasTakenBackStaysSo(t *testing.T) {
	w := newWorld(t)
	w.newRelease()
	w.until("live", isLive("3.1.2"))
	own := w.deployed("3.1.2").Spec.Template.Spec.Containers[0].Args
	for _, args := range [][]string{{"serve", "--slow"}, own} {
		w.update(func(r *v1alpha1.NawhasRelease) { r.Spec.Workloads[0].Template.Spec.Containers[0].Args = args })
		w.settle()
	}

	w.release("3.2.0")
	w.until("live", isLive("3.2.0"))
	w.settle()

	if got := w.deployed("3.1.2").Spec.Template.Spec.Containers[0].Args; !slices.Equal(got, own) {
		t.Errorf("the version before runs with %v, not with %v", got, own)
	}
}

// A workload that is gone from the spec is gone from the cluster, or the fence of
// its version would wait for it.
func TestAWorkloadThatIsRemovedIsTakenAway(t *testing.T) {
	w := newWorld(t)
	w.newRelease(func(r *v1alpha1.NawhasRelease) {
		jobs := *r.Spec.Workloads[0].DeepCopy()
		jobs.Name, jobs.Service = "jobs", nil
		r.Spec.Workloads = append(r.Spec.Workloads, jobs)
	})
	w.until("live", isLive("3.1.2"))
	w.update(func(r *v1alpha1.NawhasRelease) { r.Spec.Workloads = r.Spec.Workloads[:1] })
	w.settle()

	var found appsv1.DeploymentList
	w.must(cluster.List(t.Context(), &found, client.InNamespace(w.namespace), client.MatchingLabels{v1alpha1.LabelWorkload: "jobs"}))
	if len(found.Items) != 0 {
		t.Errorf("%d Deployments of it are left", len(found.Items))
	}
	w.release("3.2.0")
	w.until("live", isLive("3.2.0"))
}
