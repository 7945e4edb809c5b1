package release

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/eventlog"
	"github.com/nawhas/nawhas-operator/internal/ledger"
	"github.com/nawhas/nawhas-operator/internal/versiondb"
)

// scope is what one pass over one release gathered.
type scope struct {
	release *v1alpha1.NawhasRelease
	now     time.Time

	source, databases         *connection
	visit                     visit
	sourcePool, databasesPool *pgxpool.Pool

	log    *eventlog.Log
	ledger *ledger.Ledger
	// versions are all that the ledger knows of, the newest first.
	versions []*ledger.Version
	// choice is the version that should be live now.
	choice choice
	// target is the chosen version's entry, nil until it is begun.
	target *ledger.Version
	// planned is what building the target would take, when spec.dryRun asks for it.
	planned *v1alpha1.ReleasePlan
	// outdated says that the ledger may know of a switch that this pass does not:
	// nothing is to be put back then.
	outdated bool
	// draining says that a predecessor of the live version, or who was there before, has
	// still to be fenced off although the stages are busy with its successor.
	draining bool
	// existing are the databases that the server has, by name.
	existing map[string]bool
	// appenders are the app roles that can append to the log.
	appenders []string
	// writers are all that can, and neighbours the roles of other releases.
	writers    eventlog.Writers
	neighbours []string
	// unseen are former roles whose statements the source's account may not see.
	unseen []string
	head   int64
	// past is where the log ended a moment ago, head until that is known.
	past int64

	// plans are what each version runs, frozen at first sight.
	plans map[string]*plan

	jobs        []batchv1.Job
	deployments []appsv1.Deployment
	pods        []corev1.Pod
	services    []corev1.Service
	slices      []discoveryv1.EndpointSlice
	autoscalers []autoscalingv2.HorizontalPodAutoscaler
	budgets     []policyv1.PodDisruptionBudget
}

// gatherCluster reads what the cluster has of the release, from the cache.
func (r *Reconciler) gatherCluster(ctx context.Context, s *scope) error {
	ours := r.own(s)
	var jobs batchv1.JobList
	if err := r.Client.List(ctx, &jobs, ours...); err != nil {
		return fmt.Errorf("list Jobs: %w", err)
	}
	var deployments appsv1.DeploymentList
	if err := r.Client.List(ctx, &deployments, ours...); err != nil {
		return fmt.Errorf("list Deployments: %w", err)
	}
	var pods corev1.PodList
	if err := r.Client.List(ctx, &pods, ours...); err != nil {
		return fmt.Errorf("list Pods: %w", err)
	}
	var services corev1.ServiceList
	if err := r.Client.List(ctx, &services, ours...); err != nil {
		return fmt.Errorf("list Services: %w", err)
	}
	// Their controller gives them the labels of their Service.
	var slices discoveryv1.EndpointSliceList
	if err := r.Client.List(ctx, &slices, ours...); err != nil {
		return fmt.Errorf("list EndpointSlices: %w", err)
	}
	var autoscalers autoscalingv2.HorizontalPodAutoscalerList
	if err := r.Client.List(ctx, &autoscalers, ours...); err != nil {
		return fmt.Errorf("list HorizontalPodAutoscalers: %w", err)
	}
	var budgets policyv1.PodDisruptionBudgetList
	if err := r.Client.List(ctx, &budgets, ours...); err != nil {
		return fmt.Errorf("list PodDisruptionBudgets: %w", err)
	}
	s.autoscalers, s.budgets = autoscalers.Items, budgets.Items
	s.jobs, s.deployments, s.pods, s.services, s.slices = jobs.Items, deployments.Items, pods.Items, services.Items, slices.Items
	return nil
}

// gatherDatabases reads the ledger, the head of the log and what exists on the
// servers: a handful of short queries, whatever the number of versions.
func (r *Reconciler) gatherDatabases(ctx context.Context, s *scope) error {
	err := r.readDatabases(ctx, s)
	if err != nil {
		// Half of what there is to know is nothing to tell.
		s.ledger = nil
	}
	return err
}

func (r *Reconciler) readDatabases(ctx context.Context, s *scope) error {
	opened, err := r.servers.ledger(ctx, s.source, s.sourcePool, s.key(), string(s.release.UID), s.release.Status.Installation, !s.release.DeletionTimestamp.IsZero())
	if err != nil {
		return s.onSource(err)
	}
	s.ledger = opened
	if err := opened.KeepLog(ctx, s.log.Table().Place(), eventlog.DefaultTable().Place()); err != nil {
		return s.onSource(err)
	}
	if err := s.reload(ctx); err != nil {
		return err
	}
	if s.head, err = s.log.Head(ctx, s.sourcePool); err != nil {
		return s.onSource(err)
	}
	s.past = s.head
	if position, known := r.pollers.settledHead(s.visit.source.key); known {
		s.past = position
	}
	if err := s.gatherWriters(ctx); err != nil {
		return s.onSource(err)
	}
	return s.gatherExisting(ctx)
}

