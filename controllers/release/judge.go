package release

import (
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

// verdict is what the objects in the cluster say of some pods.
type verdict struct {
	done, failed bool
	// reason and message are set when something keeps the pods from going on.
	reason, message string
}

// judgeJob decides on a Job by its own conditions, and says what keeps it from
// going on by its pods.
func judgeJob(job *batchv1.Job, pods []corev1.Pod) verdict {
	for _, condition := range job.Status.Conditions {
		if condition.Status != corev1.ConditionTrue {
			continue
		}
		switch condition.Type {
		case batchv1.JobComplete:
			return verdict{done: true}
		case batchv1.JobFailed:
			return failedJob(job, condition, pods)
		}
	}
	for i := range pods {
		if problem := judgePod(&pods[i]); problem.reason != "" {
			return problem
		}
	}
	return verdict{}
}

func failedJob(job *batchv1.Job, condition batchv1.JobCondition, pods []corev1.Pod) verdict {
	v := verdict{failed: true, reason: v1alpha1.ReasonJobFailed}
	if condition.Reason == batchv1.JobReasonDeadlineExceeded {
		v.reason = v1alpha1.ReasonTimedOut
	}
	said := lastWords(pods)
	if said == "" {
		said = condition.Message
	}
	v.message = fmt.Sprintf("Job %s failed (%s): %s; see kubectl logs -n %s job/%s", job.Name, condition.Reason, said, job.Namespace, job.Name)
	return v
}

// judgePod says what keeps a pod from running, if anything does.
func judgePod(pod *corev1.Pod) verdict {
	statuses := append(append([]corev1.ContainerStatus(nil), pod.Status.InitContainerStatuses...), pod.Status.ContainerStatuses...)
	for _, status := range statuses {
		waiting := status.State.Waiting
		if waiting == nil {
			continue
		}
		switch waiting.Reason {
		case "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull":
			return verdict{reason: v1alpha1.ReasonImageUnavailable, message: fmt.Sprintf(
				"pod %s cannot get image %s: %s; push the image, or name the Secret for it in spec.image.pullSecrets, or correct spec.image, which is possible "+
					"until the version's replay begins: it goes on by itself", pod.Name, status.Image, firstOf(waiting.Message, waiting.Reason))}
		case "CreateContainerConfigError", "CreateContainerError", "RunContainerError":
			return verdict{reason: v1alpha1.ReasonPodFailing, message: fmt.Sprintf(
				"pod %s cannot start: %s; make what it lacks or correct the spec, it goes on by itself", pod.Name, firstOf(waiting.Message, waiting.Reason))}
		case "CrashLoopBackOff":
			return verdict{reason: v1alpha1.ReasonPodFailing, message: fmt.Sprintf(
				"pod %s ends again and again%s; see kubectl logs -n %s %s --previous", pod.Name, terminated(status), pod.Namespace, pod.Name)}
		}
	}
	return unschedulable(pod)
}

func unschedulable(pod *corev1.Pod) verdict {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodScheduled && condition.Status == corev1.ConditionFalse && condition.Reason == corev1.PodReasonUnschedulable {
			return verdict{reason: v1alpha1.ReasonPodFailing, message: fmt.Sprintf(
				"pod %s has no node to run on: %s; correct the resources or the node selector in the spec, or make room on a node: it goes on by itself", pod.Name, condition.Message)}
		}
	}
	return verdict{}
}

func terminated(status corev1.ContainerStatus) string {
	last := status.LastTerminationState.Terminated
	if last == nil {
		return ""
	}
	if said := strings.TrimSpace(last.Message); said != "" {
		return ": " + said
	}
	return fmt.Sprintf(" with exit code %d", last.ExitCode)
}

// lastWords is what the newest ended pod left as its termination message, or
// its exit code.
func lastWords(pods []corev1.Pod) string {
	var newest *corev1.Pod
	var words string
	for i := range pods {
		for _, status := range pods[i].Status.ContainerStatuses {
			ended := status.State.Terminated
			if ended == nil || ended.ExitCode == 0 {
				continue
			}
			if newest == nil || newest.CreationTimestamp.Before(&pods[i].CreationTimestamp) {
				newest = &pods[i]
				words = firstOf(strings.TrimSpace(ended.Message), fmt.Sprintf("exit code %d", ended.ExitCode))
			}
		}
	}
	return words
}

// rolledOut reports whether a Deployment runs all its pods as it should, and
// none of another template.
func rolledOut(d *appsv1.Deployment) bool {
	wanted := ptr.Deref(d.Spec.Replicas, 1)
	st := d.Status
	return st.ObservedGeneration >= d.Generation && st.UpdatedReplicas == wanted && st.Replicas == wanted && st.AvailableReplicas == wanted
}

func firstOf(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}
