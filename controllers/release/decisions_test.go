package release

import (
	"encoding/pem"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/ledger"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func aVersion(version string, role ledger.Role, passed ...string) *ledger.Version {
	v := &ledger.Version{Version: version, Role: role, Stages: map[string]ledger.Stage{}}
	for _, stage := range passed {
		v.Stages[stage] = ledger.Stage{StartedAt: noon, FinishedAt: &noon}
	}
	return v
}

func warmFor(v *ledger.Version, d time.Duration) *ledger.Version {
	v.WarmSince = ptr.To(noon.Add(-d))
	return v
}

func TestRetirable(t *testing.T) {
	const window = 24 * time.Hour
	live := aVersion("3.2.0", ledger.Live)
	target := aVersion("3.3.0", ledger.Candidate)
	for name, c := range map[string]struct {
		versions  []*ledger.Version
		wanted    string
		retention int
		want      []string
	}{
		"nothing to keep but the live one":   {[]*ledger.Version{live}, "3.2.0", 1, nil},
		"a candidate that is wanted":         {[]*ledger.Version{target, live}, "3.3.0", 1, nil},
		"a candidate that no longer is":      {[]*ledger.Version{target, live}, "3.2.0", 5, []string{"3.3.0"}},
		"a warm one within its window":       {[]*ledger.Version{live, warmFor(aVersion("3.1.2", ledger.Warm), time.Hour)}, "3.2.0", 1, nil},
		"a warm one behind its window":       {[]*ledger.Version{live, warmFor(aVersion("3.1.2", ledger.Warm), window)}, "3.2.0", 1, []string{"3.1.2"}},
		"a warm one within the retention":    {[]*ledger.Version{live, warmFor(aVersion("3.1.2", ledger.Warm), window)}, "3.2.0", 2, nil},
		"the newest warm one is kept":        {[]*ledger.Version{live, warmFor(aVersion("3.1.2", ledger.Warm), window), warmFor(aVersion("3.1.1", ledger.Warm), 2*window)}, "3.2.0", 2, []string{"3.1.1"}},
		"a warm one that nobody wants":       {[]*ledger.Version{live, warmFor(aVersion("3.1.2", ledger.Warm), 9*window)}, "", 1, []string{"3.1.2"}},
		"one that is being removed is known": {[]*ledger.Version{live, aVersion("3.1.2", ledger.Retiring)}, "3.2.0", 1, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, v := range retirable(c.versions, []string{c.wanted}, c.retention, window, noon) {
				got = append(got, v.Version)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("retires %v, want %v", got, c.want)
			}
		})
	}
}

func TestNeeds(t *testing.T) {
	keep := keeping{window: time.Hour, pods: 15 * time.Minute}
	for name, c := range map[string]struct {
		v       *ledger.Version
		wanted  bool
		want    needs
		outdone bool
	}{
		"live":                          {aVersion("1.0.0", ledger.Live), true, needs{follower: true, pods: true}, false},
		"live, another is wanted":       {aVersion("1.0.0", ledger.Live), false, needs{follower: true, pods: true}, false},
		"warm, just now":                {warmFor(aVersion("1.0.0", ledger.Warm), time.Minute), false, needs{follower: true, pods: true}, false},
		"warm for a while":              {warmFor(aVersion("1.0.0", ledger.Warm), 30*time.Minute), false, needs{follower: true}, false},
		"warm, its window over":         {warmFor(aVersion("1.0.0", ledger.Warm), 2*time.Hour), false, needs{}, false},
		"warm and wanted again":         {warmFor(aVersion("1.0.0", ledger.Warm, v1alpha1.ConditionVerified), 2*time.Hour), true, needs{follower: true, pods: true}, false},
		"warm, verified anew first":     {warmFor(aVersion("1.0.0", ledger.Warm), time.Minute), true, needs{pods: true}, false},
		"warm, others more recently":    {warmFor(aVersion("1.0.0", ledger.Warm), time.Minute), false, needs{}, true},
		"candidate, empty":              {aVersion("1.0.0", ledger.Candidate), true, needs{}, false},
		"candidate, replayed":           {aVersion("1.0.0", ledger.Candidate, v1alpha1.ConditionReplayed), true, needs{}, false},
		"candidate, verified":           {aVersion("1.0.0", ledger.Candidate, v1alpha1.ConditionReplayed, v1alpha1.ConditionVerified), true, needs{follower: true, pods: true, preview: true}, false},
		"candidate, no longer wanted":   {aVersion("1.0.0", ledger.Candidate, v1alpha1.ConditionReplayed, v1alpha1.ConditionVerified), false, needs{}, false},
		"what is removed needs nothing": {aVersion("1.0.0", ledger.Retiring), true, needs{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			var target *ledger.Version
			if c.wanted {
				target = c.v
			}
			if got := needsOf(c.v, target, keep, !c.outdone, noon); got != c.want {
				t.Errorf("needs %+v, want %+v", got, c.want)
			}
		})
	}
	keep.switching = true
	if got := needsOf(warmFor(aVersion("1.0.0", ledger.Warm), 30*time.Minute), nil, keep, true, noon); !got.pods {
		t.Error("it loses its pods while the Services still lead to it")
	}
}

