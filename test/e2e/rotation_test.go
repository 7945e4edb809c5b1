//go:build e2e

package e2e

import (
	"context"
	"net/url"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/hack/load"
)

// All Secrets of the live version are deleted while people read and write: each
// pod is replaced by one with a new password, nobody notices, and in the end the
// old passwords are good for nothing.
func TestNobodyNoticesNewPasswords(t *testing.T) {
	t.Parallel()
	w := newSwitchingWorld(t, 2_000)
	before := w.passwords(first)
	for _, login := range before {
		if !w.admits(login) {
			t.Fatal("the test cannot connect as a pod does")
		}
	}
	running := w.loadOf(load.Options{Readers: 10, ReadRate: 12, Writers: 10, WriteRate: 8})
	time.Sleep(time.Second) // lets the load reach the pods that are replaced

	if err := shared.DeleteAllOf(t.Context(), &corev1.Secret{}, client.InNamespace(w.Namespace), client.MatchingLabels{v1alpha1.LabelVersion: first}); err != nil {
		t.Fatal(err)
	}
	w.until("rid of the old passwords", func(*v1alpha1.NawhasRelease) bool {
		for _, login := range before {
			if w.admits(login) {
				return false
			}
		}
		return true
	})
	w.untilFenced(first)
	time.Sleep(time.Second) // and those that were made

	after := w.passwords(first)
	if len(after) != len(before) {
		t.Fatalf("there were %d Secrets, and are %d", len(before), len(after))
	}
	for _, login := range after {
		if !w.admits(login) {
			t.Error("a new password is not good")
		}
	}
	w.stop(running)
}

// passwords are what pods of a version connect to its database with.
func (w *world) passwords(version string) []*url.Userinfo {
	w.t.Helper()
	var secrets corev1.SecretList
	if err := shared.List(w.t.Context(), &secrets, client.InNamespace(w.Namespace), client.MatchingLabels{v1alpha1.LabelVersion: version}); err != nil {
		w.t.Fatal(err)
	}
	var logins []*url.Userinfo
	for i := range secrets.Items {
		data := secrets.Items[i].Data
		logins = append(logins, url.UserPassword(string(data["NAWHAS_DATABASE_USER"]), string(data["NAWHAS_DATABASE_PASSWORD"])))
	}
	return logins
}

// admits tells whether Postgres lets one in to the first version's database.
func (w *world) admits(login *url.Userinfo) bool {
	w.t.Helper()
	u, err := url.Parse(w.at(w.Prefix + "3_1_2"))
	if err != nil {
		w.t.Fatal("a connection string is not a URL")
	}
	u.User = login
	conn, err := pgx.Connect(w.t.Context(), u.String())
	if err != nil {
		return false
	}
	_ = conn.Close(context.WithoutCancel(w.t.Context()))
	return true
}
