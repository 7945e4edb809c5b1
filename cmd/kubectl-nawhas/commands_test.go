package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

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

// A script that waits must not take an interrupt for a version that is live.
func TestAnInterrupt(t *testing.T) {
	r := newRoom(t)
	r.recorded("replaying")
	for mode, code := range map[string]int{"-w": 0, "--wait": exitFailed} {
		t.Run(mode, func(t *testing.T) {
			ctx, stop := context.WithTimeout(t.Context(), 2*time.Second)
			defer stop()
			got := runWith(ctx, "status", mode, "--kubeconfig", kubeconfig, "-n", r.namespace)
			got.expect(t, code, "replaying 61 %")
			if told := strings.Contains(got.problem, "interrupted"); told != (code != 0) {
				t.Errorf("it says %q", got.problem)
			}
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

func TestHistory(t *testing.T) {
	r := newRoom(t)
	r.recorded("switched")
	r.run("history").expect(t, 0, "VERSION", "3.2.0    Live  nawhas_v3_2_0", "3.1.2    Warm  nawhas_v3_1_2", "ghcr.io/nawhas/api:3.1.2")
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
		release.Spec.Workloads[0].Template.Spec.Containers[0].Env = []corev1.EnvVar{
			{Name: "PASSWORD", Value: "hunter2"}, {Name: "NAWHAS_TOKEN", Value: "hunter2"}, {Name: "NAWHAS_BUILD", Value: "hunter2"}}
	})
	r.must(cluster.Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: r.namespace, Name: "nawhas-source",
		Labels: map[string]string{v1alpha1.LabelRelease: "nawhas"}}, StringData: map[string]string{"url": "postgres://a:hunter2@db/source"}}))
	r.must(cluster.Create(t.Context(), &corev1.Event{ObjectMeta: metav1.ObjectMeta{Namespace: r.namespace, Name: "e"}, Reason: "JobFailed", Type: "Warning",
		InvolvedObject: corev1.ObjectReference{Kind: "NawhasRelease", Namespace: r.namespace, Name: "nawhas"}, Message: "connect to postgres://a:hunter2@db/source"}))
	labels := map[string]string{"app.kubernetes.io/name": "prod-nawhas-operator", "app.kubernetes.io/part-of": "nawhas-operator"}
	r.must(cluster.Create(t.Context(), &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: r.namespace, Name: "prod-nawhas-operator", Labels: labels},
		Spec: appsv1.DeploymentSpec{Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: template(labels)}}))
	r.job("verify")
	r.schedule(r.pod("verify"), kubelet(t))
	r.schedule(r.pod("replay"), "a-node-that-is-gone")
	file := filepath.Join(t.TempDir(), "report.tar.gz")

	r.run("report", "--file", file).expect(t, 0, "wrote "+file, "not read: logs")

	files := unpacked(t, file)
	for name, want := range map[string]string{
		"status.txt": "✘ verifying", "release.yaml": "kind: NawhasRelease", "jobs.yaml": "nawhas-verify", "deployments.yaml": "nawhas-api", "pods.yaml": "kind: Pod",
		"events.txt": "postgres://REDACTED@db", "operator.yaml": "name: prod-nawhas-operator", "not-read.txt": "logs of pod nawhas-replay-x", "logs/nawhas-verify-x.log": "postgres://REDACTED@db", "services.yaml": "", "controllerrevisions.yaml": "",
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
	return r.podOf("3.2.0", stage)
}

func (r *room) podOf(version, stage string) *corev1.Pod {
	r.t.Helper()
	labels := map[string]string{v1alpha1.LabelRelease: "nawhas", v1alpha1.LabelVersion: version, v1alpha1.LabelStage: stage}
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
