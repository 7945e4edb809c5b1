package release

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

// Each trouble gets a condition with a reason and a message that says what to
// do, leaves everything as it was, and is over when its cause is.
func TestTroubleIsToldAndPasses(t *testing.T) {
	for name, trouble := range map[string]struct {
		cause, cure func(w *world)
		reason      string
		message     string
	}{
		"a Secret that is missing": {
			cause:  func(w *world) { w.deleteSecret("nawhas-source") },
			cure:   func(w *world) { w.secret("nawhas-source", postgres.URLAs(w.source, "secret", w.sourceDatabase)) },
			reason: v1alpha1.ReasonSecretMissing, message: `create it with key "url"`,
		},
		"a key that is missing": {
			cause: func(w *world) {
				w.deleteSecret("nawhas-databases")
				w.must(cluster.Create(w.t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "nawhas-databases"}}))
			},
			cure:   func(w *world) { w.secret("nawhas-databases", postgres.URLAs(w.databases, "secret", "postgres")) },
			reason: v1alpha1.ReasonSecretMissing, message: `has no key "url" (spec.databases.connection.secretKeyRef); add it`,
		},
		"no connection URL": {
			cause:  func(w *world) { w.secret("nawhas-source", "host=db password=hunter2") },
			cure:   func(w *world) { w.secret("nawhas-source", postgres.URLAs(w.source, "secret", w.sourceDatabase)) },
			reason: v1alpha1.ReasonConnectionInvalid, message: "postgres://user:password@host:port/database",
		},
		"a server that does not answer": {
			cause: func(w *world) {
				w.secret("nawhas-source", "postgres://"+w.source+":secret@127.0.0.1:1/"+w.sourceDatabase+"?sslmode=disable")
			},
			cure:   func(w *world) { w.secret("nawhas-source", postgres.URLAs(w.source, "secret", w.sourceDatabase)) },
			reason: v1alpha1.ReasonUnreachable, message: "the source at 127.0.0.1:1 cannot be reached",
		},
		"a wrong password": {
			cause:  func(w *world) { w.secret("nawhas-databases", postgres.URLAs(w.databases, "hunter2", "postgres")) },
			cure:   func(w *world) { w.secret("nawhas-databases", postgres.URLAs(w.databases, "secret", "postgres")) },
			reason: v1alpha1.ReasonWrongCredentials, message: "correct the user and password in the Secret",
		},
		"a database that does not exist": {
			cause:  func(w *world) { w.secret("nawhas-source", postgres.URLAs(w.source, "secret", "nowhere")) },
			cure:   func(w *world) { w.secret("nawhas-source", postgres.URLAs(w.source, "secret", w.sourceDatabase)) },
			reason: v1alpha1.ReasonConnectionInvalid, message: "correct the database in the Secret",
		},
		"an account that may not create databases": {
			cause:  func(w *world) { w.super("ALTER ROLE %s NOCREATEDB", w.databases) },
			cure:   func(w *world) { w.super("ALTER ROLE %s CREATEDB", w.databases) },
			reason: v1alpha1.ReasonMissingRights, message: `CREATEDB;`,
		},
		"an account that may not create roles": {
			cause:  func(w *world) { w.super("ALTER ROLE %s NOCREATEROLE", w.source) },
			cure:   func(w *world) { w.super("ALTER ROLE %s CREATEROLE", w.source) },
			reason: v1alpha1.ReasonMissingRights, message: `CREATEROLE;`,
		},
		"an account that may not make the ledger": {
			cause: func(w *world) {
				w.super("ALTER DATABASE %s OWNER TO postgres", w.sourceDatabase)
				w.super("GRANT CONNECT ON DATABASE %s TO "+w.source+" WITH GRANT OPTION", w.sourceDatabase)
			},
			cure:   func(w *world) { w.super("GRANT CREATE ON DATABASE %s TO "+w.source, w.sourceDatabase) },
			reason: v1alpha1.ReasonMissingRights, message: "GRANT CREATE ON DATABASE",
		},
		"a log of another owner": {
			cause: func(w *world) {
				postgres.Exec(w.t, w.sourceDatabase, "ALTER TABLE events OWNER TO postgres", "GRANT ALL ON events TO "+w.source, "GRANT ALL ON SEQUENCE events_position_seq TO "+w.source)
			},
			cure:   func(w *world) { postgres.Exec(w.t, w.sourceDatabase, "ALTER TABLE events OWNER TO "+w.source) },
			reason: v1alpha1.ReasonMissingRights, message: "ALTER TABLE",
		},
		"no log": {
			cause:  func(w *world) { postgres.Exec(w.t, w.sourceDatabase, "ALTER TABLE events RENAME TO hidden") },
			cure:   func(w *world) { postgres.Exec(w.t, w.sourceDatabase, "ALTER TABLE hidden RENAME TO events") },
			reason: v1alpha1.ReasonLogUnsuitable, message: "nawhas source init",
		},
		"a log of another shape": {
			cause: func(w *world) {
				postgres.Exec(w.t, w.sourceDatabase, "ALTER TABLE events RENAME COLUMN payload TO body")
			},
			cure: func(w *world) {
				postgres.Exec(w.t, w.sourceDatabase, "ALTER TABLE events RENAME COLUMN body TO payload")
			},
			reason: v1alpha1.ReasonLogUnsuitable, message: "payload",
		},
		"a foreign database of that name": {
			cause:  func(w *world) { w.super("CREATE DATABASE %s", w.prefix+"3_1_2") },
			cure:   func(w *world) { w.super("DROP DATABASE %s", w.prefix+"3_1_2") },
			reason: v1alpha1.ReasonForeignDatabase, message: "it is left as it is",
		},
		"a foreign role of that name": {
			cause:  func(w *world) { w.super("CREATE ROLE %s", w.prefix+"3_1_2_app") },
			cure:   func(w *world) { w.super("DROP ROLE %s", w.prefix+"3_1_2_app") },
			reason: v1alpha1.ReasonForeignDatabase, message: "it is left as it is",
		},
		"a foreign Service of that name": {
			cause: func(w *world) {
				w.must(cluster.Create(w.t.Context(), aForeignService(w.namespace)))
			},
			cure:   func(w *world) { w.must(cluster.Delete(w.t.Context(), aForeignService(w.namespace))) },
			reason: v1alpha1.ReasonForeignObject, message: "it is left as it is",
		},
		"an image that cannot be pulled": {
			cause:  func(w *world) { w.kubelet.missing = "ghcr.io/nawhas/api:3.1.2" },
			cure:   func(w *world) { w.update(func(r *v1alpha1.NawhasRelease) { r.Spec.Image.Tag = "3.1.2-fixed" }) },
			reason: v1alpha1.ReasonImageUnavailable, message: "correct spec.image",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			trouble.cause(w)
			w.newRelease()

			release := w.until("told", func(r *v1alpha1.NawhasRelease) bool {
				return conditionOf(r, v1alpha1.ConditionStalled).Reason == trouble.reason
			})

			ready := conditionOf(release, v1alpha1.ConditionReady)
			if !strings.Contains(ready.Message, trouble.message) {
				t.Errorf("the message does not say what to do: %s", ready.Message)
			}
			if told := w.told(); strings.Contains(told, "hunter2") || strings.Contains(told, ":secret@") {
				t.Errorf("a password is in the status:\n%s", told)
			}
			trouble.cure(w)
			w.until("live", isLive("3.1.2"))
		})
	}
}

