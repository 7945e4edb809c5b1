package screen

import (
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

// Summary is a release in short. Its JSON is what `status -o json` prints:
// fields may be added to it, and none changes its meaning.
type Summary struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// Wanted is spec.version, Live the version that the Services lead to.
	Wanted string `json:"wanted"`
	Live   string `json:"live,omitempty"`
	// Hold is the version that an annotation keeps live, whatever Wanted says.
	Hold string `json:"hold,omitempty"`
	// Stage and Message are the reason and the message of condition Ready.
	Stage   string `json:"stage,omitempty"`
	Message string `json:"message,omitempty"`
	// Seen tells whether the operator has seen the present spec. While it has
	// not, the rest speaks of an earlier one.
	Seen      bool `json:"seen"`
	Ready     bool `json:"ready"`
	Available bool `json:"available"`
	// Stalled tells that only a change by somebody helps.
	Stalled bool `json:"stalled"`
	// Unavailable is why no live version serves.
	Unavailable string `json:"unavailable,omitempty"`
	// Return tells whether the previous version can come back.
	Return   Return    `json:"rollback"`
	Versions []Version `json:"versions"`
}

// Return tells whether the previous version can come back at once, and
// otherwise why not.
type Return struct {
	Ready   bool   `json:"ready"`
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
}

// Version is one version of a release.
type Version struct {
	Version  string `json:"version"`
	Role     string `json:"role"`
	Database string `json:"database,omitempty"`
	Image    string `json:"image,omitempty"`
	// Lag is the number of events that the database has yet to apply.
	Lag *int64 `json:"lag,omitempty"`
	// Pods are those of the workloads. It is nil when they could not be counted.
	Pods      *Pods      `json:"pods,omitempty"`
	LiveSince *time.Time `json:"liveSince,omitempty"`
	WarmUntil *time.Time `json:"warmUntil,omitempty"`
	// ObservedUntil is until when a version that went live is sent back if it fails.
	ObservedUntil *time.Time `json:"observedUntil,omitempty"`
	// Held says why the version was sent back, and does not go live again by itself.
	Held     string    `json:"held,omitempty"`
	Stages   []Stage   `json:"stages,omitempty"`
	Progress *Progress `json:"progress,omitempty"`
}

// Pods counts the pods of a version's workloads.
type Pods struct {
	Ready  int32 `json:"ready"`
	Wanted int32 `json:"wanted"`
}

// Progress tells how far a replay is.
type Progress struct {
	Position        int64 `json:"position"`
	Target          int64 `json:"target"`
	Percent         int32 `json:"percent"`
	EventsPerSecond int64 `json:"eventsPerSecond"`
	// RemainingSeconds is an estimate, 0 when there is none.
	RemainingSeconds float64 `json:"remainingSeconds,omitempty"`
}

// State is how a stage stands.
type State string

// The states of a stage.
const (
	Done    State = "Done"
	Running State = "Running"
	Failed  State = "Failed"
	Waiting State = "Waiting"
)

// Stage is a stage of a version.
type Stage struct {
	// Name is the stage's condition.
	Name   string `json:"name"`
	State  State  `json:"state"`
	Reason string `json:"reason,omitempty"`
	// Message is the condition's, or the evidence of a stage that is passed.
	Message string `json:"message,omitempty"`
	// Seconds is how long the stage took, once it is passed.
	Seconds float64 `json:"seconds,omitempty"`
	// FinishedAt is when the stage was passed.
	FinishedAt *time.Time `json:"finishedAt,omitempty"`
}