func TestJudgeJob(t *testing.T) {
	job := func(conditions ...batchv1.JobCondition) *batchv1.Job {
		return &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "replay-1"}, Status: batchv1.JobStatus{Conditions: conditions}}
	}
	condition := func(kind batchv1.JobConditionType, reason string) batchv1.JobCondition {
		return batchv1.JobCondition{Type: kind, Status: corev1.ConditionTrue, Reason: reason, Message: "what Kubernetes says"}
	}
	ended := func(code int32, words string) corev1.Pod {
		return corev1.Pod{Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{
			State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Message: words}}}}}}
	}
	waits := func(reason string) corev1.Pod {
		return corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p"}, Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{
			State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason}}}}}}
	}
	for name, c := range map[string]struct {
		job          *batchv1.Job
		pods         []corev1.Pod
		done, failed bool
		reason       string
		message      string
	}{
		"new":                          {job: job()},
		"its pod runs":                 {job: job(), pods: []corev1.Pod{{}}},
		"complete":                     {job: job(condition(batchv1.JobComplete, "")), done: true},
		"about to fail is not failed":  {job: job(condition(batchv1.JobFailureTarget, "BackoffLimitExceeded"))},
		"about to succeed is not done": {job: job(condition(batchv1.JobSuccessCriteriaMet, ""))},
		"failed, with last words":      {job: job(condition(batchv1.JobFailed, "BackoffLimitExceeded")), pods: []corev1.Pod{ended(1, "no room left")}, failed: true, reason: v1alpha1.ReasonJobFailed, message: "no room left"},
		"failed, with an exit code":    {job: job(condition(batchv1.JobFailed, "BackoffLimitExceeded")), pods: []corev1.Pod{ended(137, "")}, failed: true, reason: v1alpha1.ReasonJobFailed, message: "exit code 137"},
		"failed, its pods gone":        {job: job(condition(batchv1.JobFailed, "BackoffLimitExceeded")), failed: true, reason: v1alpha1.ReasonJobFailed, message: "what Kubernetes says"},
		"took too long":                {job: job(condition(batchv1.JobFailed, batchv1.JobReasonDeadlineExceeded)), failed: true, reason: v1alpha1.ReasonTimedOut},
		"no image":                     {job: job(), pods: []corev1.Pod{waits("ImagePullBackOff")}, reason: v1alpha1.ReasonImageUnavailable},
		"no Secret":                    {job: job(), pods: []corev1.Pod{waits("CreateContainerConfigError")}, reason: v1alpha1.ReasonPodFailing},
		"being made is no trouble":     {job: job(), pods: []corev1.Pod{waits("ContainerCreating")}},
	} {
		t.Run(name, func(t *testing.T) {
			got := judgeJob(c.job, c.pods)
			if got.done != c.done || got.failed != c.failed || got.reason != c.reason || !strings.Contains(got.message, c.message) {
				t.Errorf("judged %+v", got)
			}
		})
	}
}

func TestRetriesAreFurtherAndFurtherApart(t *testing.T) {
	var delays []time.Duration
	for _, attempt := range []string{"1", "2", "3", "9"} {
		job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{annotationAttempt: attempt}},
			Status: batchv1.JobStatus{Conditions: []batchv1.JobCondition{{Type: batchv1.JobFailed, LastTransitionTime: metav1.NewTime(noon)}}}}
		delays = append(delays, retryAt(job, noon).Sub(noon))
	}
	if want := []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute, 10 * time.Minute}; !slices.Equal(delays, want) {
		t.Errorf("waits %v, want %v", delays, want)
	}
}

