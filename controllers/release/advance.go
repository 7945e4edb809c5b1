package release

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/ledger"
	"github.com/nawhas/nawhas-operator/internal/versiondb"
	"github.com/nawhas/nawhas-operator/internal/window"
)

// roundStep names the Jobs that replay one round.
const roundStep = "round"

const (
	replayFromVariable  = "NAWHAS_REPLAY_FROM"
	replayUntilVariable = "NAWHAS_REPLAY_UNTIL"
)

// fillPatience is how long one pass copies a part of the log.
const fillPatience = 2 * time.Second

// rounds brings a version's database up to the end of the log, one part of it
// after the other. Whoever comes after a crash goes on from the ledger, in which
// a round is recorded before anything is made for it.
type rounds struct{ *Reconciler }

// advance does what can be done now, and passes when the database is near enough
// to the end of the log for the last round.
func (d rounds) advance(ctx context.Context, s *scope, v *ledger.Version) (outcome, error) {
	if v.Checkpoint.Problem != nil {
		return *s.stuckAt(v), nil
	}
	if last := v.LastRound(); last != nil && last.FinishedAt == nil {
		return d.goOn(ctx, s, v)
	}
	if s.near(v) {
		return passed(""), nil
	}
	if err := d.begin(ctx, s, v); err != nil {
		return outcome{}, err
	}
	return d.goOn(ctx, s, s.known(v))
}

// goOn brings the round that is under way to its end, if it is there.
func (d rounds) goOn(ctx context.Context, s *scope, v *ledger.Version) (outcome, error) {
	done, result, err := d.work(ctx, s, v)
	if err != nil || !done {
		return result, err
	}
	if err := s.reload(ctx); err != nil {
		return outcome{}, err
	}
	v = s.known(v)
	if v.Checkpoint.Problem != nil {
		return *s.stuckAt(v), nil
	}
	if message := stagnant(v.Rounds, s.strictLimit()); message != "" {
		return blocked(v1alpha1.ReasonRoundsDoNotShrink, message, pollFast), nil
	}
	return waiting(v1alpha1.ReasonReplaying, describeRound(v, "is done"), pollFast), nil
}

// begin draws a watermark and records the round that ends there.
func (d rounds) begin(ctx context.Context, s *scope, v *ledger.Version) error {
	bounded, cancel := context.WithTimeout(ctx, watermarkPatience)
	defer cancel()
	watermark, err := s.log.Watermark(bounded, s.sourcePool)
	if err != nil {
		return s.onSource(err)
	}
	if watermark <= v.Checkpoint.Position {
		return s.reload(ctx)
	}
	if err := d.record(ctx, s, v, watermark); err != nil {
		return err
	}
	return s.reload(ctx)
}

// record writes the intent into the ledger, with the tables as they are.
func (d rounds) record(ctx context.Context, s *scope, v *ledger.Version, until int64) error {
	next := ledger.Round{Number: 1, From: v.Checkpoint.Position, Until: until}
	if last := v.LastRound(); last != nil {
		next.Number = last.Number + 1
	}
	var err error
	if next.Tables, err = d.tables(ctx, s, v); err != nil {
		return err
	}
	return s.ledger.BeginRound(ctx, v, next)
}

func (rounds) tables(ctx context.Context, s *scope, v *ledger.Version) (map[string]ledger.RoundTable, error) {
	found, err := s.databasesServer().Tables(ctx, v.Database)
	if err != nil {
		return nil, s.onDatabases(err)
	}
	tables := map[string]ledger.RoundTable{}
	for name, table := range found {
		tables[name] = ledger.RoundTable{File: table.File, Filled: table.Filled}
	}
	return tables, nil
}

