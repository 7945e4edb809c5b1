package release

import (
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/ledger"
)

func sentBackTo(v *ledger.Version, returnTo string) *ledger.Version {
	v.Held = &ledger.Held{At: noon, Wanted: v.Version, Retry: 2, ReturnTo: returnTo}
	return v
}

func TestChoose(t *testing.T) {
	live, warm, candidate := aVersion("2.0.0", ledger.Live), aVersion("1.0.0", ledger.Warm), aVersion("3.0.0", ledger.Candidate)
	stuck := aVersion("1.0.0", ledger.Warm)
	stuck.Checkpoint.Problem = &ledger.Problem{Kind: ledger.KindRound}
	failed, sent := sentBackTo(aVersion("2.0.0", ledger.Live), "1.0.0"), sentBackTo(aVersion("2.0.0", ledger.Warm), "1.0.0")
	for name, c := range map[string]struct {
		wanted, hold    string
		versions        []*ledger.Version
		want            string
		instead, refuse string
	}{
		"the first one":                            {"1.0.0", "", nil, "1.0.0", "", ""},
		"what is live":                             {"2.0.0", "", []*ledger.Version{live, warm}, "2.0.0", "", ""},
		"the next one":                             {"3.0.0", "", []*ledger.Version{candidate, live, warm}, "3.0.0", "", ""},
		"one that was live":                        {"1.0.0", "", []*ledger.Version{live, warm}, "1.0.0", "", ""},
		"a way back under way":                     {"2.0.0", "", []*ledger.Version{failed, warm}, "1.0.0", v1alpha1.ReasonRolledBack, ""},
		"a way back comes before what is next":     {"3.0.0", "", []*ledger.Version{candidate, failed, warm}, "1.0.0", v1alpha1.ReasonRolledBack, ""},
		"a way back to what is gone":               {"2.0.0", "", []*ledger.Version{failed}, "2.0.0", "", ""},
		"a way back that has come to an end":       {"3.0.0", "", []*ledger.Version{candidate, failed, stuck}, "3.0.0", "", ""},
		"the same, and nothing else is asked for":  {"2.0.0", "", []*ledger.Version{failed, stuck}, "1.0.0", v1alpha1.ReasonRolledBack, ""},
		"a version that is held":                   {"2.0.0", "", []*ledger.Version{sent, aVersion("1.0.0", ledger.Live)}, "1.0.0", v1alpha1.ReasonRolledBack, ""},
		"another than the one that is held":        {"3.0.0", "", []*ledger.Version{candidate, sent, aVersion("1.0.0", ledger.Live)}, "3.0.0", "", ""},
		"an annotation for what is warm":           {"2.0.0", "1.0.0", []*ledger.Version{live, warm}, "1.0.0", v1alpha1.ReasonHeld, ""},
		"an annotation for what is live":           {"3.0.0", "2.0.0", []*ledger.Version{candidate, live, warm}, "2.0.0", v1alpha1.ReasonHeld, ""},
		"an annotation for what is wanted":         {"2.0.0", "2.0.0", []*ledger.Version{live, warm}, "2.0.0", "", ""},
		"an annotation is stronger than a failure": {"2.0.0", "2.0.0", []*ledger.Version{failed, warm}, "2.0.0", "", ""},
		"an annotation for a candidate":            {"2.0.0", "3.0.0", []*ledger.Version{candidate, live}, "2.0.0", "", v1alpha1.ReasonHoldInvalid},
		"an annotation for nothing":                {"2.0.0", "9.0.0", nil, "2.0.0", "", v1alpha1.ReasonHoldInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			got := choose(c.wanted, c.hold, c.versions)
			instead, refuse := ptr.Deref(got.instead, outcome{}).reason, ptr.Deref(got.refused, outcome{}).reason
			if got.version != c.want || instead != c.instead || refuse != c.refuse {
				t.Errorf("chooses %s, instead because %q, refused because %q", got.version, instead, refuse)
			}
		})
	}
}

