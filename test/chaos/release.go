package main

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/test/chaos/node"
)

const (
	release         = "nawhas"
	service         = "nawhas-api"
	port            = 8080
	replicas        = 2
	prefix          = "nawhas_v"
	sourceSecret    = "nawhas-source"
	databasesSecret = "nawhas-databases"
)

// manifest is the release of a plan.
func (w *world) manifest() *v1alpha1.NawhasRelease {
	p := w.plan
	key := func(name string) v1alpha1.ConnectionSpec {
		return v1alpha1.ConnectionSpec{SecretKeyRef: v1alpha1.SecretKeyReference{Name: name, Key: "url"}}
	}
	again := v1alpha1.StepSpec{BackoffLimit: ptr.To[int32](10)}
	return &v1alpha1.NawhasRelease{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: release},
		Spec: v1alpha1.NawhasReleaseSpec{
			Version:   p.steps[0].version,
			Image:     v1alpha1.ImageSpec{Repository: "nawhas"},
			Source:    v1alpha1.SourceSpec{Connection: key(sourceSecret)},
			Databases: v1alpha1.DatabasesSpec{Connection: key(databasesSecret), Prefix: prefix},
			Migrate:   v1alpha1.MigrateSpec{StepSpec: again},
			Replay:    v1alpha1.ReplaySpec{StepSpec: again},
			Verify:    v1alpha1.VerifySpec{StepSpec: again},
			Workloads: []v1alpha1.Workload{
				{Name: "api", Replicas: ptr.To[int32](replicas), Template: server(), Service: &v1alpha1.WorkloadService{Name: service, Ports: []v1alpha1.ServicePort{{Port: port}}}},
				{Name: exclusive, Exclusive: true, Template: server()},
			},
			Cutover: v1alpha1.CutoverSpec{Mode: p.mode, DrainTimeout: duration(2 * time.Second), Observe: duration(p.observe), StrictTimeout: duration(3 * time.Second)},
			Rollback: v1alpha1.RollbackSpec{Window: duration(p.window), KeepPodsFor: duration(p.pods), MaxWarm: ptr.To(p.warm),
				OnFailure: v1alpha1.FailureAuto},
			Retention:      v1alpha1.RetentionSpec{Versions: ptr.To(p.versions)},
			DeletionPolicy: p.policy,
		},
	}
}

func duration(d time.Duration) *metav1.Duration { return &metav1.Duration{Duration: d} }

// server is a pod that serves the API at the address that its node gives it.
func server() corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{Spec: corev1.PodSpec{
		TerminationGracePeriodSeconds: ptr.To[int64](10),
		Containers: []corev1.Container{{
			Name: "api", Args: []string{"serve", fmt.Sprintf("--listen=$(%s):%d", node.ListenVariable, port), "--metrics-listen=", "--shutdown-delay=500ms"},
			ReadinessProbe: &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/readyz", Port: intstr.FromInt32(port)}}},
		}},
	}}
}

func (w *world) get(ctx context.Context) (*v1alpha1.NawhasRelease, error) {
	found := &v1alpha1.NawhasRelease{}
	err := w.cluster.client.Get(ctx, client.ObjectKey{Namespace: w.namespace, Name: release}, found)
	return found, err
}

// change changes the release as a user would.
func (w *world) change(ctx context.Context, change func(*v1alpha1.NawhasRelease)) error {
	found, err := w.get(ctx)
	if err != nil {
		return err
	}
	before := found.DeepCopy()
	change(found)
	return w.cluster.client.Patch(ctx, found, client.MergeFrom(before))
}

// isLive tells whether a version is live, alone, and what was asked for.
func isLive(found *v1alpha1.NawhasRelease, version string) bool {
	conditions := found.Status.Conditions
	return found.Spec.Version == version && found.Status.ObservedGeneration == found.Generation && found.Status.Live == version &&
		meta.IsStatusConditionTrue(conditions, v1alpha1.ConditionReady) && meta.IsStatusConditionTrue(conditions, v1alpha1.ConditionFenced)
}

// isSentBack tells whether a version failed after its switch and another one is
// live, alone, in its stead.
func isSentBack(found *v1alpha1.NawhasRelease, version string) bool {
	stalled := meta.FindStatusCondition(found.Status.Conditions, v1alpha1.ConditionStalled)
	return found.Spec.Version == version && found.Status.ObservedGeneration == found.Generation && found.Status.Live != version && found.Status.Live != "" && stalled != nil && stalled.Reason == v1alpha1.ReasonRolledBack &&
		meta.IsStatusConditionTrue(found.Status.Conditions, v1alpha1.ConditionFenced)
}

// told is all that the release says of itself.
func told(found *v1alpha1.NawhasRelease) string {
	text := fmt.Sprintf("wanted %s, live %q\n", found.Spec.Version, found.Status.Live)
	for _, c := range found.Status.Conditions {
		text += fmt.Sprintf("  %-15s %-8s %-20s %s\n", c.Type, c.Status, c.Reason, c.Message)
	}
	for _, v := range found.Status.Versions {
		text += fmt.Sprintf("  %s %s %s\n", v.Version, v.Role, v.Database)
	}
	return text
}