// work does the next thing for the round that is under way, and reports whether
// it has come to its end, for better or worse. It reads what it judges anew, so
// that it can be called again and again.
func (d rounds) work(ctx context.Context, s *scope, v *ledger.Version) (done bool, result outcome, err error) {
	round := v.LastRound()
	if round == nil || round.FinishedAt != nil {
		return true, outcome{}, nil
	}
	job, pods, err := d.find(ctx, s, v, round)
	if err != nil {
		return false, outcome{}, err
	}
	switch {
	case round.Job != "" && (job == nil || string(job.UID) != round.Job):
		return d.confirmLoss(ctx, s, v, round)
	case job == nil:
		return d.prepare(ctx, s, v, round)
	case !job.DeletionTimestamp.IsZero() && !judgeRoundJob(job, pods).done:
		return d.fail(ctx, s, v, round, "its Job was deleted")
	case ptr.Deref(job.Spec.Suspend, false):
		return false, waiting(v1alpha1.ReasonReplaying, describeRound(v, "begins"), pollProgress), d.start(ctx, s, v, round, job)
	}
	switch state := judgeRoundJob(job, pods); {
	case state.failed:
		return d.fail(ctx, s, v, round, state.message)
	case state.done:
		return d.finish(ctx, s, v, round)
	case state.reason != "":
		return false, blocked(state.reason, state.message, 0), nil
	}
	return false, waiting(v1alpha1.ReasonReplaying, describeRound(v, "is under way"), pollProgress), nil
}

// confirmLoss fails a round whose Job is gone. A cache that has just been filled
// may not know of it yet.
func (d rounds) confirmLoss(ctx context.Context, s *scope, v *ledger.Version, round *ledger.Round) (done bool, result outcome, err error) {
	if d.Live != nil {
		job := &batchv1.Job{}
		err := d.Live.Get(ctx, client.ObjectKey{Namespace: s.release.Namespace, Name: roundName(s, v, round)}, job)
		if client.IgnoreNotFound(err) != nil {
			return false, outcome{}, fmt.Errorf("read the Job of round %d: %w", round.Number, err)
		}
		if err == nil && string(job.UID) == round.Job {
			return false, waiting(v1alpha1.ReasonReplaying, describeRound(v, "is under way"), pollFast), nil
		}
	}
	return d.fail(ctx, s, v, round, "its Job was deleted")
}

// prepare fills the window and then makes the Job. It is suspended until it is
// recorded, so that no second one ever begins on top of what it left, whoever ends
// or deletes what in between.
func (d rounds) prepare(ctx context.Context, s *scope, v *ledger.Version, round *ledger.Round) (done bool, result outcome, err error) {
	filled, err := d.fill(ctx, s, v, round)
	if err != nil {
		return false, outcome{}, err
	}
	if !filled.Done() {
		return false, waiting(v1alpha1.ReasonReplaying, fmt.Sprintf("round %d: %d %% of its part of the log is copied", round.Number,
			percent(filled.Filled-round.From, round.Until-round.From)), pollFast), nil
	}
	return false, waiting(v1alpha1.ReasonReplaying, describeRound(v, "begins"), pollProgress), d.make(ctx, s, v, round)
}

// judgeRoundJob does not wait for a Job's controller: its only pod that ended
// with 0 has done it.
func judgeRoundJob(job *batchv1.Job, pods []corev1.Pod) verdict {
	state := judgeJob(job, pods)
	if state.done || state.failed {
		return state
	}
	for i := range pods {
		if pods[i].Status.Phase == corev1.PodSucceeded {
			return verdict{done: true}
		}
	}
	return state
}

// find is the round's Job and its pods, as they are now.
func (d rounds) find(ctx context.Context, s *scope, v *ledger.Version, round *ledger.Round) (*batchv1.Job, []corev1.Pod, error) {
	job := &batchv1.Job{}
	err := d.Client.Get(ctx, client.ObjectKey{Namespace: s.release.Namespace, Name: roundName(s, v, round)}, job)
	if client.IgnoreNotFound(err) != nil {
		return nil, nil, fmt.Errorf("read the Job of round %d: %w", round.Number, err)
	}
	if err != nil || job.Annotations[v1alpha1.AnnotationBuild] != v.Build.String() {
		return nil, nil, nil
	}
	var pods corev1.PodList
	err = d.Client.List(ctx, &pods, client.InNamespace(s.release.Namespace), client.MatchingLabels{batchv1.JobNameLabel: job.Name})
	if err != nil {
		return nil, nil, fmt.Errorf("list the pods of round %d: %w", round.Number, err)
	}
	own := pods.Items
	if len(own) == 0 {
		own = s.podsOf(job)
	}
	return job, own, nil
}

func roundName(s *scope, v *ledger.Version, round *ledger.Round) string {
	return objectName(s.release.Name, roundStep, v.Version, v.Build.String()[:8], strconv.Itoa(int(round.Number)))
}

