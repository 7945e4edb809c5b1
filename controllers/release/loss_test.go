package release

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/ledger"
	"github.com/nawhas/nawhas-operator/internal/pgtest"
)

// loseEverything deletes the release and all that was made for it, without
// asking the operator, as the loss of a cluster does.
func (w *world) loseEverything() {
	w.t.Helper()
	w.update(func(r *v1alpha1.NawhasRelease) { r.Finalizers = nil })
	w.must(cluster.Delete(w.t.Context(), w.get()))
	for _, kind := range []client.Object{&appsv1.Deployment{}, &appsv1.ControllerRevision{}, &batchv1.Job{}, &corev1.Pod{}, &discoveryv1.EndpointSlice{}, &corev1.Secret{}} {
		w.must(cluster.DeleteAllOf(w.t.Context(), kind, client.InNamespace(w.namespace), client.MatchingLabels{v1alpha1.LabelRelease: "nawhas"},
			client.GracePeriodSeconds(0), client.PropagationPolicy("Background")))
	}
	var services corev1.ServiceList
	w.must(cluster.List(w.t.Context(), &services, client.InNamespace(w.namespace)))
	for i := range services.Items {
		w.must(cluster.Delete(w.t.Context(), &services.Items[i]))
	}
}

// databases are the versions' databases, by the moment each was made.
func (w *world) databaseIDs() string {
	w.t.Helper()
	var ids string
	w.must(w.admin("postgres").QueryRow(w.t.Context(), "SELECT coalesce(string_agg(datname || '=' || oid, ' ' ORDER BY datname), '') FROM pg_database WHERE datname LIKE $1",
		w.prefix+"%").Scan(&ids))
	return ids
}

func TestWhatTheClusterLosesTheLedgerBringsBack(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(w *world)
		again   string // spec.version of the manifest that is applied again
		live    string
		content func(*v1alpha1.NawhasRelease) bool
	}{
		"the live version is asked for": {func(w *world) { w.kubelet.wait(3 * time.Minute); w.settle() }, "3.2.0", "3.2.0", isLive("3.2.0")},
		"another version was on its way": {func(w *world) {
			w.kubelet.refuse = map[string]int32{"replay": 1}
			w.release("3.3.0")
			w.until("failed", func(r *v1alpha1.NawhasRelease) bool {
				return conditionOf(r, v1alpha1.ConditionReplayed).Reason == v1alpha1.ReasonJobFailed
			})
		}, "3.3.0", "3.2.0", func(r *v1alpha1.NawhasRelease) bool {
			return r.Status.Live == "3.2.0" && isTrue(r, v1alpha1.ConditionAvailable)
		}},
		"the version asked for was sent back": {func(w *world) {
			w.fails("3.2.0")
			w.until("sent back", isHeldAt("3.1.2"))
		}, "3.2.0", "3.1.2", isHeldAt("3.1.2")},
	} {
		t.Run(name, func(t *testing.T) {
			w := twoVersions(t)
			c.prepare(w)
			before := w.databaseIDs()
			w.loseEverything()
			w.restart(cluster)

			w.newRelease(func(r *v1alpha1.NawhasRelease) {
				r.Spec.Version = c.again
				r.Spec.Workloads[0].Template.Spec.Containers[0].Args = []string{"serve", "--new"}
			})
			release := w.until("as it was", c.content)
			w.settle()

			if after := w.databaseIDs(); after != before {
				t.Errorf("the databases were %s and are %s", before, after)
			}
			if got := w.selected("nawhas-api"); got != c.live || release.Status.Live != c.live {
				t.Errorf("the Service leads to %q and live is %q", got, release.Status.Live)
			}
			if err := w.kubelet.append(c.live, 1); err != nil {
				t.Error(err)
			}
			if jobs := append(w.jobs("3.1.2"), w.jobs("3.2.0")...); c.live == c.again && len(jobs) > 0 {
				t.Errorf("Jobs ran: %v", jobs)
			}
			if c.live != c.again {
				d := &appsv1.Deployment{}
				w.must(cluster.Get(t.Context(), client.ObjectKey{Namespace: w.namespace, Name: "nawhas-api-" + strings.ReplaceAll(c.live, ".", "-")}, d))
				if args := d.Spec.Template.Spec.Containers[0].Args; len(args) != 1 {
					t.Errorf("version %s came back with the template of another: %v", c.live, args)
				}
			}
		})
	}
}