// Of sums up a release. Without deployments (nil) no pods are counted.
func Of(release *v1alpha1.NawhasRelease, deployments []appsv1.Deployment) Summary {
	conditions := release.Status.Conditions
	ready, available := conditionOf(conditions, v1alpha1.ConditionReady), conditionOf(conditions, v1alpha1.ConditionAvailable)
	back := conditionOf(conditions, v1alpha1.ConditionRollbackReady)
	s := Summary{
		Namespace: release.Namespace, Name: release.Name,
		Wanted: release.Spec.Version, Live: release.Status.Live, Hold: release.Status.Hold,
		Stage: ready.Reason, Message: ready.Message,
		Seen:      release.Status.ObservedGeneration >= release.Generation,
		Available: available.Status == metav1.ConditionTrue,
		Return:    Return{Ready: back.Status == metav1.ConditionTrue, Reason: back.Reason, Message: back.Message},
	}
	s.Ready = s.Seen && ready.Status == metav1.ConditionTrue
	s.Stalled = s.Seen && meta.IsStatusConditionTrue(conditions, v1alpha1.ConditionStalled)
	if !s.Available {
		s.Unavailable = available.Message
	}
	for i := range release.Status.Versions {
		s.Versions = append(s.Versions, versionOf(&release.Status.Versions[i], deployments))
	}
	s.place(conditions)
	return s
}

// place gives the wanted version all its stages, and an entry if the operator
// has not made one yet.
func (s *Summary) place(conditions []metav1.Condition) {
	i := slices.IndexFunc(s.Versions, func(v Version) bool { return v.Version == s.Wanted })
	if i < 0 {
		s.Versions = slices.Insert(s.Versions, 0, Version{Version: s.Wanted, Role: string(v1alpha1.RoleCandidate)})
		i = 0
	}
	if !s.Seen {
		conditions = nil
	}
	s.Versions[i].Stages = stagesOf(conditions, s.Versions[i].Stages, s.Stalled)
}

func versionOf(told *v1alpha1.VersionStatus, deployments []appsv1.Deployment) Version {
	v := Version{Version: told.Version, Role: string(told.Role), Database: told.Database, Image: told.Image, Lag: told.Lag,
		LiveSince: timeOf(told.LiveSince), WarmUntil: timeOf(told.WarmUntil), ObservedUntil: timeOf(told.ObservedUntil), Held: told.Held}
	for _, passed := range told.Stages {
		v.Stages = append(v.Stages, Stage{Name: passed.Name, State: Done, Message: passed.Evidence, Seconds: passed.Duration.Seconds(),
			FinishedAt: timeOf(&passed.FinishedAt)})
	}
	if p := told.Progress; p != nil {
		v.Progress = &Progress{Position: p.Position, Target: p.Target, Percent: p.Percent, EventsPerSecond: p.EventsPerSecond}
		if p.Remaining != nil {
			v.Progress.RemainingSeconds = p.Remaining.Seconds()
		}
	}
	if deployments != nil {
		v.Pods = podsOf(told.Version, deployments)
	}
	return v
}

// stagesOf joins what the conditions say of the stages with what is known of
// those that were passed.
func stagesOf(conditions []metav1.Condition, passed []Stage, stalled bool) []Stage {
	var all []Stage
	reached := true
	for _, name := range v1alpha1.Stages() {
		condition := conditionOf(conditions, name)
		stage := Stage{Name: name, State: Waiting, Reason: condition.Reason, Message: condition.Message}
		switch {
		case condition.Status == metav1.ConditionTrue:
			stage.State = Done
			if i := slices.IndexFunc(passed, func(p Stage) bool { return p.Name == name }); i >= 0 {
				stage.Seconds, stage.FinishedAt = passed[i].Seconds, passed[i].FinishedAt
			}
		case condition.Status == metav1.ConditionFalse && reached:
			stage.State = Running
			if stalled {
				stage.State = Failed
			}
		}
		reached = reached && stage.State == Done
		all = append(all, stage)
	}
	return all
}

func podsOf(version string, deployments []appsv1.Deployment) *Pods {
	pods := &Pods{}
	for i := range deployments {
		d := &deployments[i]
		if d.Labels[v1alpha1.LabelVersion] == version && d.Labels[v1alpha1.LabelWorkload] != "" {
			pods.Ready += d.Status.ReadyReplicas
			pods.Wanted += ptr.Deref(d.Spec.Replicas, 1)
		}
	}
	return pods
}

func conditionOf(conditions []metav1.Condition, name string) metav1.Condition {
	if found := meta.FindStatusCondition(conditions, name); found != nil {
		return *found
	}
	return metav1.Condition{Status: metav1.ConditionUnknown}
}

func timeOf(t *metav1.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	utc := t.UTC()
	return &utc
}
