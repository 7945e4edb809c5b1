package release

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

// The accounts of the operator are no business of the pods: nothing is rolled.
func TestARotatedAccountOfTheOperatorRollsNoPod(t *testing.T) {
	w := newWorld(t)
	w.newRelease()
	w.until("live", isLive("3.1.2"))
	w.settle()
	before := w.templates()
	w.super("ALTER ROLE %s PASSWORD 'rotated'", w.source)
	w.super("ALTER ROLE %s PASSWORD 'rotated'", w.databases)
	w.secret("nawhas-source", postgres.URLAs(w.source, "rotated", w.sourceDatabase))
	w.secret("nawhas-databases", postgres.URLAs(w.databases, "rotated", "postgres"))

	w.settle()

	if after := w.templates(); after != before {
		t.Errorf("pods were rolled:\n%s\n%s", before, after)
	}
	w.release("3.2.0")
	w.until("live", isLive("3.2.0"))
	w.must(w.kubelet.append("3.2.0", 1))
}

// Deleting a version's Secret is another password. Each pod is replaced and gets
// what it needs, and in the end nobody can use the old one.
func TestADeletedSecretOfAVersionIsANewPassword(t *testing.T) {
	for _, side := range []string{appSide, ownerSide} {
		t.Run(side, func(t *testing.T) {
			w := newWorld(t)
			w.newRelease()
			w.until("live", isLive("3.1.2"))
			secret := w.secretOf("3.1.2", side)
			old := string(secret.Data["NAWHAS_SOURCE_URL"])
			w.must(cluster.Delete(t.Context(), secret))

			w.settle()

			if string(w.secretOf("3.1.2", side).Data["NAWHAS_SOURCE_URL"]) == old {
				t.Fatal("the password is the old one")
			}
			w.refuses(old)
			w.must(w.kubelet.append("3.1.2", 1))
			w.settle()
			if release := w.get(); !isLive("3.1.2")(release) || *release.Status.Lag != 0 {
				t.Errorf("the follower does not go on:\n%s", w.told())
			}
			if pace := w.deployed("3.1.2").Spec.Strategy.RollingUpdate; pace.MaxUnavailable.IntVal != 0 || pace.MaxUnavailable.StrVal != "" {
				t.Errorf("pods are taken away before others are ready: %+v", pace)
			}
		})
	}
}

// While pods are replaced those of before open connections, too: their password
// is good until the last of them is gone. Whoever logs in acts as the one role
// that rights and fences go by.
func TestAnOldPasswordIsGoodUntilNoPodKnowsIt(t *testing.T) {
	for what, rotate := range map[string]func(w *world){
		"the Secret is deleted":   func(w *world) { w.must(cluster.Delete(w.t.Context(), w.secretOf("3.1.2", appSide))) },
		"the password is changed": func(w *world) { w.setPassword("3.1.2", "chosen-by-hand-"+w.namespace) },
	} {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t)
			w.newRelease()
			w.until("live", isLive("3.1.2"))
			for range 2 {
				old := w.secretOf("3.1.2", appSide)
				w.kubelet.idle = true

				rotate(w)
				w.settle()

				now := w.secretOf("3.1.2", appSide)
				if string(now.Data[databaseUser]) == string(old.Data[databaseUser]) {
					t.Fatalf("both passwords belong to %s", now.Data[databaseUser])
				}
				for _, secret := range []*corev1.Secret{old, now} {
					w.servesWith(secret)
				}
				w.kubelet.idle = false
				w.settle()
				w.refuses(string(old.Data["NAWHAS_SOURCE_URL"]))
				w.refuses(string(old.Data["NAWHAS_DATABASE_URL"]))
				w.servesWith(now)
				if release := w.get(); !isLive("3.1.2")(release) {
					t.Fatalf("the release is not well:\n%s", w.told())
				}
				rotate = func(w *world) { w.must(cluster.Delete(w.t.Context(), w.secretOf("3.1.2", appSide))) }
			}
		})
	}
}

