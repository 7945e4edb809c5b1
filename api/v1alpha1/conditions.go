package v1alpha1

// Conditions of a NawhasRelease. The first seven are the stages of spec.version,
// in their order; the others are summaries.
const (
	ConditionDatabaseReady = "DatabaseReady"
	ConditionMigrated      = "Migrated"
	ConditionReplayed      = "Replayed"
	ConditionVerified      = "Verified"
	ConditionCaughtUp      = "CaughtUp"
	ConditionSwitched      = "Switched"
	ConditionFenced        = "Fenced"

	// ConditionRollbackReady tells whether the previous version can come back at once.
	ConditionRollbackReady = "RollbackReady"
	// ConditionAvailable tells whether a live version serves.
	ConditionAvailable = "Available"
	// ConditionDiverged tells that the log is not the one that a version's database was built from.
	ConditionDiverged = "Diverged"
	// ConditionSuspended tells that spec.suspend stops the release. It is not there while nobody ever did.
	ConditionSuspended = "Suspended"
	// ConditionReady tells whether spec.version is live.
	ConditionReady = "Ready"
	// ConditionReconciling tells that work is under way (kstatus).
	ConditionReconciling = "Reconciling"
	// ConditionStalled tells that only a change by somebody helps (kstatus).
	ConditionStalled = "Stalled"
)

// Stages are the conditions of spec.version's way, in their order.
func Stages() []string {
	return []string{
		ConditionDatabaseReady, ConditionMigrated, ConditionReplayed, ConditionVerified,
		ConditionCaughtUp, ConditionSwitched, ConditionFenced,
	}
}

// Reasons of conditions while all goes well. The reason of the first stage that
// is not passed is the reason of Ready, and so the STAGE that kubectl shows.
const (
	ReasonSucceeded        = "Succeeded"
	ReasonPending          = "Pending"
	ReasonCreatingDatabase = "CreatingDatabase"
	ReasonMigrating        = "Migrating"
	ReasonReplaying        = "Replaying"
	ReasonVerifying        = "Verifying"
	ReasonCatchingUp       = "CatchingUp"
	ReasonStartingPods     = "StartingPods"
	ReasonAwaitingApproval = "AwaitingApproval"
	ReasonSwitching        = "Switching"
	ReasonDraining         = "Draining"
	ReasonLive             = "Live"
	ReasonServing          = "Serving"
	ReasonPodsNotReady     = "PodsNotReady"
	ReasonNothingLive      = "NothingLive"
	ReasonNoPrevious       = "NoPreviousVersion"
	ReasonSettled          = "Settled"
	ReasonDeleting         = "Deleting"
	ReasonSameLog          = "SameLog"
	ReasonSuspended        = "Suspended"
	ReasonDryRun           = "DryRun"
	ReasonResumed          = "Resumed"
)

// Reasons of conditions when something is wrong.
const (
	ReasonSecretMissing     = "SecretMissing"
	ReasonConnectionInvalid = "ConnectionInvalid"
	ReasonUnreachable       = "DatabaseUnreachable"
	ReasonWrongCredentials  = "WrongCredentials"
	ReasonMissingRights     = "MissingRights"
	ReasonLogUnsuitable     = "LogUnsuitable"
	ReasonLogChanged        = "LogChanged"
	ReasonForeignDatabase   = "ForeignDatabase"
	ReasonForeignObject     = "ForeignObject"
	ReasonImageUnavailable  = "ImageUnavailable"
	ReasonImageChanged      = "ImageChanged"
	ReasonPodFailing        = "PodFailing"
	ReasonJobFailed         = "JobFailed"
	ReasonTimedOut          = "TimedOut"
	ReasonEvidenceRefused   = "EvidenceRefused"
	// ReasonAuditFailed is a database whose follower found wrong what it applied.
	ReasonAuditFailed        = "AuditFailed"
	ReasonPoison             = "Poison"
	ReasonLagging            = "Lagging"
	ReasonWindowExpired      = "WindowExpired"
	ReasonLogWriterStalled   = "LogWriterStalled"
	ReasonOthersCanAppend    = "OthersCanAppend"
	ReasonSuperseded         = "OperatorSuperseded"
	ReasonDatabaseError      = "DatabaseError"
	ReasonLedgerIncompatible = "LedgerIncompatible"
	// ReasonLedgerForeign is a ledger of another installation, or one that was lost.
	ReasonLedgerForeign = "LedgerForeign"
	// ReasonRolledBack is a version that was sent back and is held.
	ReasonRolledBack = "RolledBack"
	// ReasonAborted is a version that was given up and is held.
	ReasonAborted = "Aborted"
	// ReasonProgressDeadlineExceeded is a stage that waits for longer than it should.
	ReasonProgressDeadlineExceeded = "ProgressDeadlineExceeded"
	// ReasonReturnImpossible is a version that fails while the previous one cannot take over.
	ReasonReturnImpossible = "ReturnImpossible"
	// ReasonHeld is a release that an annotation holds at a version.
	ReasonHeld = "Held"
	// ReasonHoldInvalid is such an annotation that names no version it could hold.
	ReasonHoldInvalid = "HoldInvalid"
	// ReasonUnknownEvents is a previous version that met events of a newer one.
	ReasonUnknownEvents = "UnknownEvents"
	// ReasonDiverged is a database that was built from another log.
	ReasonDiverged = "Diverged"
	// ReasonStrictTimedOut is a switch in mode Strict that could not be done in time.
	ReasonStrictTimedOut = "StrictTimedOut"
	// ReasonRoundFailed is a database of which nobody knows what it holds, because a round failed.
	ReasonRoundFailed = "RoundFailed"
	// ReasonRoundsDoNotShrink is a replay that is too slow for what is appended.
	ReasonRoundsDoNotShrink = "RoundsDoNotShrink"
	// ReasonUnsuitable is an image that cannot be released the way that the spec asks for.
	ReasonUnsuitable = "Unsuitable"
	// ReasonSpecRefused is a spec that the API server does not make objects from.
	ReasonSpecRefused = "SpecRefused"
	// ReasonAPIServerUnavailable is what the API server, or a webhook that it asks,
	// has not been able to do for a minute.
	ReasonAPIServerUnavailable = "APIServerUnavailable"
	// ReasonInternal is for what the operator cannot place: it tries again at once.
	ReasonInternal = "InternalError"
)

// AnnotationHold is written by people: it keeps the version that it names live,
// whatever spec.version says, until it is removed.
const AnnotationHold = "releases.nawhas.com/hold"

// Labels and annotations that the operator writes.
const (
	LabelRelease  = "releases.nawhas.com/release"
	LabelVersion  = "releases.nawhas.com/version"
	LabelWorkload = "releases.nawhas.com/workload"
	LabelStage    = "releases.nawhas.com/stage"

	// AnnotationBuild is the nonce of the build that an object belongs to.
	AnnotationBuild = "releases.nawhas.com/build"
	// AnnotationCredentials changes when the credentials of pods change.
	AnnotationCredentials = "releases.nawhas.com/credentials"
	// AnnotationDrained counts how often a version lost traffic: its pods are replaced each time.
	AnnotationDrained = "releases.nawhas.com/drained"
	// AnnotationEpoch is the epoch of the operator that wrote a Service last.
	AnnotationEpoch = "releases.nawhas.com/epoch"
	// AnnotationInputs is a digest of what an object was rendered from.
	AnnotationInputs = "releases.nawhas.com/inputs"

	// Finalizer lets the operator take rights away and drop databases before the object goes.
	Finalizer = "releases.nawhas.com/release"
)
