package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// CutoverMode says how writes move from one version to the next.
//
// +kubebuilder:validation:Enum=FlipThenFence;Strict
type CutoverMode string

// The cutover modes.
const (
	// CutoverFlipThenFence moves the traffic first and takes the old version's right to write when it has drained.
	CutoverFlipThenFence CutoverMode = "FlipThenFence"
	// CutoverStrict holds all writes for a moment and moves traffic and right to write together.
	CutoverStrict CutoverMode = "Strict"
)

// CutoverSpec says when and how traffic moves.
//
// +kubebuilder:validation:XValidation:rule="!has(self.checks) || !has(self.observe) || duration(self.observe) == duration('0s') || self.checks.all(c, !has(c.failAfter) || duration(c.failAfter) < duration(self.observe))",message="observe must be longer than failAfter of each check: a version is watched no longer"
type CutoverSpec struct {
	// mode FlipThenFence refuses no write: both versions may write until the old one has drained.
	// Strict lets all writes wait for a moment, so that from the switch on only the new version writes.
	// +kubebuilder:default=FlipThenFence
	// +optional
	Mode CutoverMode `json:"mode,omitempty"`

	// strictTimeout is the longest that a switch in mode Strict may keep writes waiting. When it
	// does not succeed in time, everything is as before and it is tried again later.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=20
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$') && duration(self) >= duration('100ms') && duration(self) <= duration('30s')",message="must be a duration from 100ms to 30s, such as 3s: writes wait as long"
	// +kubebuilder:default="3s"
	// +optional
	StrictTimeout *metav1.Duration `json:"strictTimeout,omitempty"`

	// maxLag is the most events that a version's database may be behind when its switch begins.
	// +kubebuilder:default=100
	// +kubebuilder:validation:Minimum=0
	// +optional
	MaxLag *int64 `json:"maxLag,omitempty"`

	// drainTimeout is how long transactions of a version that lost its right to write may
	// go on before they are ended.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=20
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$')",message="must be a duration such as 90s, 15m or 24h"
	// +kubebuilder:default="30s"
	// +optional
	DrainTimeout *metav1.Duration `json:"drainTimeout,omitempty"`

	// observe is how long after its switch a version is watched, if it can be sent back. When its pods lose their
	// readiness, its verification fails or one of checks in this time, the release goes back to the previous version.
	// 0s turns it off, and so does rollback.onFailure None: then nothing is watched nor verified again.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=20
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$')",message="must be a duration such as 90s, 15m or 24h"
	// +kubebuilder:default="2m"
	// +optional
	Observe *metav1.Duration `json:"observe,omitempty"`

	// checks are asked of Prometheus while a version is watched. One that fails counts like a failed verification.
	// With rollback.onFailure None nothing is watched, and none of them is asked.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=8
	// +optional
	Checks []MetricCheck `json:"checks,omitempty"`
}

// FailurePolicy says what happens when a version fails right after its switch.
//
// +kubebuilder:validation:Enum=Auto;None
type FailurePolicy string

// The failure policies.
const (
	// FailureAuto goes back to the previous version, and holds the one that failed.
	FailureAuto FailurePolicy = "Auto"
	// FailureNone leaves it to people, and watches nothing.
	FailureNone FailurePolicy = "None"
)

// UnknownEventsPolicy says what a previous version does with events that it does not know.
//
// +kubebuilder:validation:Enum=Refuse;Skip
type UnknownEventsPolicy string

// The policies for unknown events.
const (
	// UnknownEventsRefuse stops the previous version's database there: it cannot come back.
	UnknownEventsRefuse UnknownEventsPolicy = "Refuse"
	// UnknownEventsSkip passes over them, and records them in the version's database.
	UnknownEventsSkip UnknownEventsPolicy = "Skip"
)

// RollbackSpec says how long a previous version stays ready to come back.
type RollbackSpec struct {
	// window is how long the database of a previous version is kept current, so that going
	// back takes seconds. It is stronger than retention.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=20
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$')",message="must be a duration such as 90s, 15m or 24h"
	// +kubebuilder:default="24h"
	// +optional
	Window *metav1.Duration `json:"window,omitempty"`

	// keepPodsFor is how long the pods of a previous version go on running. Afterwards a way
	// back waits for new ones.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=20
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$')",message="must be a duration such as 90s, 15m or 24h"
	// +kubebuilder:default="15m"
	// +optional
	KeepPodsFor *metav1.Duration `json:"keepPodsFor,omitempty"`

	// maxWarm is how many previous versions are kept current at a time. The databases of others
	// stay, as window and retention say, but fall behind.
	// +kubebuilder:default=1
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=20
	// +optional
	MaxWarm *int32 `json:"maxWarm,omitempty"`

	// onFailure Auto goes back to the previous version when the new one fails within cutover.observe,
	// and holds the one that failed until version changes or retry is raised. None leaves it to people: the new one is
	// not watched, so that cutover.observe and cutover.checks do nothing.
	// +kubebuilder:default=Auto
	// +optional
	OnFailure FailurePolicy `json:"onFailure,omitempty"`

	// unknownEvents says what a previous version does with events that only a newer one knows:
	// Refuse keeps it from coming back, Skip passes over them and records them.
	// +kubebuilder:default=Refuse
	// +optional
	UnknownEvents UnknownEventsPolicy `json:"unknownEvents,omitempty"`
}

// RetentionSpec says what is kept of versions that are no longer live.
type RetentionSpec struct {
	// versions is how many versions keep their database, the live one among them.
	// +kubebuilder:default=2
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=20
	// +optional
	Versions *int32 `json:"versions,omitempty"`

	// maxAge is how long a version that is no longer live keeps its database, even if versions would keep it.
	// rollback.window is stronger. Without it age does not count.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=20
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$')",message="must be a duration such as 90s, 15m or 24h"
	// +optional
	MaxAge *metav1.Duration `json:"maxAge,omitempty"`

	// keepJobsFor is how long the finished Jobs of passed stages, and with them their pods and logs, are kept. What
	// they proved stays in the ledger. A Job that failed is kept until its stage is passed.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=20
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$')",message="must be a duration such as 90s, 15m or 24h"
	// +kubebuilder:default="24h"
	// +optional
	KeepJobsFor *metav1.Duration `json:"keepJobsFor,omitempty"`
}
