package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// VerifySpec proves that a version's database is what the log says.
//
// +kubebuilder:validation:XValidation:rule="!has(self.queries) || self.queries.map(q, size(q.query)).sum() <= 32768",message="the queries must have at most 32768 characters together"
type VerifySpec struct {
	// command is run in the application's image. It must end with exit code 0 only when the database is right.
	// +kubebuilder:default={"nawhas","verify"}
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=4096
	// +optional
	Command []string `json:"command,omitempty"`

	// timeout is how long the step may take, all tries together.
	// +kubebuilder:default="4h"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=20
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$') && duration(self) >= duration('1s')",message="must be a duration such as 90s, 15m or 24h, and at least 1s"
	// +optional
	Timeout *metav1.Duration `json:"timeout,omitempty"`

	StepSpec `json:",inline"`

	// compare says whether the database is compared with that of the live version, at one position of the log,
	// and what becomes of differences: Report tells them in the evidence, Require lets them fail the verification.
	// +kubebuilder:default=Report
	// +optional
	Compare CompareMode `json:"compare,omitempty"`

	// expectedDiff lists the differences from the live version's database that are meant to be. They are counted
	// and fail nothing. A table or column that neither database has is refused.
	// +listType=map
	// +listMapKey=table
	// +kubebuilder:validation:MaxItems=64
	// +optional
	ExpectedDiff []ExpectedDifference `json:"expectedDiff,omitempty"`

	// queries are checks of your own, made on the version's database after those of the edition.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	// +optional
	Queries []VerifyQuery `json:"queries,omitempty"`
}

// CompareMode says what becomes of differences between two versions' databases.
//
// +kubebuilder:validation:Enum=Off;Report;Require
type CompareMode string

// The ways to compare.
const (
	CompareOff     CompareMode = "Off"
	CompareReport  CompareMode = "Report"
	CompareRequire CompareMode = "Require"
)

// ExpectedDifference is a difference from the live version's database that is meant to be.
//
// +kubebuilder:validation:XValidation:rule="!has(self.columns) || !has(self.kinds) || self.kinds.all(k, k == 'Changed')",message="columns go with the kind Changed only: a row that is missing or extra has no column that differs"
type ExpectedDifference struct {
	// table is the name of the table.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +required
	Table string `json:"table,omitempty"`

	// columns that may differ. Without columns all may.
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	// +optional
	Columns []string `json:"columns,omitempty"`

	// kinds of difference that are expected. Without kinds it is Changed if columns are named, and otherwise all.
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=3
	// +optional
	Kinds []DifferenceKind `json:"kinds,omitempty"`
}

// DifferenceKind is a way in which a row differs from the live version's.
//
// +kubebuilder:validation:Enum=Missing;Extra;Changed
type DifferenceKind string

// The kinds of differences.
const (
	// DifferenceMissing is a row that only the live version has.
	DifferenceMissing DifferenceKind = "Missing"
	// DifferenceExtra is a row that the live version does not have.
	DifferenceExtra DifferenceKind = "Extra"
	// DifferenceChanged is a row that both have, with other values.
	DifferenceChanged DifferenceKind = "Changed"
)

// VerifyQuery is a check of one's own: a query and what it must return.
type VerifyQuery struct {
	// name of the check, in the evidence and in messages.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=40
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([a-z0-9-]*[a-z0-9])?$')",message="name must hold lower-case letters, digits and dashes only"
	// +required
	Name string `json:"name,omitempty"`

	// query is one SQL statement that returns one row with one column. It runs in a read-only transaction.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	// +required
	Query string `json:"query,omitempty"`

	// expect is the value that the query must return, as text: "0", "true", "2026-01-01".
	// +kubebuilder:validation:MaxLength=256
	// +required
	Expect *string `json:"expect,omitempty"`

	// timeout is how long the query may take.
	// +kubebuilder:default="1m"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=20
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$') && duration(self) >= duration('1s')",message="must be a duration such as 90s or 15m, and at least 1s"
	// +optional
	Timeout *metav1.Duration `json:"timeout,omitempty"`
}

// VerificationStatus is what the last verification of a version's database found.
type VerificationStatus struct {
	// passed tells whether all checks passed that have to.
	// +optional
	Passed bool `json:"passed"`

	// position of the log at which the database was verified.
	// +optional
	Position int64 `json:"position"`

	// auditedPosition is the position up to which the follower has found right
	// what it applied after the verification.
	// +optional
	AuditedPosition *int64 `json:"auditedPosition,omitempty"`

	// events is the number of events up to the position.
	// +optional
	Events int64 `json:"events"`

	// eventsHash sums up the ids of these events.
	// +kubebuilder:validation:MaxLength=64
	// +optional
	EventsHash string `json:"eventsHash,omitempty"`

	// checks is the number of checks that were made.
	// +optional
	Checks int32 `json:"checks"`

	// comparedWith is the version whose database it was compared with.
	// +kubebuilder:validation:MaxLength=40
	// +optional
	ComparedWith string `json:"comparedWith,omitempty"`

	// differences is the number of differences from that version which were not expected.
	// +optional
	Differences *int64 `json:"differences,omitempty"`

	// failed are the checks that failed, at most ten of them. The ledger has all.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=10
	// +optional
	Failed []FailedCheck `json:"failed,omitempty"`

	// jobUID is the UID of the Job that verified.
	// +kubebuilder:validation:MaxLength=64
	// +optional
	JobUID string `json:"jobUID,omitempty"`

	// imageID is the image that verified, by its digest.
	// +kubebuilder:validation:MaxLength=512
	// +optional
	ImageID string `json:"imageID,omitempty"`

	// startedAt is when the verification began.
	// +optional
	StartedAt metav1.Time `json:"startedAt,omitempty,omitzero"`

	// duration of the verification.
	// +optional
	Duration metav1.Duration `json:"duration,omitempty,omitzero"`
}

// FailedCheck is a check that failed.
type FailedCheck struct {
	// name of the check.
	// +kubebuilder:validation:MaxLength=128
	// +required
	Name string `json:"name,omitempty"`

	// faults is how much of what was compared is wrong.
	// +optional
	Faults int64 `json:"faults"`

	// detail says what is wrong.
	// +kubebuilder:validation:MaxLength=512
	// +optional
	Detail string `json:"detail,omitempty"`

	// samples are keys to look at.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=10
	// +kubebuilder:validation:items:MaxLength=256
	// +optional
	Samples []string `json:"samples,omitempty"`
}
