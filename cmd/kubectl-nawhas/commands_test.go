package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/screen"
)

func TestStatus(t *testing.T) {
	r := newRoom(t)
	r.recorded("replaying")

	got := r.run("status", "nawhas")

	got.expect(t, 0, "live 3.1.2   wanted 3.2.0   available", "├─ 3.2.0  candidate  nawhas_v3_2_0", "✔ migrated", "● replaying", "61 %", "58,200 events/s",
		"· verified", "└─ 3.1.2  live       nawhas_v3_1_2   lag 0   2/2 pods")
	if strings.Contains(got.out, "\x1b") {
		t.Errorf("there are escapes in a pipe: %q", got.out)
	}
}

func TestStatusForPrograms(t *testing.T) {
	r := newRoom(t)
	r.recorded("failed")
	got := r.run("status", "-o", "json")
	got.expect(t, 0)
	var summary screen.Summary
	if err := json.Unmarshal([]byte(got.out), &summary); err != nil {
		t.Fatal(err)
	}
	if summary.Live != "3.1.2" || !summary.Stalled || summary.Ready || summary.Versions[0].Stages[3].State != screen.Failed {
		t.Errorf("%+v", summary)
	}
}

func TestWaiting(t *testing.T) {
	for name, test := range map[string]struct {
		code int
		said string
	}{
		"switched":  {0, "live 3.2.0 wanted 3.2.0"},
		"failed":    {exitFailed, "version 3.2.0 cannot go live: JobFailed"},
		"replaying": {exitTimedOut, "timed out: "},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRoom(t)
			r.recorded(name)
			r.run("status", "--wait", "--timeout", "2s").expect(t, test.code, test.said)
		})
	}
}

// Where there is no terminal a line is printed for each change, and none for
// what stays as it is.
func TestWatchingInAPipe(t *testing.T) {
	r := newRoom(t)
	r.recorded("replaying")
	got := r.run("status", "-w", "--timeout", "3s")
	got.expect(t, exitTimedOut, "nawhas live 3.1.2 wanted 3.2.0: replaying 61 %")
	if lines := strings.Count(got.out, "\n"); lines != 1 {
		t.Errorf("%d lines:\n%s", lines, got.out)
	}
}

func TestPromote(t *testing.T) {
	r := newRoom(t)
	r.recorded("waiting")

	r.run("promote", "--dry-run").expect(t, 0, "nothing was changed")
	if approved := r.get("nawhas").Spec.Promotion.Approved; approved != "" {
		t.Fatalf("approved %q in a trial", approved)
	}
	r.run("promote").expect(t, 0, "nawhas: version 3.2.0 may go live")
	if approved := r.get("nawhas").Spec.Promotion.Approved; approved != "3.2.0" {
		t.Errorf("approved %q", approved)
	}
	r.run("promote").expect(t, exitFailed, "approved already")
}

func TestPromoteWhereNobodyHasToApprove(t *testing.T) {
	r := newRoom(t)
	r.recorded("waiting", func(release *v1alpha1.NawhasRelease) { release.Spec.Promotion.Mode = v1alpha1.PromotionAutomatic })
	r.run("promote").expect(t, exitFailed, "promotion.mode is not Manual")
}

func TestAbort(t *testing.T) {
	r := newRoom(t)
	r.recorded("failed")
	r.run("abort").expect(t, 0, "spec.version is 3.1.2")
	if version := r.get("nawhas").Spec.Version; version != "3.1.2" {
		t.Errorf("spec.version is %s", version)
	}
	r.run("abort").expect(t, exitFailed, "nothing to give up", "kubectl nawhas rollback")
}

func TestRollback(t *testing.T) {
	r := newRoom(t)
	r.recorded("switched")
	r.run("rollback", "--to", "2.0.0").expect(t, exitUsage, "version 2.0.0 cannot come back", "Versions that can: 3.1.2.")
	r.run("rollback").expect(t, 0, "spec.version is 3.1.2")
	if version := r.get("nawhas").Spec.Version; version != "3.1.2" {
		t.Errorf("spec.version is %s", version)
	}
}

func TestRollbackOfWhatIsNotLive(t *testing.T) {
	r := newRoom(t)
	r.recorded("waiting")
	r.run("rollback").expect(t, exitFailed, "version 3.2.0 is not live yet", "kubectl nawhas abort")
}

func TestRollbackThatWouldTakeLong(t *testing.T) {
	r := newRoom(t)
	r.recorded("switched", func(release *v1alpha1.NawhasRelease) {
		for i := range release.Status.Conditions {
			if c := &release.Status.Conditions[i]; c.Type == v1alpha1.ConditionRollbackReady {
				c.Status, c.Reason, c.Message = metav1.ConditionFalse, v1alpha1.ReasonLagging, "the database is behind"
			}
		}
	})
	r.run("rollback").expect(t, exitFailed, "cannot come back at once: the database is behind", "--force")
	r.run("rollback", "--force").expect(t, 0, "spec.version is 3.1.2")
}

