package node

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

func running(object *corev1.Pod, restarts int32, ready bool) corev1.PodStatus {
	status := corev1.ConditionFalse
	if ready {
		status = corev1.ConditionTrue
	}
	started := now()
	return corev1.PodStatus{
		Phase: corev1.PodRunning, StartTime: ptr.To(object.CreationTimestamp), Conditions: conditions(status),
		ContainerStatuses: []corev1.ContainerStatus{container(object, restarts, ready, corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: started}})},
	}
}

// waiting is a pod whose process has ended and will be started again.
func waiting(object *corev1.Pod, restarts int32) corev1.PodStatus {
	return corev1.PodStatus{
		Phase: corev1.PodRunning, StartTime: ptr.To(object.CreationTimestamp), Conditions: conditions(corev1.ConditionFalse),
		ContainerStatuses: []corev1.ContainerStatus{container(object, restarts, false, corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "Restarting"}})},
	}
}

// final is the pod of a Job whose process has ended.
func final(object *corev1.Pod, code int) corev1.PodStatus {
	phase := corev1.PodSucceeded
	if code != 0 {
		phase = corev1.PodFailed
	}
	ended := corev1.ContainerStateTerminated{ExitCode: int32(code), StartedAt: object.CreationTimestamp, FinishedAt: now()} //nolint:gosec // below 256
	return corev1.PodStatus{
		Phase: phase, StartTime: ptr.To(object.CreationTimestamp), Conditions: conditions(corev1.ConditionFalse),
		ContainerStatuses: []corev1.ContainerStatus{container(object, 0, false, corev1.ContainerState{Terminated: &ended})},
	}
}

func container(object *corev1.Pod, restarts int32, ready bool, state corev1.ContainerState) corev1.ContainerStatus {
	first := object.Spec.Containers[0]
	return corev1.ContainerStatus{Name: first.Name, Image: first.Image, ImageID: first.Image + "@sha256:" + digest(first.Image), Ready: ready, RestartCount: restarts, State: state}
}

func conditions(ready corev1.ConditionStatus) []corev1.PodCondition {
	// Times of the API have seconds only.
	at := metav1.NewTime(time.Now().Truncate(time.Second))
	return []corev1.PodCondition{
		{Type: corev1.PodScheduled, Status: corev1.ConditionTrue, LastTransitionTime: at},
		{Type: corev1.PodInitialized, Status: corev1.ConditionTrue, LastTransitionTime: at},
		{Type: corev1.ContainersReady, Status: ready, LastTransitionTime: at},
		{Type: corev1.PodReady, Status: ready, LastTransitionTime: at},
	}
}
