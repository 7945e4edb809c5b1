package release

import (
	"context"
	"fmt"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/ledger"
)

// usualUtilization is what is scaled by when the spec names no metric, in
// percent of the CPU that the pods request.
const usualUtilization = 80

// ensureCompanions gives a version's workload its autoscaler and its disruption
// budget, and takes away those that it should not have: an autoscaler is for
// what is live, because a candidate without traffic would be scaled down
// right before it takes all of it.
func (r *Reconciler) ensureCompanions(ctx context.Context, s *scope, v *ledger.Version, workload *v1alpha1.Workload, runs bool) error {
	labels := merged(labelsOf(s, v), map[string]string{v1alpha1.LabelWorkload: workload.Name})
	name := objectName(s.release.Name, workload.Name, v.Version)
	if runs && workload.Autoscaling != nil && v.Role == ledger.Live {
		if err := r.converge(ctx, s, renderAutoscaler(s, workload.Autoscaling, name, labels), &autoscalingv2.HorizontalPodAutoscaler{}); err != nil {
			return err
		}
	} else if err := r.removeAutoscaler(ctx, s, v, workload.Name); err != nil {
		return err
	}
	if runs && workload.DisruptionBudget != nil {
		return r.converge(ctx, s, renderBudget(s, workload.DisruptionBudget, name, labels), &policyv1.PodDisruptionBudget{})
	}
	return r.removeBudget(ctx, s, v, workload.Name)
}

func renderAutoscaler(s *scope, wanted *v1alpha1.Autoscaling, name string, labels map[string]string) *autoscalingv2.HorizontalPodAutoscaler {
	metrics := wanted.Metrics
	if len(metrics) == 0 {
		metrics = []autoscalingv2.MetricSpec{{Type: autoscalingv2.ResourceMetricSourceType, Resource: &autoscalingv2.ResourceMetricSource{
			Name: corev1.ResourceCPU, Target: autoscalingv2.MetricTarget{Type: autoscalingv2.UtilizationMetricType, AverageUtilization: ptr.To[int32](usualUtilization)}}}}
	}
	return &autoscalingv2.HorizontalPodAutoscaler{
		TypeMeta:   metav1.TypeMeta{APIVersion: "autoscaling/v2", Kind: "HorizontalPodAutoscaler"},
		ObjectMeta: s.objectMeta(name, labels),
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: name},
			MinReplicas:    ptr.To(ptr.Deref(wanted.MinReplicas, 1)), MaxReplicas: wanted.MaxReplicas, Metrics: metrics, Behavior: wanted.Behavior,
		},
	}
}

func renderBudget(s *scope, wanted *v1alpha1.DisruptionBudget, name string, labels map[string]string) *policyv1.PodDisruptionBudget {
	budget := &policyv1.PodDisruptionBudget{
		TypeMeta:   metav1.TypeMeta{APIVersion: "policy/v1", Kind: "PodDisruptionBudget"},
		ObjectMeta: s.objectMeta(name, labels),
		Spec:       policyv1.PodDisruptionBudgetSpec{Selector: selector(labels), MinAvailable: wanted.MinAvailable, MaxUnavailable: wanted.MaxUnavailable},
	}
	if wanted.UnhealthyPodEvictionPolicy != "" {
		budget.Spec.UnhealthyPodEvictionPolicy = &wanted.UnhealthyPodEvictionPolicy
	}
	return budget
}

func (r *Reconciler) removeAutoscaler(ctx context.Context, s *scope, v *ledger.Version, workload string) error {
	for i := range s.autoscalers {
		a := &s.autoscalers[i]
		if a.Labels[v1alpha1.LabelVersion] == v.Version && (workload == "" || a.Labels[v1alpha1.LabelWorkload] == workload) && a.DeletionTimestamp.IsZero() && s.owns(a) {
			if err := r.remove(ctx, a); err != nil {
				return fmt.Errorf("remove an autoscaler: %w", err)
			}
		}
	}
	return nil
}

func (r *Reconciler) removeBudget(ctx context.Context, s *scope, v *ledger.Version, workload string) error {
	for i := range s.budgets {
		b := &s.budgets[i]
		if b.Labels[v1alpha1.LabelVersion] == v.Version && (workload == "" || b.Labels[v1alpha1.LabelWorkload] == workload) && b.DeletionTimestamp.IsZero() && s.owns(b) {
			if err := r.remove(ctx, b); err != nil {
				return fmt.Errorf("remove a disruption budget: %w", err)
			}
		}
	}
	return nil
}