// interrupted does something in front of the write that points the Service at a
// version.
type interrupted struct {
	client.Client
	version string
	before  func()
}

func (c *interrupted) interrupt(obj client.Object) {
	service, ok := obj.(*corev1.Service)
	if ok && service.Name == "nawhas-api" && service.Spec.Selector[v1alpha1.LabelVersion] == c.version && c.before != nil {
		do := c.before
		c.before = nil
		do()
	}
}

func (c *interrupted) Create(ctx context.Context, obj client.Object, opts ...client.CreateOption) error {
	c.interrupt(obj)
	return c.Client.Create(ctx, obj, opts...)
}

func (c *interrupted) Patch(ctx context.Context, obj client.Object, patch client.Patch, opts ...client.PatchOption) error {
	c.interrupt(obj)
	return c.Client.Patch(ctx, obj, patch, opts...)
}

// The operator is taken over right before it would have pointed the Service at
// a version; its successor goes on to another one. What it does when it wakes
// up must change nothing.
func TestAStaleOperatorCannotChangeAService(t *testing.T) {
	for version, next := range map[string]string{"3.1.2": "3.2.0", "3.2.0": "3.1.2"} {
		t.Run("at the switch to "+version, func(t *testing.T) {
			w := newWorld(t)
			w.newRelease()
			if version == "3.2.0" {
				w.until("live", isLive("3.1.2"))
				w.release("3.2.0")
			}
			w.reconciler.Close()
			w.reconciler = nil
			taken := false
			stale := New(&interrupted{Client: cluster, version: version, before: func() {
				w.restart(cluster)
				w.release(next)
				w.until("live", isLive(next))
				taken = true
			}}, w.recorder, DefaultSettings())
			stale.Clock = w.clock
			defer stale.Close()

			for range passes {
				_, _ = stale.Reconcile(t.Context(), w.request())
				if taken {
					break
				}
				w.kubelet.work()
			}
			for range 3 {
				if got := w.selected("nawhas-api"); !taken || got != next {
					t.Fatalf("the stale operator pointed the Service at %q", got)
				}
				_, _ = stale.Reconcile(t.Context(), w.request())
			}
		})
	}
}

func TestALedgerThatDoesNotKnowTheReleaseIsRefused(t *testing.T) {
	w := twoVersions(t)
	before := w.databaseIDs()
	other := another(t)
	w.secret("nawhas-source", postgres.URLAs(other.source, "secret", other.sourceDatabase))

	release := w.until("refused", func(r *v1alpha1.NawhasRelease) bool {
		return conditionOf(r, v1alpha1.ConditionStalled).Reason == v1alpha1.ReasonLedgerForeign
	})

	if message := conditionOf(release, v1alpha1.ConditionStalled).Message; !strings.Contains(message, "put the Secret of spec.source back") {
		t.Errorf("it says %s", message)
	}
	if release.Status.Live != "3.2.0" || w.selected("nawhas-api") != "3.2.0" || w.databaseIDs() != before {
		t.Errorf("something changed:\n%s", w.told())
	}
	var made bool
	w.must(w.admin(other.sourceDatabase).QueryRow(t.Context(), "SELECT to_regnamespace('nawhas_ledger') IS NOT NULL").Scan(&made))
	if made {
		t.Error("a ledger was made there")
	}
	w.secret("nawhas-source", postgres.URLAs(w.source, "secret", w.sourceDatabase))
	w.until("live", isLive("3.2.0"))
}