// A fence holds for whoever logs in: a transaction of a login that has appended is
// waited for, and its right is gone.
func TestAVersionIsFencedWhateverItLogsInAs(t *testing.T) {
	w := newWorld(t)
	w.newRelease(func(r *v1alpha1.NawhasRelease) {
		r.Spec.Retention.Versions = ptr.To(int32(1))
		r.Spec.Rollback.Window = &metav1.Duration{}
	})
	w.until("live", isLive("3.1.2"))
	w.must(cluster.Delete(t.Context(), w.secretOf("3.1.2", appSide)))
	w.settle()
	login := w.secretOf("3.1.2", appSide)
	conn, err := w.tryConnect(string(login.Data["NAWHAS_SOURCE_URL"]))
	w.must(err)
	w.release("3.2.0")
	w.until("at the switch", func(r *v1alpha1.NawhasRelease) bool { return r.Status.Live == "3.2.0" })
	tx, err := conn.Begin(t.Context())
	w.must(err)
	_, err = tx.Exec(t.Context(), appendOne)
	w.must(err)

	w.until("draining", func(r *v1alpha1.NawhasRelease) bool {
		fenced := conditionOf(r, v1alpha1.ConditionFenced)
		return fenced.Reason == v1alpha1.ReasonDraining && strings.Contains(fenced.Message, "has appended to the log and not finished")
	})
	w.must(tx.Commit(t.Context()))
	w.until("live", isLive("3.2.0"))

	if _, err := conn.Exec(t.Context(), appendOne); err == nil {
		t.Error("a login of the fenced version can append")
	}
	w.kubelet.wait(10 * time.Minute)
	w.until("removed", func(r *v1alpha1.NawhasRelease) bool { return len(r.Status.Versions) == 1 })
	var roles int
	w.must(w.admin("postgres").QueryRow(t.Context(), "SELECT count(*) FROM pg_roles WHERE rolname LIKE $1", w.prefix+"3_1_2%").Scan(&roles))
	if roles != 0 {
		t.Errorf("%d roles of the removed version are left", roles)
	}
}

func (w *world) secretOf(version, side string) *corev1.Secret {
	w.t.Helper()
	secret := &corev1.Secret{}
	w.must(cluster.Get(w.t.Context(), client.ObjectKey{Namespace: w.namespace, Name: objectName("nawhas", version, side)}, secret))
	return secret
}

// setPassword writes a password into the Secret of a version's pods.
func (w *world) setPassword(version, password string) {
	w.t.Helper()
	secret := w.secretOf(version, appSide)
	secret.Data[passwordKey] = []byte(password)
	w.must(cluster.Update(w.t.Context(), secret))
}

// servesWith opens new connections with a Secret, reads, and appends.
func (w *world) servesWith(secret *corev1.Secret) {
	w.t.Helper()
	conn, err := w.tryConnect(string(secret.Data["NAWHAS_SOURCE_URL"]))
	w.must(err)
	_, err = conn.Exec(w.t.Context(), appendOne)
	w.must(err)
	database, err := w.tryConnect(string(secret.Data["NAWHAS_DATABASE_URL"]))
	w.must(err)
	var role string
	w.must(database.QueryRow(w.t.Context(), "SELECT current_user::text FROM (SELECT count(*) FROM reciters) AS read").Scan(&role))
	if role != w.prefix+"3_1_2_app" {
		w.t.Errorf("%s acts as %s", secret.Data[databaseUser], role)
	}
}

func (w *world) refuses(url string) {
	w.t.Helper()
	if _, err := w.tryConnect(url); err == nil || !strings.Contains(err.Error(), "password authentication failed") {
		w.t.Errorf("the old password is still good: %v", err)
	}
}

