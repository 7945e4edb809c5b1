package release

import (
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

func TestAVersionGoesFromNothingToLive(t *testing.T) {
	w := newWorld(t)
	w.newRelease()

	release := w.until("live", isLive("3.1.2"))

	for _, stage := range v1alpha1.Stages() {
		if !isTrue(release, stage) {
			t.Errorf("stage %s is not passed:\n%s", stage, w.told())
		}
	}
	if !isTrue(release, v1alpha1.ConditionAvailable) || isTrue(release, v1alpha1.ConditionStalled) || isTrue(release, v1alpha1.ConditionReconciling) {
		t.Errorf("the summary is wrong:\n%s", w.told())
	}
	if got := w.selected("nawhas-api"); got != "3.1.2" {
		t.Errorf("the Service leads to %q", got)
	}
	if err := w.kubelet.append("3.1.2", 1); err != nil {
		t.Error(err)
	}
	only := release.Status.Versions
	if len(only) != 1 || only[0].Role != v1alpha1.RoleLive || only[0].Database != w.prefix+"3_1_2" || only[0].LiveSince == nil {
		t.Errorf("status.versions is %+v", only)
	}
}

func TestNothingIsWrittenInSteadyState(t *testing.T) {
	w := newWorld(t)
	w.newRelease()
	w.until("live", isLive("3.1.2"))
	w.settle()
	counting := &countingClient{Client: cluster}
	w.reconciler.Client = counting

	for range 5 {
		w.kubelet.wait(time.Minute)
		if _, err := w.pass(); err != nil {
			t.Fatal(err)
		}
	}

	if len(counting.writes) > 0 {
		t.Errorf("wrote %v", counting.writes)
	}
}

func TestARestartedOperatorMakesNothingAnew(t *testing.T) {
	w := newWorld(t)
	w.newRelease()
	w.until("live", isLive("3.1.2"))
	w.settle()
	counting := &countingClient{Client: cluster}
	w.restart(counting)

	w.settle()

	// Its epoch is written on the Service, and nothing else.
	if len(counting.writes) != 1 || counting.writes[0] != "patch *v1.Service" {
		t.Errorf("wrote %v", counting.writes)
	}
}

func TestTheNextVersionAndBack(t *testing.T) {
	w := newWorld(t)
	w.newRelease()
	w.until("live", isLive("3.1.2"))

	w.release("3.2.0")
	release := w.until("live", isLive("3.2.0"))

	if got := w.selected("nawhas-api"); got != "3.2.0" {
		t.Errorf("the Service leads to %q", got)
	}
	if err := w.kubelet.append("3.2.0", 1); err != nil {
		t.Error(err)
	}
	if err := w.kubelet.append("3.1.2", 1); err == nil {
		t.Error("the old version can still append after its fence")
	}
	if !isTrue(release, v1alpha1.ConditionRollbackReady) {
		t.Errorf("not ready to go back:\n%s", w.told())
	}

	w.release("3.1.2")
	w.until("live again", isLive("3.1.2"))
	if err := w.kubelet.append("3.1.2", 1); err != nil {
		t.Error(err)
	}
	if err := w.kubelet.append("3.2.0", 1); err == nil {
		t.Error("the version that was gone back from can still append")
	}
	if jobs := w.jobs("3.1.2"); len(jobs) != 3 {
		t.Errorf("going back ran Jobs: %v", jobs)
	}
}

func TestTheOldVersionStaysLiveWhileTheNewOneFails(t *testing.T) {
	w := newWorld(t)
	w.newRelease()
	w.until("live", isLive("3.1.2"))
	w.kubelet.refuse = map[string]int32{"verify": exitUnproven}

	w.release("3.2.0")
	release := w.until("failed", func(r *v1alpha1.NawhasRelease) bool {
		return conditionOf(r, v1alpha1.ConditionVerified).Reason == v1alpha1.ReasonJobFailed
	})

	if release.Status.Live != "3.1.2" || !isTrue(release, v1alpha1.ConditionAvailable) || !isTrue(release, v1alpha1.ConditionStalled) {
		t.Errorf("the live version was touched:\n%s", w.told())
	}
	if err := w.kubelet.append("3.1.2", 1); err != nil {
		t.Error(err)
	}
	if message := conditionOf(release, v1alpha1.ConditionVerified).Message; !strings.Contains(message, "the last words of verify") {
		t.Errorf("the message does not tell what the Job said: %s", message)
	}
	if got := w.selected("nawhas-api"); got != "3.1.2" {
		t.Errorf("the Service leads to %q", got)
	}
}

func TestAFailedJobIsTriedAgainLater(t *testing.T) {
	w := newWorld(t)
	w.newRelease()
	w.kubelet.refuse = map[string]int32{"replay": 1}
	w.until("failed", func(r *v1alpha1.NawhasRelease) bool {
		return conditionOf(r, v1alpha1.ConditionReplayed).Reason == v1alpha1.ReasonJobFailed
	})
	w.kubelet.refuse = nil

	w.kubelet.wait(firstRetry + time.Second)

	w.until("live", isLive("3.1.2"))
}

func TestACandidateThatIsNoLongerWantedIsRemoved(t *testing.T) {
	w := newWorld(t)
	w.newRelease()
	w.until("live", isLive("3.1.2"))
	w.kubelet.refuse = map[string]int32{"replay": 1}
	w.release("3.2.0")
	w.until("failed", func(r *v1alpha1.NawhasRelease) bool {
		return conditionOf(r, v1alpha1.ConditionReplayed).Reason == v1alpha1.ReasonJobFailed
	})

	w.release("3.1.2")
	w.until("removed", func(r *v1alpha1.NawhasRelease) bool { return len(r.Status.Versions) == 1 })

	if exists := w.databaseExists(w.prefix + "3_2_0"); exists {
		t.Error("the candidate's database is still there")
	}
	if !w.databaseExists(w.prefix + "3_1_2") {
		t.Error("the live database is gone")
	}
	if release := w.get(); release.Status.Live != "3.1.2" || !isTrue(release, v1alpha1.ConditionReady) {
		t.Errorf("the live version is not what it was:\n%s", w.told())
	}
}

func TestRetentionRemovesTheOldestAfterItsWindow(t *testing.T) {
	w := newWorld(t)
	w.newRelease()
	w.until("live", isLive("3.1.2"))
	for _, version := range []string{"3.1.3", "3.1.4"} {
		w.release(version)
		w.until("live", isLive(version))
	}
	if !w.databaseExists(w.prefix + "3_1_2") {
		t.Fatal("the oldest database was removed within its window")
	}

	w.clock.SetTime(time.Now().Add(48 * time.Hour))
	w.until("removed", func(r *v1alpha1.NawhasRelease) bool { return len(r.Status.Versions) == 2 })

	if w.databaseExists(w.prefix + "3_1_2") {
		t.Error("the oldest database is still there")
	}
	if !w.databaseExists(w.prefix+"3_1_3") || !w.databaseExists(w.prefix+"3_1_4") {
		t.Error("a database within the retention was removed")
	}
}

func TestManualPromotionWaitsForItsVersion(t *testing.T) {
	w := newWorld(t)
	w.newRelease(func(r *v1alpha1.NawhasRelease) {
		r.Spec.Promotion = v1alpha1.PromotionSpec{Mode: v1alpha1.PromotionManual, Approved: "3.1.1"}
	})
	w.until("waiting", func(r *v1alpha1.NawhasRelease) bool {
		return conditionOf(r, v1alpha1.ConditionSwitched).Reason == v1alpha1.ReasonAwaitingApproval
	})
	if release := w.get(); release.Status.Live != "" || isTrue(release, v1alpha1.ConditionStalled) {
		t.Fatalf("did not wait quietly:\n%s", w.told())
	}

	w.update(func(r *v1alpha1.NawhasRelease) { r.Spec.Promotion.Approved = "3.1.2" })

	w.until("live", isLive("3.1.2"))
}

func TestACandidateCanBeSeenBeforeItIsLive(t *testing.T) {
	w := newWorld(t)
	w.newRelease()
	w.until("live", isLive("3.1.2"))
	w.update(func(r *v1alpha1.NawhasRelease) {
		r.Spec.Version = "3.2.0"
		r.Spec.Promotion.Mode = v1alpha1.PromotionManual
	})
	w.until("waiting", func(r *v1alpha1.NawhasRelease) bool {
		return conditionOf(r, v1alpha1.ConditionSwitched).Reason == v1alpha1.ReasonAwaitingApproval
	})
	if preview, live := w.selected("nawhas-api-preview"), w.selected("nawhas-api"); preview != "3.2.0" || live != "3.1.2" {
		t.Errorf("the preview leads to %q and the Service to %q", preview, live)
	}
	if err := w.kubelet.append("3.2.0", 1); err == nil {
		t.Error("a preview can append")
	}

	w.update(func(r *v1alpha1.NawhasRelease) { r.Spec.Promotion.Approved = "3.2.0" })
	w.until("live", isLive("3.2.0"))
	w.settle()
	if w.hasService("nawhas-api-preview") {
		t.Error("the preview is still there")
	}

	w.release("3.1.2")
	w.until("waiting", func(r *v1alpha1.NawhasRelease) bool {
		return conditionOf(r, v1alpha1.ConditionSwitched).Reason == v1alpha1.ReasonAwaitingApproval
	})
	if preview := w.selected("nawhas-api-preview"); preview != "3.1.2" {
		t.Errorf("the preview of a way back that waits for approval leads to %q", preview)
	}
}

// Nodes gather the changes of a second: one that nobody needs, right before the
// switch, has them learn of it a second later.
func TestAWayBackThatNobodyApprovesHasNoPreview(t *testing.T) {
	w := twoVersions(t)
	w.release("3.1.2")
	w.until("back", func(r *v1alpha1.NawhasRelease) bool {
		if w.hasService("nawhas-api-preview") {
			t.Fatal("there is one")
		}
		return isLive("3.1.2")(r)
	})
}

func TestACandidateThatLagsDoesNotGoLive(t *testing.T) {
	w := newWorld(t)
	w.newRelease()
	w.until("live", isLive("3.1.2"))
	w.must(w.kubelet.append("3.1.2", 200))
	w.kubelet.behind = 150
	w.release("3.2.0")

	w.until("lagging", func(r *v1alpha1.NawhasRelease) bool {
		return conditionOf(r, v1alpha1.ConditionCaughtUp).Reason == v1alpha1.ReasonCatchingUp
	})
	if live := w.get().Status.Live; live != "3.1.2" {
		t.Fatalf("live is %q", live)
	}

	w.kubelet.behind = 50 // within maxLag, but below the watermark
	w.until("at the watermark", func(r *v1alpha1.NawhasRelease) bool {
		return conditionOf(r, v1alpha1.ConditionSwitched).Reason == v1alpha1.ReasonSwitching
	})
	if live := w.get().Status.Live; live != "3.1.2" {
		t.Fatalf("live is %q although the candidate is below the watermark", live)
	}

	// Another image is not obeyed any more, and it is said at once.
	w.update(func(r *v1alpha1.NawhasRelease) { r.Spec.Image.Tag = "other" })
	w.until("told", func(r *v1alpha1.NawhasRelease) bool {
		return strings.Contains(conditionOf(r, v1alpha1.ConditionReady).Message, "ghcr.io/nawhas/api:other is not used")
	})
	w.update(func(r *v1alpha1.NawhasRelease) { r.Spec.Image.Tag = "" })

	w.kubelet.behind = 0
	w.until("live", isLive("3.2.0"))
}

func TestAnotherImageForABuiltVersionIsRefused(t *testing.T) {
	w := newWorld(t)
	w.newRelease()
	w.until("live", isLive("3.1.2"))

	w.update(func(r *v1alpha1.NawhasRelease) { r.Spec.Image.Tag = "other" })
	release := w.until("refused", func(r *v1alpha1.NawhasRelease) bool {
		return conditionOf(r, v1alpha1.ConditionStalled).Reason == v1alpha1.ReasonImageChanged
	})

	if !isTrue(release, v1alpha1.ConditionReady) {
		t.Errorf("the live version is no longer ready:\n%s", w.told())
	}
	d := &appsv1.Deployment{}
	w.must(cluster.Get(t.Context(), client.ObjectKey{Namespace: w.namespace, Name: "nawhas-api-3-1-2"}, d))
	if image := d.Spec.Template.Spec.Containers[0].Image; image != "ghcr.io/nawhas/api:3.1.2" {
		t.Errorf("the pods run %s", image)
	}
}

func TestWhatIsDeletedOrChangedIsPutBack(t *testing.T) {
	w := newWorld(t)
	w.newRelease()
	w.until("live", isLive("3.1.2"))
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "nawhas-follower-3-1-2"}}
	w.must(cluster.Delete(t.Context(), d))
	service := &corev1.Service{}
	w.must(cluster.Get(t.Context(), client.ObjectKey{Namespace: w.namespace, Name: "nawhas-api"}, service))
	service.Spec.Selector[v1alpha1.LabelVersion] = "9.9.9"
	w.must(cluster.Update(t.Context(), service))
	postgres.Exec(t, w.sourceDatabase, "REVOKE INSERT ON events FROM "+w.prefix+"3_1_2_app")

	w.settle()

	w.must(cluster.Get(t.Context(), client.ObjectKeyFromObject(d), d))
	if got := w.selected("nawhas-api"); got != "3.1.2" {
		t.Errorf("the Service leads to %q", got)
	}
	w.must(w.kubelet.append("3.1.2", 1))
}