func TestMayGoAgain(t *testing.T) {
	for name, c := range map[string]struct {
		role   ledger.Role
		wanted string
		retry  int64
		want   bool
	}{
		"nothing changed":                         {ledger.Warm, "2.0.0", 2, false},
		"fewer tries, as in an older manifest":    {ledger.Warm, "2.0.0", 0, false},
		"another try":                             {ledger.Warm, "2.0.0", 3, true},
		"another try while it is sent back":       {ledger.Live, "2.0.0", 3, true},
		"another version":                         {ledger.Warm, "3.0.0", 2, true},
		"another version while it is sent back":   {ledger.Live, "3.0.0", 2, false},
		"the version that it was sent back to it": {ledger.Warm, "1.0.0", 2, true},
	} {
		if got := mayGoAgain(sentBackTo(aVersion("2.0.0", c.role), "1.0.0"), c.wanted, c.retry); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
	if mayGoAgain(aVersion("2.0.0", ledger.Warm), "3.0.0", 9) {
		t.Error("a version that is not held is freed")
	}
}

// podThat is a pod of version 2.0.0 that started at noon.
func podThat(name string, change ...func(*corev1.Pod)) corev1.Pod {
	pod := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{v1alpha1.LabelVersion: "2.0.0", v1alpha1.LabelWorkload: "api"}}}
	pod.Status.StartTime = ptr.To(metav1.NewTime(noon))
	isReady(corev1.ConditionTrue, time.Second)(&pod)
	for _, apply := range change {
		apply(&pod)
	}
	return pod
}

// isReady sets both conditions some time after noon.
func isReady(status corev1.ConditionStatus, after time.Duration) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		at := metav1.NewTime(noon.Add(after))
		pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: status, LastTransitionTime: at},
			{Type: corev1.ContainersReady, Status: status, LastTransitionTime: at}}
	}
}

func TestJudgeObservation(t *testing.T) {
	lost := isReady(corev1.ConditionFalse, 30*time.Second)
	lostLate := isReady(corev1.ConditionFalse, 90*time.Second)
	crashing := func(pod *corev1.Pod) {
		isReady(corev1.ConditionFalse, time.Second)(pod)
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{{State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}}}}
	}
	for name, c := range map[string]struct {
		pods         []corev1.Pod
		replicas     int32
		verification verdict
		at           time.Duration // after noon; the version is watched for a minute
		fails, over  bool
	}{
		"all is well":                           {[]corev1.Pod{podThat("a"), podThat("b")}, 2, verdict{}, 50 * time.Second, false, false},
		"all was well":                          {[]corev1.Pod{podThat("a"), podThat("b")}, 2, verdict{done: true}, 61 * time.Second, false, true},
		"the only pod is lost":                  {[]corev1.Pod{podThat("a", lost)}, 1, verdict{}, 40 * time.Second, true, false},
		"half of the pods are lost":             {[]corev1.Pod{podThat("a", lost), podThat("b")}, 2, verdict{}, 40 * time.Second, true, false},
		"a few of many are":                     {[]corev1.Pod{podThat("a", lost), podThat("b"), podThat("c")}, 3, verdict{}, 40 * time.Second, false, false},
		"not for long":                          {[]corev1.Pod{podThat("a", lost)}, 1, verdict{}, 39 * time.Second, false, false},
		"lost in time, judged later":            {[]corev1.Pod{podThat("a", lost)}, 1, verdict{}, time.Hour, true, false},
		"lost at the end, and too early to say": {[]corev1.Pod{podThat("a", isReady(corev1.ConditionFalse, time.Minute))}, 1, verdict{}, 61 * time.Second, false, false},
		"lost afterwards":                       {[]corev1.Pod{podThat("a", lostLate)}, 1, verdict{}, 2 * time.Minute, false, true},
		"never ready":                           {[]corev1.Pod{podThat("a", isReady(corev1.ConditionFalse, time.Second))}, 1, verdict{}, 50 * time.Second, false, false},
		"never ready, ending again and again":   {[]corev1.Pod{podThat("a", crashing)}, 1, verdict{}, 50 * time.Second, true, false},
		"of another version":                    {[]corev1.Pod{podThat("a", lost, func(p *corev1.Pod) { p.Labels[v1alpha1.LabelVersion] = "1.0.0" })}, 1, verdict{}, 50 * time.Second, false, false},
		"being deleted":                         {[]corev1.Pod{podThat("a", lost, func(p *corev1.Pod) { p.DeletionTimestamp = ptr.To(metav1.NewTime(noon)) })}, 1, verdict{}, 50 * time.Second, false, false},
		"its node is lost":                      {[]corev1.Pod{podThat("a", lost, func(p *corev1.Pod) { p.Status.Conditions[1].Status = corev1.ConditionTrue })}, 1, verdict{}, 50 * time.Second, false, false},
		"the verification failed":               {[]corev1.Pod{podThat("a")}, 1, verdict{failed: true, reason: v1alpha1.ReasonJobFailed, message: "m"}, time.Second, true, false},
		"the verification took too long":        {[]corev1.Pod{podThat("a")}, 1, verdict{failed: true, reason: v1alpha1.ReasonTimedOut, message: "m"}, time.Second, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			p := &plan{Workloads: []v1alpha1.Workload{{Name: "api", Replicas: &c.replicas}, {Name: "queue", Exclusive: true}}}
			got := judgeObservation(c.pods, aVersion("2.0.0", ledger.Live), p, c.verification, noon.Add(time.Minute), noon.Add(c.at))
			if (got.message != "") != c.fails || got.over != c.over {
				t.Errorf("judged %+v", got)
			}
		})
	}
}