func TestDeletedWorkloadsArePutBack(t *testing.T) {
	w := newWorld(t)
	w.newRelease(autoscaled)
	w.until("live", isLive("3.1.2"))
	w.settle()
	w.must(cluster.Delete(t.Context(), w.deployed("3.1.2")))
	w.must(cluster.Delete(t.Context(), w.service("nawhas-api")))
	w.deleteAutoscalers()

	w.settle()

	if got := w.autoscalers(); w.deployed("3.1.2").Labels[v1alpha1.LabelVersion] != "3.1.2" || w.selected("nawhas-api") != "3.1.2" || len(got) != 1 {
		t.Errorf("not everything was put back; autoscalers of %v", got)
	}
}

// What a version's pods connect with is renewed also while the release waits for a
// word from people: pods never get ahead of their Secret.
func TestAPasswordChangesWhileNothingElseDoes(t *testing.T) {
	w := newWorld(t)
	w.newRelease()
	w.until("live", isLive("3.1.2"))
	w.update(func(r *v1alpha1.NawhasRelease) { r.Spec.Suspend = true })
	w.settle()
	old := w.secretOf("3.1.2", appSide)

	w.must(cluster.Delete(t.Context(), old))
	w.settle()

	w.servesWith(w.secretOf("3.1.2", appSide))
	w.refuses(string(old.Data["NAWHAS_DATABASE_URL"]))
}

// A namespace goes with its Secrets; no server is asked then.
func TestANamespaceThatIsDeletedIsNotHeldUp(t *testing.T) {
	w := newWorld(t)
	release := w.newRelease(func(r *v1alpha1.NawhasRelease) { r.Spec.DeletionPolicy = v1alpha1.DeletionDelete })
	w.until("live", isLive("3.1.2"))
	w.secret("nawhas-source", "postgres://"+w.source+":secret@127.0.0.1:1/"+w.sourceDatabase+"?sslmode=disable")
	w.must(cluster.Delete(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}}))
	w.must(cluster.Delete(t.Context(), release))

	w.untilGone()

	if !w.recorded("LeftBehind") {
		t.Error("nobody is told what was left behind")
	}
}

// What gives a deletion up is ten minutes of failing, not that it was asked for ten
// minutes ago: the operator may have been away.
func TestADeletionIsNotGivenUpForOneError(t *testing.T) {
	w := newWorld(t)
	release := w.newRelease()
	w.until("live", isLive("3.1.2"))
	w.must(cluster.Delete(t.Context(), release))
	w.secret("nawhas-source", "postgres://"+w.source+":secret@127.0.0.1:1/"+w.sourceDatabase+"?sslmode=disable")
	w.kubelet.wait(2 * giveUpAfter)
	_, err := w.pass()
	w.must(err)
	if w.recorded("LeftBehind") {
		t.Fatal("it was given up at once")
	}

	w.kubelet.wait(2 * giveUpAfter)
	w.untilGone()

	if !w.recorded("LeftBehind") {
		t.Error("nobody is told what was left behind")
	}
}

// templates are the credentials and builds that the pods of all Deployments have.
func (w *world) templates() string {
	w.t.Helper()
	var found appsv1.DeploymentList
	w.must(cluster.List(w.t.Context(), &found, client.InNamespace(w.namespace)))
	var all []string
	for _, d := range found.Items {
		all = append(all, d.Name+" "+d.Spec.Template.Annotations[v1alpha1.AnnotationCredentials]+" "+d.Spec.Template.Annotations[v1alpha1.AnnotationBuild])
	}
	return strings.Join(all, "\n")
}

func (w *world) tryConnect(url string) (*pgx.Conn, error) {
	conn, err := pgx.Connect(w.t.Context(), url)
	if err == nil {
		w.t.Cleanup(func() { _ = conn.Close(context.Background()) })
	}
	return conn, err
}

func (w *world) deleteAutoscalers() {
	w.t.Helper()
	w.must(cluster.DeleteAllOf(w.t.Context(), &autoscalingv2.HorizontalPodAutoscaler{}, client.InNamespace(w.namespace)))
}