func TestDeletionRetainsTheDatabaseAndTakesTheRightToAppend(t *testing.T) {
	w := newWorld(t)
	release := w.newRelease()
	w.until("live", isLive("3.1.2"))

	w.must(cluster.Delete(t.Context(), release))
	w.untilGone()

	if !w.databaseExists(w.prefix + "3_1_2") {
		t.Error("the database is gone")
	}
	if err := w.kubelet.append("3.1.2", 1); err == nil {
		t.Error("the version can still append")
	}

	w.newRelease()
	w.until("live again", isLive("3.1.2"))
	w.must(w.kubelet.append("3.1.2", 1))
}

func TestDeletionDropsTheDatabasesWhenAsked(t *testing.T) {
	w := newWorld(t)
	release := w.newRelease(func(r *v1alpha1.NawhasRelease) { r.Spec.DeletionPolicy = v1alpha1.DeletionDelete })
	w.until("live", isLive("3.1.2"))

	w.must(cluster.Delete(t.Context(), release))
	w.untilGone()

	if w.databaseExists(w.prefix + "3_1_2") {
		t.Error("the database is still there")
	}
	var roles int
	w.must(w.admin("postgres").QueryRow(t.Context(), "SELECT count(*) FROM pg_roles WHERE rolname LIKE $1", w.prefix+"3_1_2%").Scan(&roles))
	if roles != 0 {
		t.Errorf("%d roles are left", roles)
	}
}

