package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// NawhasReleaseStatus is what is live, and how far the wanted version got.
type NawhasReleaseStatus struct {
	// conditions tell what is true of the release. DatabaseReady, Migrated, Replayed, Verified,
	// CaughtUp, Switched and Fenced are the stages of spec.version, in this order.
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=32
	// +patchStrategy=merge
	// +patchMergeKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty" patchStrategy:"merge" patchMergeKey:"type"`

	// observedGeneration is the generation of the spec that this status speaks of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// live is the version that the Services lead to.
	// +kubebuilder:validation:MaxLength=40
	// +optional
	Live string `json:"live,omitempty"`

	// hold is the version that the annotation releases.nawhas.com/hold keeps live.
	// +kubebuilder:validation:MaxLength=40
	// +optional
	Hold string `json:"hold,omitempty"`

	// installation is the id of the ledger that knows this release. Another ledger is refused.
	// +kubebuilder:validation:MaxLength=36
	// +optional
	Installation string `json:"installation,omitempty"`

	// lag of the version that is to be live: spec.version, or the one that is held live instead of it.
	// See versions[].lag.
	// +optional
	Lag *int64 `json:"lag,omitempty"`

	// plan is what releasing spec.version would take, while spec.dryRun keeps it from being begun.
	// +optional
	Plan *ReleasePlan `json:"plan,omitempty"`

	// versions are the versions that have a database, the newest release first.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	// +optional
	Versions []VersionStatus `json:"versions,omitempty"`
}

// ReleasePlan is what building a version would take, by what was known when spec.dryRun was seen.
type ReleasePlan struct {
	// version that would be built.
	// +kubebuilder:validation:MaxLength=40
	// +required
	Version string `json:"version,omitempty"`

	// observedGeneration is the generation of the spec that was planned for.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// database that would be made.
	// +kubebuilder:validation:MaxLength=63
	// +optional
	Database string `json:"database,omitempty"`

	// image that would build it.
	// +kubebuilder:validation:MaxLength=512
	// +optional
	Image string `json:"image,omitempty"`

	// events that would be replayed, at most: positions of the log that hold none are counted.
	// +optional
	Events int64 `json:"events"`

	// eventsPerSecond is the rate of the last replay, or replay.maxEventsPerSecond if that is lower. It is
	// not there when nothing was replayed before.
	// +optional
	EventsPerSecond *int64 `json:"eventsPerSecond,omitempty"`

	// duration of the replay at that rate.
	// +optional
	Duration *metav1.Duration `json:"duration,omitempty"`

	// databaseBytes is the size of the live version's database, as a guide to what the new one needs. Postgres does not
	// say how much room the disk has.
	// +optional
	DatabaseBytes *int64 `json:"databaseBytes,omitempty"`

	// logBytes is the size of the log with its indexes.
	// +optional
	LogBytes int64 `json:"logBytes"`

	// maxWALBytes is max_wal_size of the databases server: a replay writes about as much WAL as its database has
	// bytes, and checkpoints come more often when that is more.
	// +optional
	MaxWALBytes int64 `json:"maxWALBytes"`

	// databasesConnections are the sessions that the databases server has left.
	// +optional
	DatabasesConnections int32 `json:"databasesConnections"`

	// sourceConnections are the sessions that the source's server has left.
	// +optional
	SourceConnections int32 `json:"sourceConnections"`
}

// VersionRole is what a version's database is for.
//
// +kubebuilder:validation:Enum=Candidate;Live;Warm;Retiring
type VersionRole string

// The roles of versions.
const (
	// RoleCandidate is being built.
	RoleCandidate VersionRole = "Candidate"
	// RoleLive is what the Services lead to.
	RoleLive VersionRole = "Live"
	// RoleWarm was live, is kept current and can come back.
	RoleWarm VersionRole = "Warm"
	// RoleRetiring is being removed.
	RoleRetiring VersionRole = "Retiring"
)

// VersionStatus tells of one version.
type VersionStatus struct {
	// version is the version's number.
	// +kubebuilder:validation:MaxLength=40
	// +required
	Version string `json:"version,omitempty"`

	// role is what the version's database is for.
	// +required
	Role VersionRole `json:"role,omitempty"`

	// database is the name of the version's database.
	// +kubebuilder:validation:MaxLength=63
	// +optional
	Database string `json:"database,omitempty"`

	// image is the image that built the database.
	// +kubebuilder:validation:MaxLength=512
	// +optional
	Image string `json:"image,omitempty"`

	// checkpoint is the position of the last event applied to the database.
	// +optional
	Checkpoint *int64 `json:"checkpoint,omitempty"`

	// lag is how many positions of the log, as it was some seconds ago, the database has yet to apply: 0 while its
	// follower keeps up. It is there from the end of the replay on, and told anew when it crosses cutover.maxLag, and
	// otherwise once a minute at most. Metrics tell it exactly.
	// +optional
	Lag *int64 `json:"lag,omitempty"`

	// progress of the replay, while it runs.
	// +optional
	Progress *ReplayProgress `json:"progress,omitempty"`

	// stages are the stages that the version has passed, with the evidence for each.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +optional
	Stages []StageStatus `json:"stages,omitempty"`

	// verification is what the last verification of the database found.
	// +optional
	Verification *VerificationStatus `json:"verification,omitempty"`

	// liveSince is when the Services were last pointed at the version.
	// +optional
	LiveSince *metav1.Time `json:"liveSince,omitempty"`

	// warmUntil is when a warm version stops being kept current.
	// +optional
	WarmUntil *metav1.Time `json:"warmUntil,omitempty"`

	// observedUntil is until when a version that went live is watched, and sent back when it fails.
	// +optional
	ObservedUntil *metav1.Time `json:"observedUntil,omitempty"`

	// held says why the version was sent back and does not go live again by itself.
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	Held string `json:"held,omitempty"`
}

// ReplayProgress tells how far a replay is.
type ReplayProgress struct {
	// position that the replay has reached.
	// +optional
	Position int64 `json:"position"`

	// target is the position at which the replay ends.
	// +optional
	Target int64 `json:"target"`

	// percent of the log that is replayed.
	// +optional
	Percent int32 `json:"percent"`

	// eventsPerSecond is the present rate.
	// +optional
	EventsPerSecond int64 `json:"eventsPerSecond"`

	// remaining is an estimate of the time left.
	// +optional
	Remaining *metav1.Duration `json:"remaining,omitempty"`
}

// StageStatus is a stage that a version has passed.
type StageStatus struct {
	// name of the stage, as its condition.
	// +kubebuilder:validation:MaxLength=32
	// +required
	Name string `json:"name,omitempty"`

	// finishedAt is when the stage was passed.
	// +optional
	FinishedAt metav1.Time `json:"finishedAt,omitempty,omitzero"`

	// duration of the stage.
	// +optional
	Duration metav1.Duration `json:"duration,omitempty,omitzero"`

	// evidence is why the stage counts as passed.
	// +kubebuilder:validation:MaxLength=512
	// +optional
	Evidence string `json:"evidence,omitempty"`
}