func TestLeadsTo(t *testing.T) {
	pods := []corev1.Pod{podThat("new"), podThat("old", func(p *corev1.Pod) { p.Labels[v1alpha1.LabelVersion] = "1.0.0" })}
	slice := func(endpoints ...discoveryv1.Endpoint) discoveryv1.EndpointSlice {
		return discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{discoveryv1.LabelServiceName: "api"}}, Endpoints: endpoints}
	}
	endpoint := func(pod string, ready *bool) discoveryv1.Endpoint {
		return discoveryv1.Endpoint{Conditions: discoveryv1.EndpointConditions{Ready: ready}, TargetRef: &corev1.ObjectReference{Name: pod}}
	}
	other := slice(endpoint("old", nil))
	other.Labels[discoveryv1.LabelServiceName] = "another"
	for name, c := range map[string]struct {
		slices []discoveryv1.EndpointSlice
		want   bool
	}{
		"nothing":                    {nil, false},
		"an empty slice":             {[]discoveryv1.EndpointSlice{slice()}, false},
		"the new pod":                {[]discoveryv1.EndpointSlice{slice(endpoint("new", nil)), other}, true},
		"the new pod, not ready":     {[]discoveryv1.EndpointSlice{slice(endpoint("new", ptr.To(false)))}, false},
		"the old pod too":            {[]discoveryv1.EndpointSlice{slice(endpoint("new", nil)), slice(endpoint("old", ptr.To(true)))}, false},
		"the old pod, not ready":     {[]discoveryv1.EndpointSlice{slice(endpoint("new", nil), endpoint("old", ptr.To(false)))}, true},
		"a pod that nobody knows":    {[]discoveryv1.EndpointSlice{slice(endpoint("new", nil), endpoint("foreign", nil))}, false},
		"an endpoint without a name": {[]discoveryv1.EndpointSlice{slice(discoveryv1.Endpoint{})}, false},
	} {
		if got := leadsTo(c.slices, pods, aVersion("2.0.0", ledger.Live), "api"); (got == "") != c.want {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestAVerificationFromAnEarlierLifeProvesNothing(t *testing.T) {
	p := planOf(&v1alpha1.NawhasReleaseSpec{Version: "2.0.0", Image: v1alpha1.ImageSpec{Repository: "r/api"}})
	job := &batchv1.Job{}
	job.Spec.Template.Spec.Containers = []corev1.Container{{Image: p.image()}}
	v := aVersion("2.0.0", ledger.Warm)
	if outdated(job, p, v, step{name: "verify"}) {
		t.Error("the first verification is outdated")
	}
	v.Drains = 1
	if !outdated(job, p, v, step{name: "verify"}) || outdated(job, p, v, step{name: "migrate"}) {
		t.Error("what was verified before the version was sent back still counts, or a migration does not")
	}
}