func TestObjectNamesFitAndDiffer(t *testing.T) {
	long := strings.Repeat("a", 40)
	names := map[string]bool{}
	for _, version := range []string{"3.1.2", "3.1.20", "3.1.2-rc.1", "3.1.2-rc1"} {
		name := objectName(long, "migrate", version, "01234567", "1")
		if len(name) > maxObjectName {
			t.Errorf("%s has %d characters", name, len(name))
		}
		names[name] = true
	}
	if len(names) != 4 {
		t.Errorf("the names are not different: %v", names)
	}
	if name := objectName("nawhas", "api", "3.1.2"); name != "nawhas-api-3-1-2" {
		t.Errorf("a short name is %s", name)
	}
}

func TestAConnectionIsPassedOnWithItsOptions(t *testing.T) {
	c, err := parseConnection("postgres://admin:top%20secret@db.example:6432/source?sslmode=require&application_name=x", nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.podURL("v_app", "p/w", "nawhas_v3_1_2", ""); got != "postgres://v_app:p%2Fw@db.example:6432/nawhas_v3_1_2?application_name=x&sslmode=require" {
		t.Errorf("pods get %s", got)
	}
	if c.account() != "admin" || c.host() != "db.example" || c.port() != "6432" || c.database() != "source" {
		t.Errorf("taken apart as %s@%s:%s/%s", c.account(), c.host(), c.port(), c.database())
	}
}

func TestAConnectionThatCannotBeUsedIsRefusedWithoutItsPassword(t *testing.T) {
	for _, text := range []string{
		"", "hunter2", "host=db password=hunter2", "mysql://a:hunter2@db/x", "postgres://a:hunter2@/x", "postgres://a:hunter2@db:x/y",
		"postgres://a:hunter2@db/y?sslmode=hunter2", "postgres://a:hunter2@db\x7f/y",
	} {
		_, err := parseConnection(text, nil)
		if err == nil {
			t.Errorf("%q was taken", text)
			continue
		}
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error repeats the password: %v", err)
		}
	}
}

// The API server counts the bytes of an Event's note.
func TestALongMessageFitsIntoAnEvent(t *testing.T) {
	for _, message := range []string{strings.Repeat("x", 2000), strings.Repeat("نوحہ ", 400), "x" + strings.Repeat("نوحہ ", 400)} {
		if short := shorten(message); len(short) > 1024 || len(short) < 1000 || !utf8.ValidString(short) || !strings.HasSuffix(short, "…") {
			t.Errorf("%d bytes: %q", len(short), short)
		}
	}
	if shorten("short") != "short" {
		t.Error("a short message is changed")
	}
}

// An authority is of no use with a mode that does not ask it.
func TestAnAuthorityIsAskedWheneverThereIsOne(t *testing.T) {
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	for _, mode := range []string{"require", "verify-ca", "verify-full", ""} {
		text := "postgres://admin:secret@db.example/source"
		if mode != "" {
			text += "?sslmode=" + mode
		}
		c, err := parseConnection(text, authority)
		if err != nil {
			t.Errorf("%q: %v", mode, err)
			continue
		}
		if c.config.TLSConfig.InsecureSkipVerify && c.config.TLSConfig.VerifyPeerCertificate == nil {
			t.Errorf("%q does not look at the certificate", mode)
		}
	}
	for _, mode := range []string{"disable", "allow", "prefer"} {
		if _, err := parseConnection("postgres://admin:secret@db.example/source?sslmode="+mode, authority); err == nil || !strings.Contains(err.Error(), mode) {
			t.Errorf("%s: %v", mode, err)
		}
	}
}

func TestAnImageIsPinnedByItsDatabase(t *testing.T) {
	p := planOf(&v1alpha1.NawhasReleaseSpec{Version: "3.1.2", Image: v1alpha1.ImageSpec{Repository: "r/api"}})
	if p.image() != "r/api:3.1.2" {
		t.Errorf("the image is %s", p.image())
	}
	p.Image.Tag = "fixed"
	if p.image() != "r/api:fixed" {
		t.Errorf("the image is %s", p.image())
	}
	p.pinned = "r/api:3.1.2"
	if p.image() != "r/api:3.1.2" {
		t.Errorf("the image is %s although the database was built by another", p.image())
	}
}

func TestProgress(t *testing.T) {
	c := ledger.Checkpoint{Position: 61_000, Target: 100_000, Rate: 13_000}
	if percent(c.Position, c.Target) != 61 || remaining(c) != 3*time.Second {
		t.Errorf("%d %%, %s left", percent(c.Position, c.Target), remaining(c))
	}
	if percent(0, 0) != 0 || remaining(ledger.Checkpoint{}) != 0 {
		t.Error("an unknown target has progress")
	}
}