func (s *scope) gatherWriters(ctx context.Context) error {
	var err error
	if s.appenders, err = s.log.Appenders(ctx, s.sourcePool, appRoles(s.versions)); err != nil {
		return err
	}
	if s.writers, err = s.log.Writers(ctx, s.sourcePool); err != nil {
		return err
	}
	if s.unseen, err = s.unseenFormerRoles(ctx); err != nil {
		return err
	}
	s.neighbours, err = s.ledger.Neighbours(ctx)
	return err
}

// reload reads the ledger anew, after something was recorded.
func (s *scope) reload(ctx context.Context) error {
	versions, err := s.ledger.Versions(ctx)
	if err != nil {
		return s.onSource(err)
	}
	s.versions, s.target = versions, nil
	s.choice = choose(s.release.Spec.Version, s.release.Annotations[v1alpha1.AnnotationHold], versions)
	if s.release.Annotations[v1alpha1.AnnotationHold] == "" {
		s.choice = obeyAbort(s.choice, &s.release.Spec, versions)
	}
	defer s.pinImages()
	for _, v := range versions {
		if v.Version == s.choice.version {
			s.target = v
		}
	}
	return nil
}

func (s *scope) gatherExisting(ctx context.Context) error {
	var names []string
	for _, v := range s.versions {
		names = append(names, v.Database)
	}
	existing, err := existingDatabases(ctx, s.databasesPool, names)
	if err != nil {
		return s.onDatabases(err)
	}
	s.existing = existing
	return nil
}

func existingDatabases(ctx context.Context, db versiondb.DB, names []string) (map[string]bool, error) {
	rows, err := db.Query(ctx, `SELECT datname::text FROM pg_database WHERE datname = ANY($1)`, names)
	if err != nil {
		return nil, fmt.Errorf("read which databases there are: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("read which databases there are: %w", err)
	}
	existing := map[string]bool{}
	for _, name := range found {
		existing[name] = true
	}
	return existing, nil
}

func appRoles(versions []*ledger.Version) []string {
	roles := make([]string, 0, len(versions))
	for _, v := range versions {
		roles = append(roles, v.AppRole)
	}
	return roles
}

// live is the version that the ledger says the Services lead to, or nil.
func (s *scope) live() *ledger.Version { return liveOf(s.versions) }

// previous is the version that a way back would lead to: the one that was live
// last, is still warm and was not itself sent back.
func (s *scope) previous() *ledger.Version {
	var previous *ledger.Version
	for _, v := range s.versions {
		if v.Role == ledger.Warm && v.Held == nil && v.WarmSince != nil && (previous == nil || v.WarmSince.After(*previous.WarmSince)) {
			previous = v
		}
	}
	return previous
}

func (s *scope) canAppend(v *ledger.Version) bool { return slices.Contains(s.appenders, v.AppRole) }

// guarded does something to a server while no other operator can take this
// release over: the successor waits until it is done.
func (s *scope) guarded(ctx context.Context, do func() error) error {
	return s.ledger.Guard(ctx, func(pgx.Tx) error { return do() })
}

// lag is the number of events that a version's database has yet to apply, by
// positions; holes count, so that it never says less than the truth.
func (s *scope) lag(v *ledger.Version) int64 { return max(0, s.head-v.Checkpoint.Position) }

// behind is the number of events that have been in the log for a moment and are
// not applied yet. It is 0 for a follower that keeps up, however busy the log is.
func (s *scope) behind(v *ledger.Version) int64 { return max(0, s.past-v.Checkpoint.Position) }

// key is namespace/name, the release's name in the ledger and in stamps.
func (s *scope) key() string { return s.release.Namespace + "/" + s.release.Name }

// operators are the accounts that need sight of the version roles' sessions.
func (s *scope) operators() []string {
	return []string{s.source.account(), s.databases.account()}
}

func (s *scope) onSource(err error) error {
	return &connectFailed{what: "the source", address: s.source.address(), account: s.source.account(), err: err}
}

func (s *scope) onDatabases(err error) error {
	return &connectFailed{what: "the databases server", address: s.databases.address(), account: s.databases.account(), err: err}
}

func (s *scope) owner() metav1.OwnerReference {
	return *metav1.NewControllerRef(s.release, v1alpha1.GroupVersion.WithKind(releaseKind))
}
