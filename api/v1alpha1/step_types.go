package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// StepSpec is what the Jobs of all steps can say. A Job is tried again backoffLimit
// times, and counts as failed after its timeout.
type StepSpec struct {
	// resources of the step's container.
	// +optional
	Resources ResourceRequirements `json:"resources,omitempty,omitzero"`

	// backoffLimit is how often a failed pod is tried again.
	// +kubebuilder:default=3
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=20
	// +optional
	BackoffLimit *int32 `json:"backoffLimit,omitempty"`
}

// ResourceRequirements are the compute resources of a step's container.
type ResourceRequirements struct {
	// limits are the most that the container may use.
	// +optional
	Limits corev1.ResourceList `json:"limits,omitempty"`

	// requests are what the container is sure to get.
	// +optional
	Requests corev1.ResourceList `json:"requests,omitempty"`
}

// MigrateSpec makes the tables of a version's empty database.
type MigrateSpec struct {
	// command is run in the application's image.
	// +kubebuilder:default={"nawhas","migrate"}
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=4096
	// +optional
	Command []string `json:"command,omitempty"`

	// timeout is how long the step may take, all tries together.
	// +kubebuilder:default="15m"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=20
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$') && duration(self) >= duration('1s')",message="must be a duration such as 90s, 15m or 24h, and at least 1s"
	// +optional
	Timeout *metav1.Duration `json:"timeout,omitempty"`

	StepSpec `json:",inline"`
}

// ReplayStrategy says how a version's database is filled.
//
// +kubebuilder:validation:Enum=Follow;Rounds
type ReplayStrategy string

// The replay strategies.
const (
	// ReplayFollow has the command replay the log and go on from its own checkpoint, and a follower keep the database current.
	ReplayFollow ReplayStrategy = "Follow"
	// ReplayRounds shows the command one part of the log after the other.
	ReplayRounds ReplayStrategy = "Rounds"
)

// ReplaySpec fills a version's database with all events of the log.
type ReplaySpec struct {
	// strategy Follow is for a command that knows where it is in the log, and a follower that keeps the database current.
	// Rounds is for one that does not: it is run again and again, each time with a copy of the next part of the log, until
	// little is left. It reads that copy at NAWHAS_SOURCE_…, and begins at position $(NAWHAS_REPLAY_FROM), which is 0 the first time.
	// +kubebuilder:default=Follow
	// +optional
	Strategy ReplayStrategy `json:"strategy,omitempty"`

	// drained is run in the image of the version that is to make way, once nobody can append any more, if that version
	// projects its own events, whatever strategy the next one has. It ends when nothing is left that this version has yet to
	// project, such as events in a queue. The command of the present spec is run, not that with which the version was released.
	// Where the present spec has none, nothing is run with strategy Rounds, and with Follow the one with which it was released.
	// +optional
	Drained *DrainedSpec `json:"drained,omitempty"`

	// command is run in the application's image.
	// +kubebuilder:default={"nawhas","replay"}
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=4096
	// +optional
	Command []string `json:"command,omitempty"`

	// timeout is how long the step may take, all tries together.
	// +kubebuilder:default="24h"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=20
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$') && duration(self) >= duration('1s')",message="must be a duration such as 90s, 15m or 24h, and at least 1s"
	// +optional
	Timeout *metav1.Duration `json:"timeout,omitempty"`

	StepSpec `json:",inline"`

	// skipEvents are ids of events that replay and follower pass over and record. They apply to
	// every version at once.
	// +listType=set
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MaxLength=36
	// +kubebuilder:validation:XValidation:rule="self.all(id, id.matches('^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'))",message="skipEvents holds ids of events, such as 018f3c2e-7b1a-7c3d-9e55-0242ac120002 in lower case"
	// +optional
	SkipEvents []string `json:"skipEvents,omitempty"`

	// maxEventsPerSecond bounds how fast events are replayed, to spare the servers. Without it a replay takes what
	// it gets. A change applies at once: the replay goes on where it was.
	// +kubebuilder:validation:Minimum=1
	// +optional
	MaxEventsPerSecond int64 `json:"maxEventsPerSecond,omitempty"`

	// follow keeps the database current after its replay.
	// +kubebuilder:default={}
	// +optional
	Follow FollowSpec `json:"follow,omitempty,omitzero"`
}

// DrainedSpec waits for what a version has yet to project.
type DrainedSpec struct {
	// command is run in the image of the version that is to make way, and ends with 0 when nothing is left.
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=4096
	// +required
	Command []string `json:"command,omitempty"`

	// resources of the command's container.
	// +optional
	Resources ResourceRequirements `json:"resources,omitempty,omitzero"`
}

// FollowSpec keeps a version's database current.
type FollowSpec struct {
	// command is run in the application's image.
	// +kubebuilder:default={"nawhas","follow"}
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=4096
	// +optional
	Command []string `json:"command,omitempty"`

	// resources of the follower's container.
	// +optional
	Resources ResourceRequirements `json:"resources,omitempty,omitzero"`
}