func TestALedgerOfANewerOperatorIsRefused(t *testing.T) {
	w := twoVersions(t)
	postgres.Exec(t, w.sourceDatabase, "UPDATE nawhas_ledger.schema_version SET version = version + 1")
	w.restart(cluster)
	release := w.until("refused", func(r *v1alpha1.NawhasRelease) bool {
		return conditionOf(r, v1alpha1.ConditionStalled).Reason == v1alpha1.ReasonLedgerIncompatible
	})
	if release.Status.Live != "3.2.0" || !isTrue(release, v1alpha1.ConditionAvailable) {
		t.Errorf("what is live was touched:\n%s", w.told())
	}
	w.onlyAppends("3.2.0", "3.1.2")
}

// A source that was restored from a backup gives out epochs anew that the
// Services have seen.
func TestALedgerFromABackupIsNoStaleOperator(t *testing.T) {
	w := twoVersions(t)
	service := &corev1.Service{}
	w.must(cluster.Get(t.Context(), client.ObjectKey{Namespace: w.namespace, Name: "nawhas-api"}, service))
	service.Annotations[v1alpha1.AnnotationEpoch] = "100"
	w.must(cluster.Update(t.Context(), service))
	w.restart(cluster)

	w.release("3.3.0")
	w.until("live", isLive("3.3.0"))

	w.must(cluster.Get(t.Context(), client.ObjectKeyFromObject(service), service))
	if epochOf(service) <= 100 {
		t.Errorf("the Service's epoch is %d", epochOf(service))
	}
}

// While an operator changes a server, its successor waits; afterwards the
// former one changes nothing any more.
func TestAStaleOperatorCannotChangeADatabase(t *testing.T) {
	w := twoVersions(t)
	before := w.databaseIDs()
	stale := w.reconciler
	defer stale.Close()
	w.reconciler = nil
	w.restart(cluster)
	w.settle()

	w.kubelet.wait(48 * time.Hour)
	w.release("3.3.0")
	for range 3 {
		_, _ = stale.Reconcile(t.Context(), w.request())
	}

	if release := w.get(); conditionOf(release, v1alpha1.ConditionStalled).Reason != v1alpha1.ReasonSuperseded {
		t.Errorf("it is not told:\n%s", w.told())
	}
	if after := w.databaseIDs(); after != before {
		t.Errorf("the databases were %s and are %s", before, after)
	}
	var begun int
	w.must(w.admin(w.sourceDatabase).QueryRow(t.Context(), "SELECT count(*) FROM nawhas_ledger.versions WHERE version = '3.3.0' OR role = $1", string(ledger.Retiring)).Scan(&begun))
	if begun != 0 {
		t.Error("it wrote to the ledger")
	}
}

// spec.databases leads to a server that has nothing: what is live goes on with
// what it knows, until a version that was built there takes over.
func TestAnEmptyServerTakesNothingFromWhatIsLive(t *testing.T) {
	w := newWorld(t)
	w.newRelease()
	w.until("live", isLive("3.1.2"))
	w.settle()
	secret, templates := w.secretOf("3.1.2", appSide).Data, w.templates()
	empty, err := pgtest.Start()
	w.must(err)
	t.Cleanup(empty.Close)
	empty.Exec(t, "postgres", fmt.Sprintf("CREATE ROLE %s LOGIN CREATEROLE CREATEDB PASSWORD 'secret'", w.databases))

	w.secret("nawhas-databases", empty.URLAs(w.databases, "secret", "postgres"))
	w.until("told", func(r *v1alpha1.NawhasRelease) bool {
		return conditionOf(r, v1alpha1.ConditionDatabaseReady).Reason == v1alpha1.ReasonDatabaseError
	})
	w.settle()

	if now := w.secretOf("3.1.2", appSide).Data; !reflect.DeepEqual(now, secret) {
		t.Error("its Secret leads elsewhere")
	}
	if w.templates() != templates {
		t.Errorf("its pods are replaced:\n%s\n%s", templates, w.templates())
	}
	w.release("3.2.0")
	w.until("live", isLive("3.2.0"))
	w.onlyAppends("3.2.0", "3.1.2")
}
