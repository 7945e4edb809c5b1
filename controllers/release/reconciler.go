package release

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/ledger"
)

// What a watch cannot tell is looked at again after these: the databases have
// no watches.
const (
	// pollFast is for the seconds in which a switch is under way.
	pollFast = 250 * time.Millisecond
	// pollProgress is for a replay's progress.
	pollProgress = time.Second
	// pollSlow is for what changes seldom, and for servers that do not answer. A
	// release at rest is not polled: see rest.go.
	pollSlow = 10 * time.Second
	// pollBusy is for a pass that found its server busy with others.
	pollBusy = 200 * time.Millisecond
	// pollSilent is for a server that does not answer, should nobody tell that it
	// does again.
	pollSilent = time.Minute
)

const (
	eventNormal  = corev1.EventTypeNormal
	eventWarning = corev1.EventTypeWarning
)

// Reconciler reconciles NawhasReleases.
type Reconciler struct {
	// Client reads from the cache and writes to the API server.
	Client   client.Client
	Recorder events.EventRecorder
	Clock    clock.PassiveClock
	// Secrets reads Secrets.
	Secrets *Secrets
	// Live reads from the API server, nil when Client does so too.
	Live client.Reader
	// Tracer hears of every statement to the servers, nil when nobody does.
	Tracer pgx.QueryTracer

	// indexed says that Client knows what belongs to which release.
	indexed  bool
	settings Settings
	servers  *servers
	metrics  *metrics
	pollers  *pollers
	asker    *metricAsker
	resting  *resting
	// suitable are the connections of each release that were checked.
	suitable sync.Map
	// equipped are the versions whose roles and database were made sure of, each
	// with a digest of what was.
	equipped sync.Map
	// underway are the passes at work, with the time of their beginning.
	underway sync.Map
	// claimed are the releases whose Services carry this process' epoch.
	claimed sync.Map
	// displaced are the releases that another operator has taken over.
	displaced sync.Map
	// failing are the releases whose deletion fails, and since when.
	failing sync.Map
	// unavailable are the releases for which the API server fails to do what it is
	// asked, and since when.
	unavailable sync.Map
}

// Settings are what an installation may choose. The zero value is not valid:
// see DefaultSettings.
type Settings struct {
	// Concurrency is how many releases are worked on at once, and PerServer how
	// many of them on one database server.
	Concurrency, PerServer int
	// PollInterval is between two looks at a source for all releases at rest.
	PollInterval time.Duration
	// Recheck is when a release at rest is looked at in full although nothing was
	// seen to change.
	Recheck time.Duration
}

// DefaultSettings serve a thousand releases.
func DefaultSettings() Settings {
	return Settings{Concurrency: 32, PerServer: 8, PollInterval: 5 * time.Second, Recheck: 10 * time.Hour}
}

// New makes a Reconciler that reads and writes through one client.
func New(c client.Client, recorder events.EventRecorder, settings Settings) *Reconciler {
	r := &Reconciler{Client: c, Recorder: recorder, Clock: clock.RealClock{}, Secrets: &Secrets{Cached: c}, settings: settings,
		servers: newServers(settings.PerServer), metrics: newMetrics(), asker: newMetricAsker(), resting: newResting()}
	r.pollers = newPollers(settings.PollInterval, r.servers, r.resting, r.metrics)
	return r
}

// longestPass is longer than a pass can take whose every wait ends in time.
const longestPass = 15 * time.Minute

// Alive reports a pass that does not come to its end.
func (r *Reconciler) Alive() error {
	var stuck error
	r.underway.Range(func(name, since any) bool {
		started, _ := since.(time.Time)
		if took := time.Since(started); took > longestPass {
			stuck = fmt.Errorf("a pass over release %v has not ended for %s", name, took.Round(time.Second))
		}
		return stuck == nil
	})
	return stuck
}

// Close ends the connections to all servers.
func (r *Reconciler) Close() {
	r.asker.close()
	r.servers.close()
}