func TestDeletionDoesNotWaitForASecretThatIsGone(t *testing.T) {
	w := newWorld(t)
	release := w.newRelease()
	w.until("live", isLive("3.1.2"))
	w.must(cluster.Delete(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "nawhas-source"}}))

	w.must(cluster.Delete(t.Context(), release))
	w.untilGone()

	if !w.databaseExists(w.prefix + "3_1_2") {
		t.Error("the database is gone")
	}
}

func (w *world) untilGone() {
	w.t.Helper()
	for range passes {
		_, err := w.pass()
		w.must(err)
		w.kubelet.work()
		err = cluster.Get(w.t.Context(), client.ObjectKey{Namespace: w.namespace, Name: "nawhas"}, &v1alpha1.NawhasRelease{})
		if apierrors.IsNotFound(err) {
			return
		}
	}
	w.t.Fatalf("not gone after %d passes:\n%s", passes, w.told())
}

// settle lets everything that was set off come to its end.
func (w *world) settle() {
	w.t.Helper()
	for range 5 {
		_, err := w.pass()
		w.must(err)
		w.kubelet.work()
	}
}

func (w *world) selected(service string) string {
	w.t.Helper()
	found := &corev1.Service{}
	w.must(cluster.Get(w.t.Context(), client.ObjectKey{Namespace: w.namespace, Name: service}, found))
	return found.Spec.Selector[v1alpha1.LabelVersion]
}

func (w *world) jobs(version string) []string {
	w.t.Helper()
	var found batchv1.JobList
	w.must(cluster.List(w.t.Context(), &found, client.InNamespace(w.namespace), client.MatchingLabels{v1alpha1.LabelVersion: version}))
	var names []string
	for i := range found.Items {
		names = append(names, found.Items[i].Name)
	}
	slices.Sort(names)
	return names
}

func (w *world) databaseExists(name string) bool {
	w.t.Helper()
	var exists bool
	w.must(w.admin("postgres").QueryRow(w.t.Context(), "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).Scan(&exists))
	return exists
}
