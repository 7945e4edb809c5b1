package release

import (
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/ledger"
)

// fillStatus tells what the ledger knows of the versions.
func (s *scope) fillStatus() {
	status := &s.release.Status
	status.Live, status.Lag = "", nil
	status.Hold, status.Installation = "", s.ledger.Installation().String()
	if s.choice.refused == nil {
		status.Hold = s.release.Annotations[v1alpha1.AnnotationHold]
	}
	if live := s.live(); live != nil {
		status.Live = live.Version
	}
	if s.target != nil && followed(s.target) {
		status.Lag = ptr.To(s.behind(s.target))
	}
	status.Versions, status.Plan = nil, s.planned
	for _, v := range s.told() {
		status.Versions = append(status.Versions, s.versionStatus(v))
	}
}

// maxVersions is how many versions the status holds; the ledger has all.
const maxVersions = 32

// told are the versions that the status tells of: those that matter now, and of
// the others the newest.
func (s *scope) told() []*ledger.Version {
	if len(s.versions) <= maxVersions {
		return s.versions
	}
	matters := []*ledger.Version{s.target, s.live(), s.previous()}
	room := maxVersions
	for _, v := range s.versions {
		if slices.Contains(matters, v) {
			room--
		}
	}
	var told []*ledger.Version
	for _, v := range s.versions {
		if !slices.Contains(matters, v) {
			if room == 0 {
				continue
			}
			room--
		}
		told = append(told, v)
	}
	return told
}

func (s *scope) versionStatus(v *ledger.Version) v1alpha1.VersionStatus {
	told := v1alpha1.VersionStatus{Version: v.Version, Role: v1alpha1.VersionRole(v.Role), Database: v.Database, Image: v.Image,
		Stages: stagesOf(v), LiveSince: seconds(v.LiveSince)}
	if v.Role == ledger.Warm && v.WarmSince != nil {
		told.WarmUntil = seconds(ptr.To(v.WarmSince.Add(keepingOf(&s.release.Spec).window)))
	}
	if v.Role == ledger.Live && v.LiveSince != nil && !v.Passed(observed) && s.sendsBack(v) {
		told.ObservedUntil = seconds(ptr.To(s.observedUntil(v)))
	}
	if v.Held != nil {
		told.Held = shorten(v.Held.Message)
	}
	told.Verification = verificationStatus(v)
	if followed(v) {
		told.Checkpoint, told.Lag = ptr.To(v.Checkpoint.Position), ptr.To(s.behind(v))
	}
	if _, begun := v.Stages[v1alpha1.ConditionReplayed]; begun && !v.Passed(v1alpha1.ConditionReplayed) && v.Checkpoint.Target > 0 {
		told.Progress = progressOf(v.Checkpoint)
	}
	return told
}

func progressOf(c ledger.Checkpoint) *v1alpha1.ReplayProgress {
	told := &v1alpha1.ReplayProgress{Position: c.Position, Target: c.Target, Percent: percent(c.Position, c.Target), EventsPerSecond: int64(c.Rate)}
	if left := remaining(c); left > 0 {
		told.Remaining = &metav1.Duration{Duration: left}
	}
	return told
}

func stagesOf(v *ledger.Version) []v1alpha1.StageStatus {
	var told []v1alpha1.StageStatus
	for _, name := range v1alpha1.Stages() {
		stage := v.Stages[name]
		if stage.FinishedAt == nil {
			continue
		}
		told = append(told, v1alpha1.StageStatus{Name: name, FinishedAt: *seconds(stage.FinishedAt),
			Duration: metav1.Duration{Duration: stage.FinishedAt.Sub(stage.StartedAt).Round(time.Millisecond)}, Evidence: summaryOf(stage)})
	}
	return told
}

// summaryOf is the evidence in a line: the Job that gave it.
func summaryOf(stage ledger.Stage) string {
	found := stage.Summary()
	if found.Job == "" {
		return ""
	}
	text := fmt.Sprintf("Job %s (uid %s)", found.Job, found.UID)
	if found.Detail != "" {
		text += ", " + found.Detail
	}
	return cut(text, 512)
}

// worthWriting reports whether a status says anything that the one before did
// not. A checkpoint that moved on is no news by itself, nor is its audit: they
// move with every event.
func worthWriting(before, after *v1alpha1.NawhasReleaseStatus) bool {
	if equality.Semantic.DeepEqual(before, after) {
		return false
	}
	before, after = before.DeepCopy(), after.DeepCopy()
	for _, status := range []*v1alpha1.NawhasReleaseStatus{before, after} {
		for i := range status.Versions {
			status.Versions[i].Checkpoint = nil
			if verification := status.Versions[i].Verification; verification != nil {
				verification.AuditedPosition = nil
			}
		}
	}
	return !equality.Semantic.DeepEqual(before, after)
}

// seconds cuts a time to what the API keeps, so that it compares equal to what
// is read back.
func seconds(t *time.Time) *metav1.Time {
	if t == nil {
		return nil
	}
	cut := metav1.NewTime(t.Truncate(time.Second))
	return &cut
}