// What a repository decides is not changed behind its back, but it can be held.
func TestRollbackUnderGitOps(t *testing.T) {
	for name, tracked := range map[string]func(*v1alpha1.NawhasRelease){
		"Argo CD application library": func(r *v1alpha1.NawhasRelease) {
			r.Annotations = map[string]string{"argocd.argoproj.io/tracking-id": "library:releases.nawhas.com/NawhasRelease:x/nawhas"}
		},
		"Flux Kustomization apps": func(r *v1alpha1.NawhasRelease) {
			r.Labels = map[string]string{"kustomize.toolkit.fluxcd.io/name": "apps"}
		},
		"Flux keeps": func(r *v1alpha1.NawhasRelease) { r.Annotations = map[string]string{"apply-as": "kustomize-controller"} },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRoom(t)
			release := r.recorded("switched", tracked)
			if manager := release.Annotations["apply-as"]; manager != "" {
				owned := client.MergeFrom(release.DeepCopy())
				release.Spec.Version = "3.2.1"
				r.must(cluster.Patch(t.Context(), release, owned, client.FieldOwner(manager)))
				status := client.MergeFrom(release.DeepCopy())
				release.Status.Live, release.Status.ObservedGeneration = "3.2.1", release.Generation
				r.must(cluster.Status().Patch(t.Context(), release, status))
			}
			before := r.get("nawhas").Spec.Version

			r.run("rollback").expect(t, exitFailed, name, "would undo the change", "--hold")
			if version := r.get("nawhas").Spec.Version; version != before {
				t.Fatalf("spec.version is %s", version)
			}
			r.run("rollback", "--hold").expect(t, 0, "version 3.1.2 is held live", v1alpha1.AnnotationHold+"-")
			if now := r.get("nawhas"); now.Annotations[v1alpha1.AnnotationHold] != "3.1.2" || now.Spec.Version != before {
				t.Errorf("%v, spec.version %s", now.Annotations, now.Spec.Version)
			}
		})
	}
}

// sentBack makes of a switched release one whose new version failed.
func sentBack(release *v1alpha1.NawhasRelease) {
	status := &release.Status
	status.Live = "3.1.2"
	status.Versions[0].Role, status.Versions[0].Held = v1alpha1.RoleWarm, "its pods lost their readiness"
	status.Versions[1].Role, status.Versions[1].WarmUntil = v1alpha1.RoleLive, nil
	for i := range status.Conditions {
		c := &status.Conditions[i]
		switch c.Type {
		case v1alpha1.ConditionReady:
			c.Status, c.Reason, c.Message = metav1.ConditionFalse, v1alpha1.ReasonRolledBack, "version 3.2.0 was sent back; raise spec.retry to 1 to try it again"
		case v1alpha1.ConditionStalled:
			c.Status, c.Reason = metav1.ConditionTrue, v1alpha1.ReasonRolledBack
		case v1alpha1.ConditionSwitched, v1alpha1.ConditionFenced:
			c.Status, c.Reason = metav1.ConditionUnknown, v1alpha1.ReasonPending
		}
	}
}

func TestRetryOfAVersionThatWasSentBack(t *testing.T) {
	r := newRoom(t)
	r.recorded("switched", sentBack)
	r.run("status").expect(t, 0, "3.2.0  warm       nawhas_v3_2_0   sent back", "● version 3.2.0 was sent back; raise spec.retry to 1")
	r.run("rollback", "--hold").expect(t, exitFailed, "version 3.2.0 was sent back already, and version 3.1.2 is live")
	r.run("retry").expect(t, 0, "spec.retry is 1")
	if retry := r.get("nawhas").Spec.Retry; retry != 1 {
		t.Errorf("spec.retry is %d", retry)
	}
}

func TestRetryOfAStep(t *testing.T) {
	r := newRoom(t)
	r.recorded("failed")
	r.run("retry").expect(t, exitFailed, "nothing of version 3.2.0 has failed")
	job := r.job("verify")
	job.Status.StartTime = &metav1.Time{Time: job.CreationTimestamp.Time}
	for _, condition := range []batchv1.JobConditionType{batchv1.JobFailureTarget, batchv1.JobFailed} {
		job.Status.Conditions = append(job.Status.Conditions, batchv1.JobCondition{Type: condition, Status: corev1.ConditionTrue})
	}
	r.must(cluster.Status().Update(t.Context(), job))

	r.run("retry", "--dry-run").expect(t, 0, "nothing was changed")
	r.run("retry").expect(t, 0, "step verify is tried again")
	if err := cluster.Get(t.Context(), client.ObjectKeyFromObject(job), job); !apierrors.IsNotFound(err) && job.DeletionTimestamp.IsZero() {
		t.Errorf("the failed Job is still there: %v", err)
	}
}

func (r *room) job(stage string) *batchv1.Job {
	r.t.Helper()
	labels := map[string]string{v1alpha1.LabelRelease: "nawhas", v1alpha1.LabelVersion: "3.2.0", v1alpha1.LabelStage: stage}
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: r.namespace, Name: "nawhas-" + stage, Labels: labels},
		Spec: batchv1.JobSpec{Template: template(labels)}}
	job.Spec.Template.Spec.RestartPolicy = corev1.RestartPolicyNever
	r.must(cluster.Create(r.t.Context(), job))
	return job
}

