package release

import (
	"fmt"
	"testing"
	"time"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

// What a hand changed where no poller can see it is put back with the next change
// of the release, when it is looked at in full, and while something is in trouble:
// for each version that is kept.
func TestWhatNobodySeesIsPutBackInTime(t *testing.T) {
	for what, c := range map[string]struct{ before, then func(w *world) }{
		"the release changes": {func(*world) {}, func(w *world) {
			w.update(func(r *v1alpha1.NawhasRelease) { r.Spec.Replay.MaxEventsPerSecond = 5 })
		}},
		"it is looked at in full": {func(*world) {}, func(w *world) { w.kubelet.wait(w.reconciler.settings.Recheck) }},
		"followers are behind": {
			func(w *world) {
				w.kubelet.behind = 150
				w.must(w.kubelet.append("3.2.0", 200))
				w.settle()
			},
			func(w *world) { w.kubelet.wait(troubledPause) },
		},
	} {
		t.Run(what, func(t *testing.T) {
			w := twoVersions(t)
			w.kubelet.wait(5 * time.Minute) // what went live is no longer watched
			w.settle()
			c.before(w)
			for _, version := range []string{"3_1_2", "3_2_0"} {
				w.spoil(w.prefix + version)
			}
			c.then(w)

			_, err := w.pass()

			w.must(err)
			for _, version := range []string{"3.1.2", "3.2.0"} {
				w.worksWithItsSecrets(version)
			}
		})
	}
}

// While nothing changes and nothing is in trouble, no server is asked.
func TestWhatWasMadeSureOfIsNotLookedAtAgain(t *testing.T) {
	w := twoVersions(t)
	w.kubelet.wait(5 * time.Minute)
	w.settle()
	before := w.equipments()
	w.kubelet.wait(time.Hour)

	w.settle()

	if after := w.equipments(); after != before {
		t.Errorf("made sure of again:\n%s\n%s", before, after)
	}
}

func (w *world) equipments() string {
	text := ""
	w.reconciler.equipped.Range(func(version, known any) bool {
		if e, ok := known.(equipment); ok {
			text += fmt.Sprintln(version, e.at)
		}
		return true
	})
	return text
}

// spoil changes the passwords and takes the rights of a version's roles where no
// catalog that others may read tells it.
func (w *world) spoil(database string) {
	w.t.Helper()
	owner, app := database+"_owner", database+"_app"
	w.super("ALTER ROLE %s PASSWORD 'by hand'", owner)
	w.super("ALTER ROLE %s VALID UNTIL '2001-01-01'", app)
	postgres.Exec(w.t, database, "REVOKE ALL ON ALL TABLES IN SCHEMA public FROM "+app,
		"REVOKE ALL ON SCHEMA public FROM "+app+", "+owner)
}

// worksWithItsSecrets uses what the pods and the follower of a version are given.
func (w *world) worksWithItsSecrets(version string) {
	w.t.Helper()
	for side, statement := range map[string]string{appSide: "SELECT count(*) FROM reciters", ownerSide: "CREATE TABLE made_by_hand ()"} {
		secret := w.secretOf(version, side)
		source, err := w.tryConnect(string(secret.Data["NAWHAS_SOURCE_URL"]))
		if err == nil {
			_, err = source.Exec(w.t.Context(), "SELECT count(*) FROM events")
		}
		if err != nil {
			w.t.Errorf("%s of %s: %v", side, version, err)
			continue
		}
		database, err := w.tryConnect(string(secret.Data["NAWHAS_DATABASE_URL"]))
		if err == nil {
			_, err = database.Exec(w.t.Context(), statement)
		}
		if err != nil {
			w.t.Errorf("%s of %s: %v", side, version, err)
		}
	}
}