// fill has the window hold the round's part of the log. Its connections are none
// of the pools', of which a switch holds two already.
func (d rounds) fill(ctx context.Context, s *scope, v *ledger.Version, round *ledger.Round) (window.Progress, error) {
	skip, err := skippedIDs(s.plans[v.Version])
	if err != nil {
		return window.Progress{}, err
	}
	var filled window.Progress
	err = s.guarded(ctx, func() error {
		source, err := pgx.ConnectConfig(ctx, s.source.config.Copy())
		if err != nil {
			return s.onSource(err)
		}
		defer func() { _ = source.Close(context.WithoutCancel(ctx)) }()
		server, err := pgx.ConnectConfig(ctx, s.databases.config.Copy())
		if err != nil {
			return s.onDatabases(err)
		}
		defer func() { _ = server.Close(context.WithoutCancel(ctx)) }()
		shown := s.windowOf(v)
		if err := shown.Ensure(ctx, server, source, v.OwnerRole); err != nil {
			return s.onDatabases(err)
		}
		filled, err = shown.Fill(ctx, source, window.Window{Round: round.Number, From: round.From, Until: round.Until}, skip, fillPatience)
		if err != nil {
			return s.onDatabases(err)
		}
		return nil
	})
	return filled, err
}

func (s *scope) windowOf(v *ledger.Version) *window.Database {
	return window.Of(v.Build, s.databases.config, s.log)
}