func TestHistory(t *testing.T) {
	r := newRoom(t)
	r.recorded("switched")
	r.run("history").expect(t, 0, "VERSION", "3.2.0     Live   nawhas_v3_2_0", "3.1.2     Warm   nawhas_v3_1_2", "ghcr.io/nawhas/api:3.1.2")
}

func TestPlan(t *testing.T) {
	r := newRoom(t)
	r.recorded("switched")
	r.run("plan", "--version", "3.3.0").expect(t, 0, "1. create database nawhas_v3_3_0", "nawhas migrate in ghcr.io/nawhas/api:3.3.0", "compared with version 3.2.0",
		"2 × api", "kubectl nawhas promote nawhas", "switch nawhas-api to it (FlipThenFence)", "keep its database current for 24h")
	r.run("plan", "--version", "3.1.2").expect(t, 0, "going back", "without losing anything")
	r.run("plan").expect(t, 0, "nothing would be done")
	r.run("plan", "--version", "v3").expect(t, exitFailed, "version must be N.N.N", "Nothing was changed")
	if version := r.get("nawhas").Spec.Version; version != "3.2.0" {
		t.Errorf("a plan has set spec.version to %s", version)
	}
}

func TestReport(t *testing.T) {
	r := newRoom(t)
	r.recorded("failed", func(release *v1alpha1.NawhasRelease) {
		release.Spec.Workloads[0].Template.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "PASSWORD", Value: "hunter2"}}
	})
	r.must(cluster.Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: r.namespace, Name: "nawhas-source",
		Labels: map[string]string{v1alpha1.LabelRelease: "nawhas"}}, StringData: map[string]string{"url": "postgres://a:hunter2@db/source"}}))
	r.must(cluster.Create(t.Context(), &corev1.Event{ObjectMeta: metav1.ObjectMeta{Namespace: r.namespace, Name: "e"}, Reason: "JobFailed", Type: "Warning",
		InvolvedObject: corev1.ObjectReference{Kind: "NawhasRelease", Namespace: r.namespace, Name: "nawhas"}, Message: "connect to postgres://a:hunter2@db/source"}))
	r.job("verify")
	r.schedule(r.pod("verify"), kubelet(t))
	r.schedule(r.pod("replay"), "a-node-that-is-gone")
	file := filepath.Join(t.TempDir(), "report.tar.gz")

	r.run("report", "--file", file).expect(t, 0, "wrote "+file, "not read: logs")

	files := unpacked(t, file)
	for name, want := range map[string]string{
		"status.txt": "✘ verifying", "release.yaml": "kind: NawhasRelease", "jobs.yaml": "nawhas-verify", "deployments.yaml": "nawhas-api", "pods.yaml": "kind: Pod",
		"events.txt": "postgres://REDACTED@db", "operator.yaml": "", "not-read.txt": "logs of pod nawhas-replay-x", "logs/nawhas-verify-x.log": "postgres://REDACTED@db", "services.yaml": "", "controllerrevisions.yaml": "",
	} {
		text, found := files["nawhas-report-nawhas/"+name]
		if !found || !strings.Contains(text, want) {
			t.Errorf("%s: %v, without %q:\n%s", name, found, want, text)
		}
	}
	for name, text := range files {
		if strings.Contains(text, "hunter2") {
			t.Errorf("%s holds a secret:\n%s", name, text)
		}
	}
	r.run("report", "--file", file).expect(t, exitUsage, "file exists")
}

func (r *room) pod(stage string) *corev1.Pod {
	r.t.Helper()
	labels := map[string]string{v1alpha1.LabelRelease: "nawhas", v1alpha1.LabelVersion: "3.2.0", v1alpha1.LabelStage: stage}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: r.namespace, Name: "nawhas-" + stage + "-x", Labels: labels}, Spec: template(labels).Spec}
	automount := false
	pod.Spec.AutomountServiceAccountToken = &automount
	r.must(cluster.Create(r.t.Context(), pod))
	return pod
}

func (r *room) schedule(pod *corev1.Pod, node string) {
	r.t.Helper()
	r.must(cluster.SubResource("binding").Create(r.t.Context(), pod, &corev1.Binding{Target: corev1.ObjectReference{Kind: "Node", Name: node}}))
}

func unpacked(t *testing.T, file string) map[string]string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	zip, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for archive := tar.NewReader(zip); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		files[header.Name] = string(text)
	}
}

func TestCompletion(t *testing.T) {
	r := newRoom(t)
	r.recorded("settled")
	r.run("completion", "bash").expect(t, 0, "complete")
	runWith(t.Context(), "__complete", "--kubeconfig", kubeconfig, "-n", r.namespace, "status", "").expect(t, 0, "nawhas\n")
	runWith(t.Context(), "__complete", "--kubeconfig", kubeconfig, "-n", r.namespace, "logs", "").expect(t, 0, "replay\n")
}