// The same causes, when they come while a version is live, leave it alone.
func TestTroubleLeavesTheLiveVersionAlone(t *testing.T) {
	w := newWorld(t)
	w.newRelease()
	w.until("live", isLive("3.1.2"))

	w.deleteSecret("nawhas-databases")
	release := w.until("told", func(r *v1alpha1.NawhasRelease) bool {
		return conditionOf(r, v1alpha1.ConditionDatabaseReady).Reason == v1alpha1.ReasonSecretMissing
	})

	if !isTrue(release, v1alpha1.ConditionReady) || !isTrue(release, v1alpha1.ConditionAvailable) || release.Status.Live != "3.1.2" {
		t.Errorf("the live version is no longer told of:\n%s", w.told())
	}
	if got := w.selected("nawhas-api"); got != "3.1.2" {
		t.Errorf("the Service leads to %q", got)
	}
}

func (w *world) super(statement, name string) {
	w.t.Helper()
	postgres.Exec(w.t, "postgres", fmt.Sprintf(statement, name))
}

func (w *world) deleteSecret(name string) {
	w.t.Helper()
	w.must(cluster.Delete(w.t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name}}))
}

func aForeignService(namespace string) *corev1.Service {
	return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "nawhas-api"},
		Spec: corev1.ServiceSpec{Selector: map[string]string{"app": "legacy"}, Ports: []corev1.ServicePort{{Port: 80}}}}
}
