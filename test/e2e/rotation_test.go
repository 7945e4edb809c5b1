//go:build e2e

package e2e

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/hack/load"
)

// The Secrets of the live version are deleted while people read and write: each
// pod is replaced by one with a new password, nobody notices, and in the end the
// old passwords are good for nothing. Only the follower's takes its place first,
// so that who reads what was just written may be asked to come again.
func TestNobodyNoticesNewPasswords(t *testing.T) {
	w := newSwitchingWorld(t, 2_000)
	for _, side := range []string{"app", "owner"} {
		old := w.login(first, side)
		if !w.admits(old) {
			t.Fatal("the test cannot connect as a pod does")
		}
		running := w.loadOf(load.Options{Readers: 10, ReadRate: 12, Writers: 10, WriteRate: 8, Patience: time.Minute})
		time.Sleep(time.Second) // lets the load reach the pods that are replaced
		if err := shared.Delete(t.Context(), w.secret(first, side)); err != nil {
			t.Fatal(err)
		}
		w.until("rid of the old password", func(*v1alpha1.NawhasRelease) bool { return !w.admits(old) })
		w.untilFenced(first)
		time.Sleep(time.Second) // and those that were made
		if !w.admits(w.login(first, side)) {
			t.Error("the new password is not good")
		}
		noticed := running.Stop()
		unexpected := slices.DeleteFunc(slices.Clone(noticed.Failures), func(f load.Failure) bool {
			return side == "owner" && f.Refused && strings.HasPrefix(f.What, "GET ")
		})
		if len(unexpected) > 0 || noticed.Stale > 0 {
			t.Errorf("%s: of %d requests %d failed, and %d own writes were not seen:\n%s", side, noticed.Requests, len(unexpected), noticed.Stale, told(unexpected))
		}
		found := w.auditAll(running)
		t.Logf("%s: %d requests, %d of them asked to come again, %d acknowledged writes", side, noticed.Requests, len(noticed.Failures), found.Acknowledged)
	}
}

// secret is what pods of a version connect with.
func (w *world) secret(version, side string) *corev1.Secret {
	w.t.Helper()
	secret := &corev1.Secret{}
	name := "nawhas-" + strings.ReplaceAll(version, ".", "-") + "-" + side
	if err := shared.Get(w.t.Context(), client.ObjectKey{Namespace: w.Namespace, Name: name}, secret); err != nil {
		w.t.Fatal(err)
	}
	return secret
}

// login is how they do it.
func (w *world) login(version, side string) *url.Userinfo {
	w.t.Helper()
	data := w.secret(version, side).Data
	return url.UserPassword(string(data["NAWHAS_DATABASE_USER"]), string(data["NAWHAS_DATABASE_PASSWORD"]))
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