// +kubebuilder:rbac:groups=releases.nawhas.com,resources=nawhasreleases,verbs=get;list;watch;patch;update
// +kubebuilder:rbac:groups=releases.nawhas.com,resources=nawhasreleases/status,verbs=get;patch;update
// +kubebuilder:rbac:groups=releases.nawhas.com,resources=nawhasreleases/finalizers,verbs=update
// +kubebuilder:rbac:groups=apps,resources=deployments;controllerrevisions,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=autoscaling,resources=horizontalpodautoscalers,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=policy,resources=poddisruptionbudgets,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=batch,resources=jobs,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups="",resources=services;secrets,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups="",resources=pods,verbs=get;list;watch
// +kubebuilder:rbac:groups=discovery.k8s.io,resources=endpointslices,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// Reconcile makes one pass over a release. Whatever happens in it reaches the
// status.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	shared := &v1alpha1.NawhasRelease{}
	if err := r.Client.Get(ctx, request.NamespacedName, shared, client.UnsafeDisableDeepCopy); err != nil {
		if apierrors.IsNotFound(err) {
			r.metrics.forget(request.NamespacedName)
			r.resting.rouse(request.NamespacedName)
			r.unavailable.Delete(request.NamespacedName)
			r.pollers.drifts.forget(request.NamespacedName)
			r.asker.forget(request.NamespacedName)
		}
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	// What was changed may name other servers, and what is deleted may be let go.
	seen := shared.Generation == shared.Status.ObservedGeneration && shared.DeletionTimestamp.IsZero()
	if seen && r.servers.busy(request.NamespacedName) {
		return ctrl.Result{RequeueAfter: pollBusy}, nil
	}
	started, release := time.Now(), shared.DeepCopy()
	ctx, waits := withWaits(ctx)
	s := &scope{release: release, now: r.Clock.Now(), choice: choice{version: release.Spec.Version}}
	before := release.Status.DeepCopy()
	r.resting.rouse(request.NamespacedName)
	r.underway.Store(request.NamespacedName, started)
	defer func() {
		r.underway.Delete(request.NamespacedName)
		s.visit.leave()
	}()
	var result ctrl.Result
	var err error
	if !release.DeletionTimestamp.IsZero() {
		result, err = r.finalize(ctx, s)
	} else {
		result, err = r.pass(ctx, s)
	}
	if errors.Is(err, errBusy) {
		return ctrl.Result{RequeueAfter: pollBusy}, nil
	}
	if r.untold(s, err) {
		release.Status = *before
	}
	r.announce(s.logged(ctx), s, before.Conditions)
	r.metrics.note(before, release)
	err = errors.Join(err, r.writeStatus(ctx, before, s))
	r.metrics.passed(time.Since(started), waits.databases.sum(), waits.apiServer.sum())
	return result, err
}

// logged says which version a line of the log is about, and what stage it is at.
func (s *scope) logged(ctx context.Context) context.Context {
	stage := v1alpha1.ReasonSettled
	for _, name := range v1alpha1.Stages() {
		if !meta.IsStatusConditionTrue(s.release.Status.Conditions, name) {
			stage = name
			break
		}
	}
	return ctrl.LoggerInto(ctx, ctrl.LoggerFrom(ctx).WithValues("version", s.choice.version, "stage", stage))
}

// pass gathers, walks the stages, looks after all versions and sums up.
func (r *Reconciler) pass(ctx context.Context, s *scope) (ctrl.Result, error) {
	if err := r.holdOn(ctx, s.release); err != nil {
		return ctrl.Result{}, err
	}
	s.release.Status.ObservedGeneration = s.release.Generation
	way, err := r.gatherAndWalk(ctx, s)
	if errors.Is(err, errBusy) {
		return ctrl.Result{}, err
	}
	if s.ledger != nil {
		s.fillStatus()
	}
	s.summarize(way)
	if err != nil {
		return r.failed(ctx, s, err)
	}
	if s.rests(way) {
		r.resting.lay(client.ObjectKeyFromObject(s.release), s.lastSeen())
		return ctrl.Result{RequeueAfter: s.nextChange(r.settings.Recheck)}, nil
	}
	return ctrl.Result{RequeueAfter: soonest(way.again, pollSlow)}, nil
}

// failed decides when a pass that came to no end is made again.
func (r *Reconciler) failed(ctx context.Context, s *scope, err error) (ctrl.Result, error) {
	problem := explain(err)
	r.metrics.failed(problem.reason)
	if !problem.known() {
		return ctrl.Result{}, err
	}
	ctrl.LoggerFrom(s.logged(ctx)).Info("the release cannot go on", "reason", problem.reason, "problem", err.Error())
	if errors.Is(err, ledger.ErrSuperseded) {
		return ctrl.Result{RequeueAfter: r.takeBack(ctx, s)}, nil
	}
	if _, silent := errors.AsType[*refusedError](err); silent {
		r.resting.refuse(client.ObjectKeyFromObject(s.release))
		return ctrl.Result{RequeueAfter: pollSilent}, nil
	}
	return ctrl.Result{RequeueAfter: pollSlow}, nil
}

// holdOn sets the finalizer, before anything is made outside the cluster.
func (r *Reconciler) holdOn(ctx context.Context, release *v1alpha1.NawhasRelease) error {
	if controllerutil.ContainsFinalizer(release, v1alpha1.Finalizer) {
		return nil
	}
	before, status := release.DeepCopy(), release.Status.DeepCopy()
	controllerutil.AddFinalizer(release, v1alpha1.Finalizer)
	if err := r.Client.Patch(ctx, release, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("set the finalizer of release %s: %w", release.Name, err)
	}
	release.Status = *status
	return nil
}

// writeStatus sends what has changed in the status, and looks for it nowhere else.
func (r *Reconciler) writeStatus(ctx context.Context, before *v1alpha1.NawhasReleaseStatus, s *scope) error {
	if !worthWriting(before, &s.release.Status) {
		return nil
	}
	base := client.MergeFrom(&v1alpha1.NawhasRelease{Status: *before})
	changes, err := base.Data(&v1alpha1.NawhasRelease{Status: s.release.Status})
	if err != nil {
		return fmt.Errorf("compare the status of release %s: %w", s.release.Name, err)
	}
	err = r.Client.Status().Patch(ctx, s.release, client.RawPatch(base.Type(), changes))
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("write the status of release %s: %w", s.release.Name, err)
	}
	return nil
}

func soonest(a, b time.Duration) time.Duration {
	if a > 0 && a < b {
		return a
	}
	return b
}