func skippedIDs(p *plan) ([]uuid.UUID, error) {
	var ids []uuid.UUID
	for _, text := range p.Replay.SkipEvents {
		id, err := uuid.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("read spec.replay.skipEvents: %w", err)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// start lets the round's Job run, as the only one that ever will, and takes away
// those of earlier rounds.
func (d rounds) start(ctx context.Context, s *scope, v *ledger.Version, round *ledger.Round, job *batchv1.Job) error {
	for i := range s.jobs {
		if old := &s.jobs[i]; old.Labels[v1alpha1.LabelStage] == roundStep && old.Annotations[v1alpha1.AnnotationBuild] == v.Build.String() && attemptOf(old) < int(round.Number)-1 {
			if err := d.remove(ctx, old); err != nil {
				return err
			}
		}
	}
	if err := s.ledger.StartRound(ctx, v, round.Number, string(job.UID)); err != nil {
		return err
	}
	begin := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"suspend":false}}`))
	if err := d.Client.Patch(ctx, job.DeepCopy(), begin, client.FieldOwner(FieldManager)); err != nil {
		return fmt.Errorf("let Job %s run: %w", job.Name, err)
	}
	return nil
}

// make applies the round's Job, suspended. It has one pod, which is not tried
// again.
func (d rounds) make(ctx context.Context, s *scope, v *ledger.Version, round *ledger.Round) error {
	job, err := d.render(ctx, s, v, round)
	if err != nil {
		return err
	}
	job.Spec.Suspend = ptr.To(true)
	return d.apply(ctx, s, job)
}

func (d rounds) render(ctx context.Context, s *scope, v *ledger.Version, round *ledger.Round) (*batchv1.Job, error) {
	p := s.plans[v.Version]
	from := int64(0)
	if round.From > 0 {
		from = round.From + 1
	}
	return d.renderJob(ctx, s, p, step{of: v, name: roundStep, command: p.Replay.Command, spec: p.Replay.StepSpec, timeout: p.Replay.Timeout, once: true,
		log: s.windowOf(v).Name(), env: []corev1.EnvVar{
			{Name: replayFromVariable, Value: strconv.FormatInt(from, 10)}, {Name: replayUntilVariable, Value: strconv.FormatInt(round.Until, 10)},
		}}, int(round.Number))
}

// finish holds what the round did to what it should have done, and moves the
// checkpoint.
func (d rounds) finish(ctx context.Context, s *scope, v *ledger.Version, round *ledger.Round) (done bool, result outcome, err error) {
	shown := s.windowOf(v)
	filled, err := shown.Progress(ctx)
	if err != nil {
		return false, outcome{}, s.onDatabases(err)
	}
	if filled.Round != round.Number || !filled.Done() {
		return d.fail(ctx, s, v, round, "its window was changed by somebody else")
	}
	events, read := filled.Events, false
	if events > 0 {
		if read, err = shown.WasRead(ctx); err != nil {
			return false, outcome{}, s.onDatabases(err)
		}
	}
	after, err := d.tables(ctx, s, v)
	if err != nil {
		return false, outcome{}, err
	}
	if problem := judgeRound(*round, events, read, after); problem != "" {
		return d.fail(ctx, s, v, round, problem)
	}
	stage := "replaying"
	if v.Passed(v1alpha1.ConditionReplayed) {
		stage = replayComplete
	}
	return true, outcome{}, s.ledger.FinishRound(ctx, v, round.Number, events, stage)
}

// fail records that nobody knows what the database holds.
func (d rounds) fail(ctx context.Context, s *scope, v *ledger.Version, round *ledger.Round, message string) (done bool, result outcome, err error) {
	if err := s.ledger.FailRound(ctx, v, round.Number, shorten(message)); err != nil {
		return false, outcome{}, err
	}
	d.event(s, eventWarning, v1alpha1.ReasonRoundFailed, fmt.Sprintf("round %d of version %s failed: %s", round.Number, v.Version, message))
	return true, outcome{}, nil
}

func describeRound(v *ledger.Version, what string) string {
	round := v.LastRound()
	if round == nil {
		return "no event is left to replay"
	}
	return fmt.Sprintf("round %d, the log after position %d up to %d, %s", round.Number, round.From, round.Until, what)
}

// known is a version's entry as the ledger was read last.
func (s *scope) known(v *ledger.Version) *ledger.Version {
	for _, other := range s.versions {
		if other.Version == v.Version {
			return other
		}
	}
	return v
}

// rebuildRounds gives up a candidate whose round failed, after a pause, or at
// once when a retry is asked for. What of it is left is of no use to anybody.
func (r *Reconciler) rebuildRounds(ctx context.Context, s *scope, v *ledger.Version) (outcome, error) {
	failures, err := s.ledger.RoundFailures(ctx, v)
	if err != nil {
		return outcome{}, err
	}
	again := s.now
	if v.Checkpoint.ReportedAt != nil {
		again = v.Checkpoint.ReportedAt.Add(rebuildAfter(failures))
	}
	job, _, err := rounds{r}.find(ctx, s, v, v.LastRound())
	if err != nil {
		return outcome{}, err
	}
	asked := job != nil && retryAsked(job, s.release.Spec.Retry)
	if s.now.Before(again) && !asked {
		result := *s.stuckAt(v)
		result.message += fmt.Sprintf("; it is built anew at %s, or at once when spec.retry is raised to %d", again.UTC().Format(time.TimeOnly+" MST"), s.release.Spec.Retry+1)
		result.again = max(again.Sub(s.now), time.Second)
		return result, nil
	}
	if err := s.ledger.Retire(ctx, v); err != nil {
		return outcome{}, err
	}
	r.event(s, eventNormal, v1alpha1.ReasonRoundFailed, fmt.Sprintf("version %s is built anew", v.Version))
	return waiting(v1alpha1.ReasonCreatingDatabase, fmt.Sprintf("version %s is built anew", v.Version), pollFast), s.reload(ctx)
}

// shown has a container take another database, which lies on the databases
// server, for the source.
func (s *scope) shown(env []corev1.EnvVar, database string) []corev1.EnvVar {
	replaced := slices.Clone(env)
	for i := range replaced {
		from := replaced[i].ValueFrom
		if from == nil || from.SecretKeyRef == nil {
			continue
		}
		switch replaced[i].Name {
		case "NAWHAS_SOURCE_NAME":
			replaced[i] = corev1.EnvVar{Name: replaced[i].Name, Value: database}
		case "NAWHAS_SOURCE_URL":
			replaced[i] = corev1.EnvVar{Name: replaced[i].Name, Value: s.databases.expandedURL(database, certificatesDir+"/"+databasesCAKey)}
		case "NAWHAS_SOURCE_HOST", "NAWHAS_SOURCE_PORT":
			replaced[i].ValueFrom = from.DeepCopy()
			replaced[i].ValueFrom.SecretKeyRef.Key = strings.Replace(replaced[i].Name, "SOURCE", "DATABASE", 1)
		}
	}
	return replaced
}

// dropWindow removes a version's window, if it ever had one.
func (s *scope) dropWindow(ctx context.Context, v *ledger.Version) error {
	if err := s.windowOf(v).Drop(ctx, s.databasesPool); err != nil {
		return s.onDatabases(err)
	}
	return nil
}

// grantWriting lets an application that projects its own events write to its
// database.
func grantWriting(ctx context.Context, conn versiondb.DB, p *plan, names versiondb.Names) error {
	if !p.inRounds() {
		return nil
	}
	return versiondb.GrantWriting(ctx, conn, names)
}
