package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
)

// NawhasReleaseSpec is what should be live, and how to get there.
//
// +kubebuilder:validation:XValidation:rule="size(self.version) + (has(self.databases.prefix) ? size(self.databases.prefix) : 8) <= 57",message="version and databases.prefix must have at most 57 characters together, because Postgres cuts names after 63 bytes"
// +kubebuilder:validation:XValidation:rule="self.workloads.filter(w, has(w.service)).map(w, w.service.name).all(n, self.workloads.filter(w, has(w.service) && w.service.name == n).size() == 1)",message="two workloads name the same Service; give each workload a Service of its own"
//
// +kubebuilder:validation:XValidation:rule="(has(self.projection) && self.projection == 'BySelf') == (has(self.replay.strategy) && self.replay.strategy == 'Rounds')",message="replay.strategy Rounds and projection BySelf go together: a database that is built in rounds has no follower, so that the application must project what it appends, and only such a database can be taken over by it"
// +kubebuilder:validation:XValidation:rule="!has(self.replay.strategy) || self.replay.strategy != 'Rounds' || (has(self.cutover.mode) && self.cutover.mode == 'Strict' && has(self.cutover.strictTimeout) && duration(self.cutover.strictTimeout) >= duration('5s'))",message="replay.strategy Rounds needs cutover.mode Strict and a cutover.strictTimeout of at least 5s: the last round is a pod that starts while writes wait"
// +kubebuilder:validation:XValidation:rule="!has(self.replay.strategy) || self.replay.strategy != 'Rounds' || !has(self.replay.maxEventsPerSecond)",message="maxEventsPerSecond is for replay.strategy Follow: the command of a round does not know it"
type NawhasReleaseSpec struct {
	// version is the version that should be live: N.N.N, optionally followed by a
	// pre-release such as -rc.1. Changing it starts a release; setting it back goes back.
	// +kubebuilder:validation:XValidation:rule="self.matches('^(0|[1-9][0-9]*)[.](0|[1-9][0-9]*)[.](0|[1-9][0-9]*)(-(0|[1-9][0-9]*|[0-9]*[a-z][0-9a-z]*)([.](0|[1-9][0-9]*|[0-9]*[a-z][0-9a-z]*))*)?$')",message="version must be N.N.N, optionally with a pre-release of lower-case letters and digits joined by dots, as in 3.1.2 or 3.2.0-rc.1; build metadata (+…) and a leading v are not allowed"
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=40
	// +required
	Version string `json:"version,omitempty"`

	// image is the application's image. Containers that name no image get it.
	// +required
	Image ImageSpec `json:"image,omitempty,omitzero"`

	// env are variables for every container of a version, those of its workloads and of its steps. They come after the
	// NAWHAS_ variables, which they can refer to as $(NAWHAS_DATABASE_NAME), and before the container's own.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=128
	// +optional
	Env []corev1.EnvVar `json:"env,omitempty"`

	// envFrom are Secrets and ConfigMaps whose keys are variables for every container of a version. Variables that are named
	// anywhere else are stronger.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +optional
	EnvFrom []corev1.EnvFromSource `json:"envFrom,omitempty"`

	// source is the database that holds the log of events.
	// +required
	Source SourceSpec `json:"source,omitempty,omitzero"`

	// databases is the server on which a database is made for each version.
	// +required
	Databases DatabasesSpec `json:"databases,omitempty,omitzero"`

	// migrate makes the tables of a version's empty database.
	// +kubebuilder:default={}
	// +optional
	Migrate MigrateSpec `json:"migrate,omitempty,omitzero"`

	// replay fills a version's database with all events of the log, and follows the log afterwards.
	// +kubebuilder:default={}
	// +optional
	Replay ReplaySpec `json:"replay,omitempty,omitzero"`

	// projection says who keeps a version's database current while the version is live: Follower is the follower of replay.follow,
	// BySelf the application, which projects in its own requests and queues what it appends.
	// +kubebuilder:default=Follower
	// +optional
	Projection Projection `json:"projection,omitempty"`

	// verify proves that a version's database is what the log says, before it goes live.
	// +kubebuilder:default={}
	// +optional
	Verify VerifySpec `json:"verify,omitempty,omitzero"`

	// workloads are the pods of a version, all switched together.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +required
	Workloads []Workload `json:"workloads,omitempty"`

	// promotion says whether a verified version goes live by itself.
	// +kubebuilder:default={}
	// +optional
	Promotion PromotionSpec `json:"promotion,omitempty,omitzero"`

	// cutover says when and how traffic moves from one version to the next.
	// +kubebuilder:default={}
	// +optional
	Cutover CutoverSpec `json:"cutover,omitempty,omitzero"`

	// rollback says how long a previous version stays ready to come back.
	// +kubebuilder:default={}
	// +optional
	Rollback RollbackSpec `json:"rollback,omitempty,omitzero"`

	// retention says what is kept of versions that are no longer live.
	// +kubebuilder:default={}
	// +optional
	Retention RetentionSpec `json:"retention,omitempty,omitzero"`

	// suspend stops the release where it is: no step is begun, nothing is switched, sent back or removed until it
	// is false again. Steps that run come to their end, and what is live or warm is looked after.
	// +optional
	Suspend bool `json:"suspend,omitempty"`

	// dryRun keeps a version that has no database yet from being begun: status.plan then says how many events would be
	// replayed, in about what time, and what the servers have left. What is built, live or warm goes on as it would.
	// +optional
	DryRun bool `json:"dryRun,omitempty"`

	// abort is the version to give up. While spec.version is that version and is not live yet, its Jobs are stopped
	// and its pods ended, and what is live stays so. It is held then until version changes, or abort is taken
	// away and retry is raised; its database is kept for that. A version that is live is not given up: set version back.
	// +kubebuilder:validation:XValidation:rule="self == '' || self.matches('^[0-9]+[.][0-9]+[.][0-9]+(-[0-9a-z.]+)?$')",message="abort must name a version, such as 3.2.0, as spec.version does"
	// +kubebuilder:validation:MaxLength=40
	// +optional
	Abort string `json:"abort,omitempty"`

	// retry is a number to raise when something shall be tried again at once: a step that failed, or a
	// version that was sent back or given up.
	// +kubebuilder:validation:Minimum=0
	// +optional
	Retry int64 `json:"retry,omitempty"`

	// progressDeadlineSeconds is how long a stage may wait, in seconds, until the condition Stalled says
	// ProgressDeadlineExceeded and what it waits for. Nothing is ended: the stage goes on when it can. Time in which
	// a step's pod runs does not count, because the step has a timeout, nor does the wait for an approval.
	// +kubebuilder:default=600
	// +kubebuilder:validation:Minimum=1
	// +optional
	ProgressDeadlineSeconds *int32 `json:"progressDeadlineSeconds,omitempty"`

	// deletionPolicy says what becomes of the versions' databases when the release is deleted.
	// Retain keeps them, and takes the application's right to write to the log away; Delete drops them.
	// The log itself is never touched.
	// +kubebuilder:default=Retain
	// +optional
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`
}

// Projection says who keeps a live version's database current.
//
// +kubebuilder:validation:Enum=Follower;BySelf
type Projection string

// The projections.
const (
	// ProjectionFollower leaves it to the version's follower.
	ProjectionFollower Projection = "Follower"
	// ProjectionBySelf leaves it to the application.
	ProjectionBySelf Projection = "BySelf"
)

// DeletionPolicy says what becomes of databases when a release is deleted.
//
// +kubebuilder:validation:Enum=Retain;Delete
type DeletionPolicy string

// The deletion policies.
const (
	DeletionRetain DeletionPolicy = "Retain"
	DeletionDelete DeletionPolicy = "Delete"
)

// ImageSpec names the application's image.
type ImageSpec struct {
	// repository is the image's name without a tag, such as ghcr.io/nawhas/api.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*(:[A-Za-z0-9_][A-Za-z0-9_.-]*)?(@.*)?$')",message="repository must be an image's name in lower case, such as ghcr.io/nawhas/api"
	// +kubebuilder:validation:XValidation:rule="!self.contains('@') && !self.split('/')[self.split('/').size() - 1].contains(':')",message="repository must not hold a tag or a digest; put the tag into image.tag, which defaults to the version"
	// +required
	Repository string `json:"repository,omitempty"`

	// tag is the image's tag. It defaults to spec.version.
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z0-9_][A-Za-z0-9_.-]*$')",message="tag must begin with a letter, a digit or _ and hold only those, dots and dashes; leave it out to use the version"
	// +optional
	Tag string `json:"tag,omitempty"`

	// pullPolicy says when the image is pulled.
	// +kubebuilder:validation:Enum=Always;IfNotPresent;Never
	// +kubebuilder:default=IfNotPresent
	// +optional
	PullPolicy corev1.PullPolicy `json:"pullPolicy,omitempty"`

	// pullSecrets name the Secrets with the registry's credentials.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=8
	// +optional
	PullSecrets []SecretReference `json:"pullSecrets,omitempty"`
}

// SecretReference names a Secret in the release's namespace.
type SecretReference struct {
	// name is the Secret's name.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Name string `json:"name,omitempty"`
}

// SourceSpec is the database that holds the log of events.
type SourceSpec struct {
	// connection leads to the log. Its account owns the log and may create roles.
	// +required
	Connection ConnectionSpec `json:"connection,omitempty,omitzero"`

	// formerRoles are roles with which the application appended to the log before there was a release. Until the first
	// version goes live they may go on; then their right to append is taken, as that of a version which makes way.
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	// +optional
	FormerRoles []string `json:"formerRoles,omitempty"`

	// log says how the application keeps its log.
	// +kubebuilder:default={}
	// +optional
	Log LogSpec `json:"log,omitempty,omitzero"`
}

// DatabasesSpec is the server on which databases are made.
type DatabasesSpec struct {
	// connection leads to the server. Its account may create databases and roles.
	// +required
	Connection ConnectionSpec `json:"connection,omitempty,omitzero"`

	// prefix begins the name of each version's database: nawhas_v makes nawhas_v3_1_2 of version 3.1.2.
	// +kubebuilder:default=nawhas_v
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z_][a-z0-9_]*$')",message="prefix must begin with a lower-case letter or _ and hold only those and digits, because names of databases begin with it"
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="prefix cannot change, because the databases that exist are named after it; create another NawhasRelease instead"
	// +optional
	Prefix string `json:"prefix,omitempty"`

	// connectionLimit is how many sessions each of a version's two roles may have at a time, on each server. The pods
	// of a version share one role, its Jobs and its follower the other, and a replay needs 4. Without it there is no limit.
	// +kubebuilder:validation:XValidation:rule="self >= 10",message="connectionLimit must be at least 10, because the Jobs of a version and its follower share one role"
	// +kubebuilder:validation:Maximum=262143
	// +optional
	ConnectionLimit *int32 `json:"connectionLimit,omitempty"`
}

// ConnectionSpec says where a connection string is kept.
type ConnectionSpec struct {
	// secretKeyRef names the Secret and key that hold the connection string, postgres://user:password@host:port/database.
	// +required
	SecretKeyRef SecretKeyReference `json:"secretKeyRef,omitempty,omitzero"`

	// caSecretKeyRef names the Secret and key that hold the certificates (PEM) which the server's certificate must lead to.
	// +optional
	CASecretKeyRef *SecretKeyReference `json:"caSecretKeyRef,omitempty"`
}

// SecretKeyReference names a key of a Secret in the release's namespace.
type SecretKeyReference struct {
	// name is the Secret's name.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Name string `json:"name,omitempty"`

	// key is the key in the Secret.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Key string `json:"key,omitempty"`
}

// PromotionMode says who decides that a verified version goes live.
//
// +kubebuilder:validation:Enum=Automatic;Manual
type PromotionMode string

// The promotion modes.
const (
	PromotionAutomatic PromotionMode = "Automatic"
	PromotionManual    PromotionMode = "Manual"
)

// PromotionSpec says whether a verified version goes live by itself.
type PromotionSpec struct {
	// mode Automatic lets a verified version go live; Manual waits until approved names it.
	// +kubebuilder:default=Automatic
	// +optional
	Mode PromotionMode `json:"mode,omitempty"`

	// approved is the version that may go live in mode Manual.
	// +kubebuilder:validation:XValidation:rule="self == '' || self.matches('^[0-9]+[.][0-9]+[.][0-9]+(-[0-9a-z.]+)?$')",message="approved must name a version, such as 3.2.0, as spec.version does"
	// +kubebuilder:validation:MaxLength=40
	// +optional
	Approved string `json:"approved,omitempty"`
}
