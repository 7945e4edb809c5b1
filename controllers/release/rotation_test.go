package release

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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

// Deleting a version's Secret gives its role another password. The pods are
// replaced one after the other, and each with what it needs.
func TestADeletedSecretOfAVersionIsANewPassword(t *testing.T) {
	for _, side := range []string{appSide, ownerSide} {
		t.Run(side, func(t *testing.T) {
			w := newWorld(t)
			w.newRelease()
			w.until("live", isLive("3.1.2"))
			key := client.ObjectKey{Namespace: w.namespace, Name: objectName("nawhas", "3.1.2", side)}
			secret := &corev1.Secret{}
			w.must(cluster.Get(t.Context(), key, secret))
			old := string(secret.Data["NAWHAS_SOURCE_URL"])
			w.must(cluster.Delete(t.Context(), secret))

			w.settle()

			w.must(cluster.Get(t.Context(), key, secret))
			if string(secret.Data["NAWHAS_SOURCE_URL"]) == old {
				t.Fatal("the password is the old one")
			}
			if _, err := w.tryConnect(old); err == nil || !strings.Contains(err.Error(), "password authentication failed") {
				t.Errorf("the old password is still good: %v", err)
			}
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
