package release

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/eventlog"
	"github.com/nawhas/nawhas-operator/internal/ledger"
)

func TestALagIsWorthALookWhenItCrossesWhatIsAllowed(t *testing.T) {
	for name, c := range map[string]struct {
		told, lag, allowed int64
		since              time.Duration
		want               bool
	}{
		"nothing changed":              {0, 0, 100, time.Hour, false},
		"a little, just told":          {0, 3, 100, time.Second, false},
		"a little, told long ago":      {0, 3, 100, time.Hour, true},
		"none again, told long ago":    {3, 0, 100, time.Hour, true},
		"above what is allowed":        {3, 101, 100, 0, true},
		"back within what is allowed":  {101, 100, 100, 0, true},
		"above none allowed":           {0, 1, 0, 0, true},
		"a bit more of much":           {1000, 1020, 100, time.Hour, false},
		"much more of much, just told": {1000, 5000, 100, time.Second, false},
		"much more of much":            {1000, 5000, 100, time.Hour, true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := worthALook(c.told, c.lag, c.allowed, c.since); got != c.want {
				t.Errorf("told %d, now %d of %d allowed, after %s: %t", c.told, c.lag, c.allowed, c.since, got)
			}
		})
	}
}

func TestWhatALedgerSaysChangesItsFingerprint(t *testing.T) {
	one := ledger.Glance{Version: "3.1.2", Role: ledger.Live, Stage: replayComplete, Position: 7}
	two := ledger.Glance{Version: "3.2.0", Role: ledger.Candidate}
	base := fingerprint([]ledger.Glance{one, two})
	if moved := one; fingerprint([]ledger.Glance{two, moved}) != base {
		t.Error("the order of versions changes it")
	}
	for what, change := range map[string]func(*ledger.Glance){
		"a role":    func(g *ledger.Glance) { g.Role = ledger.Warm },
		"a stage":   func(g *ledger.Glance) { g.Stage = "replay" },
		"an audit":  func(g *ledger.Glance) { g.AuditFailed = true },
		"a problem": func(g *ledger.Glance) { g.Problem = &ledger.Problem{Position: 3} },
		"a version": func(g *ledger.Glance) { g.Version = "3.1.3" },
	} {
		changed := one
		change(&changed)
		if fingerprint([]ledger.Glance{changed, two}) == base {
			t.Errorf("%s does not change it", what)
		}
	}
	one.Position = 8
	if fingerprint([]ledger.Glance{one, two}) != base {
		t.Error("a position changes it")
	}
}

func TestRightsOfAReleaseAreItsOwnAndThoseOfStrangers(t *testing.T) {
	grant := func(role, grantee string) eventlog.Writer {
		return eventlog.Writer{Role: role, Through: []eventlog.Grant{{Grantee: grantee, Grantor: "operator"}}}
	}
	writers := func(granted ...eventlog.Writer) eventlog.Writers {
		return eventlog.Writers{Granted: granted, Owners: []string{"operator"}, Superusers: []string{"postgres"}}
	}
	own, neighbours, operators := []string{"a_app"}, []string{"b_app"}, []string{"operator"}
	base := rightsOf(writers(grant("a_app", "a_app")), own, neighbours, operators)
	for what, c := range map[string]struct {
		writers eventlog.Writers
		same    bool
	}{
		"a neighbour's right":           {writers(grant("a_app", "a_app"), grant("b_app", "b_app")), true},
		"a neighbour's member":          {writers(grant("a_app", "a_app"), grant("someone", "b_app")), true},
		"the operator as a member":      {writers(grant("a_app", "a_app"), grant("operator", "a_app")), true},
		"its own right taken":           {writers(), false},
		"a stranger":                    {writers(grant("a_app", "a_app"), grant("someone", "someone")), false},
		"a stranger as a member of it":  {writers(grant("a_app", "a_app"), grant("someone", "a_app")), false},
		"another superuser than before": {eventlog.Writers{Granted: writers(grant("a_app", "a_app")).Granted, Owners: []string{"operator"}}, false},
	} {
		if same := rightsOf(c.writers, own, neighbours, operators) == base; same != c.same {
			t.Errorf("%s: the same is %t", what, same)
		}
	}
}

// A release that projects its own writes alone is woken when another release's
// version may append, and others are not.
func TestWhoAppendsAlone(t *testing.T) {
	neighbour := eventlog.Writers{Granted: []eventlog.Writer{{Role: "b_app", Through: []eventlog.Grant{{Grantee: "b_app", Grantor: "operator"}}}}}
	survey := ledger.Survey{Versions: []ledger.Glance{{AppRole: "a_app"}, {AppRole: "b_app"}}}
	for _, alone := range []bool{false, true} {
		last := seen{own: []string{"a_app"}, alone: alone, rights: rightsOf(eventlog.Writers{}, []string{"a_app"}, nil, nil)}
		if others := last.othersAppend(neighbour, survey); others != alone {
			t.Errorf("alone: %t, others append: %t", alone, others)
		}
	}
}

// queue is what the pollers wake releases with.
type queue struct {
	workqueue.TypedRateLimitingInterface[reconcile.Request]
	mu    sync.Mutex
	woken []string
}

func (q *queue) Add(request reconcile.Request) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.woken = append(q.woken, request.Name)
}

func (q *queue) take() []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	woken := q.woken
	q.woken = nil
	return woken
}

// turns has the pollers of a world look at its servers once each time that it
// is called: the timing is the test's.
func (w *world) turns() (look func(turn int) []string) {
	w.t.Helper()
	woken := &queue{}
	w.restart(cluster)
	w.reconciler.pollers.spawn = func(func()) {}
	w.must(w.reconciler.pollers.Start(w.t.Context(), woken))
	return func(turn int) []string {
		w.t.Helper()
		for _, p := range w.reconciler.pollers.running {
			p.turn = turn
			silent := p.server.silent()
			p.judge(p.look(w.t.Context()), silent)
			p.disconnect()
		}
		return woken.take()
	}
}

const ledgerTurn = 1

func (w *world) rests() bool {
	_, rests := w.reconciler.resting.get(w.request().NamespacedName)
	return rests
}

// rest lets a release come to rest: what went live is no longer watched.
func (w *world) rest() {
	w.t.Helper()
	w.kubelet.wait(5 * time.Minute)
	w.settle()
	if !w.rests() {
		w.t.Fatalf("the release does not rest:\n%s", w.told())
	}
}

func TestAReleaseAtRestIsWokenByWhatMatters(t *testing.T) {
	w := newWorld(t)
	look := w.turns()
	w.newRelease()
	w.until("live", isLive("3.1.2"))
	w.rest()
	stranger := w.prefix + "stranger"
	w.super("CREATE ROLE %s LOGIN", stranger)
	settled := func() {
		t.Helper()
		// What was undone is seen, too.
		w.settle()
		look(ledgerTurn)
		w.settle()
		look(rightsTurn)
		if woken := look(ledgerTurn); len(woken) > 0 || !w.rests() {
			t.Fatalf("woken for nothing: %v", woken)
		}
	}
	settled()
	for what, c := range map[string]struct {
		change, undo func()
		turns        []int
	}{
		"a right that was revoked": {
			change: func() { postgres.Exec(t, w.sourceDatabase, "REVOKE INSERT ON events FROM "+w.prefix+"3_1_2_app") },
			undo:   func() {}, turns: []int{rightsTurn, ledgerTurn},
		},
		"a stranger that can append": {
			change: func() { postgres.Exec(t, w.sourceDatabase, "GRANT INSERT ON events TO "+stranger) },
			undo:   func() { postgres.Exec(t, w.sourceDatabase, "REVOKE INSERT ON events FROM "+stranger) }, turns: []int{rightsTurn, ledgerTurn},
		},
		"a follower that cannot go on": {
			change: func() {
				w.kubelet.stuck = map[string]*ledger.Problem{"3.1.2": {Position: 1, Name: "ReciterCreated"}}
				w.kubelet.work()
			},
			undo: func() { w.kubelet.stuck = nil; w.kubelet.work() }, turns: []int{ledgerTurn},
		},
		"a database that is gone": {
			change: func() { w.super("ALTER DATABASE %s RENAME TO "+w.prefix+"away", w.prefix+"3_1_2") },
			undo:   func() { w.super("ALTER DATABASE %s RENAME TO "+w.prefix+"3_1_2", w.prefix+"away") }, turns: []int{databasesTurn},
		},
	} {
		t.Run(what, func(t *testing.T) {
			c.change()
			var woken []string
			for _, turn := range c.turns {
				woken = append(woken, look(turn)...)
			}
			if !slices.Contains(woken, "nawhas") {
				t.Errorf("nobody noticed")
			}
			c.undo()
			settled()
		})
	}
}

// What a hand takes away on a server is seen at the next look, and put back.
func TestWhatIsTakenAwayOnAServerIsPutBack(t *testing.T) {
	w := newWorld(t)
	look := w.turns()
	w.newRelease()
	w.until("live", isLive("3.1.2"))
	w.rest()
	app, owner, database := w.prefix+"3_1_2_app", w.prefix+"3_1_2_owner", w.prefix+"3_1_2"
	settled := func() {
		t.Helper()
		for range 3 {
			w.settle()
			look(ledgerTurn)
		}
		if woken := look(ledgerTurn); len(woken) > 0 || !w.rests() {
			t.Fatalf("woken for nothing: %v", woken)
		}
	}
	settled()
	source, inside := w.admin(w.sourceDatabase), w.admin(database)
	works := func() error {
		if err := w.kubelet.append("3.1.2", 1); err != nil {
			return err
		}
		for _, check := range []string{"has_table_privilege('" + app + "', 'events', 'SELECT')", "has_table_privilege('" + owner + "', 'events', 'SELECT')",
			"has_column_privilege('" + owner + "', 'nawhas_ledger.checkpoints', 'position', 'UPDATE')", "pg_has_role('" + w.source + "', '" + app + "', 'USAGE')",
			"has_database_privilege('" + app + "', '" + w.sourceDatabase + "', 'CONNECT')", "has_database_privilege('" + owner + "', '" + w.sourceDatabase + "', 'CONNECT')",
			"has_schema_privilege('" + owner + "', 'nawhas_ledger', 'USAGE')", "has_schema_privilege('" + app + "', 'public', 'USAGE')",
			"(SELECT rolcanlogin FROM pg_roles WHERE rolname = '" + owner + "')", "has_database_privilege('" + owner + "', '" + database + "', 'TEMPORARY')",
			"(SELECT rolconnlimit = -1 FROM pg_roles WHERE rolname = '" + app + "')", "has_database_privilege('" + app + "', '" + database + "', 'CONNECT')"} {
			var is bool
			if err := source.QueryRow(t.Context(), "SELECT "+check).Scan(&is); err != nil || !is {
				return fmt.Errorf("%s is not so: %w", check, err)
			}
		}
		var may bool
		return inside.QueryRow(t.Context(), "SELECT 1 / has_schema_privilege($1, 'public', 'USAGE')::int = 1", app).Scan(&may)
	}
	w.must(works())
	for what, change := range map[string]func(){
		"the right to append":        func() { postgres.Exec(t, w.sourceDatabase, "REVOKE INSERT ON events FROM "+app) },
		"the right to read the log":  func() { postgres.Exec(t, w.sourceDatabase, "REVOKE SELECT ON events FROM "+app+", "+owner) },
		"the right to report":        func() { postgres.Exec(t, w.sourceDatabase, "REVOKE UPDATE ON nawhas_ledger.checkpoints FROM "+owner) },
		"the way to report":          func() { postgres.Exec(t, w.sourceDatabase, "REVOKE USAGE ON SCHEMA nawhas_ledger FROM "+owner) },
		"the way to the source":      func() { w.super("REVOKE CONNECT ON DATABASE %s FROM "+app+", "+owner, w.sourceDatabase) },
		"everybody's way to the log": func() { postgres.Exec(t, w.sourceDatabase, "REVOKE USAGE ON SCHEMA public FROM PUBLIC") },
		"the right to log in":        func() { w.super("ALTER ROLE %s NOLOGIN", owner) },
		"temporary tables":           func() { w.super("REVOKE TEMPORARY ON DATABASE %s FROM "+owner, database) },
		"the operator's membership":  func() { w.super("REVOKE %s FROM "+w.source, app) },
		"the right to connect":       func() { w.super("REVOKE CONNECT ON DATABASE %s FROM "+app, database) },
		"the role of the pods":       func() { w.drop(app, w.sourceDatabase, database) },
		"a limit, which was not set": func() { w.super("ALTER ROLE %s CONNECTION LIMIT 1", app) },
	} {
		t.Run(what, func(t *testing.T) {
			change()

			if woken := look(ledgerTurn); !slices.Contains(woken, "nawhas") {
				t.Error("nobody noticed")
			}
			w.settle()

			if err := works(); err != nil {
				t.Error(err)
			}
			settled()
		})
	}
}

// drop removes a role with everything that it was granted.
func (w *world) drop(role string, databases ...string) {
	w.t.Helper()
	for _, database := range databases {
		postgres.Exec(w.t, database, "DROP OWNED BY "+role)
	}
	w.super("DROP ROLE %s", role)
}

func TestABusyLogWakesNobodyWhileFollowersKeepUp(t *testing.T) {
	w := newWorld(t)
	look := w.turns()
	w.newRelease()
	w.until("live", isLive("3.1.2"))
	w.rest()
	key := func(head int64, age time.Duration) {
		for _, p := range w.reconciler.pollers.running {
			p.noteHead(head, time.Now().Add(-age))
		}
	}
	w.must(w.kubelet.append("3.1.2", 200))

	// Nothing of it was there at the look before.
	key(0, 4*time.Second)
	if woken := look(ledgerTurn); len(woken) > 0 {
		t.Errorf("woken for events that have only just come: %v", woken)
	}
	// All of it was, and the follower has not reported.
	key(200, 4*time.Second)
	if woken := look(ledgerTurn); len(woken) == 0 {
		t.Error("a follower that does not keep up wakes nobody")
	}
	key(200, 4*time.Second)
	_, err := w.pass()
	w.must(err)
	if lag := w.get().Status.Lag; lag == nil || *lag != 200 {
		t.Errorf("the status tells a lag of %v", lag)
	}
}

func TestAReleaseAtRestIsAskedNothing(t *testing.T) {
	w := newWorld(t)
	w.newRelease()
	w.until("live", isLive("3.1.2"))
	w.rest()

	result, err := w.pass()

	w.must(err)
	if result.RequeueAfter < time.Hour {
		t.Errorf("looked at again after %s", result.RequeueAfter)
	}
	w.release("3.2.0")
	if result, err = w.pass(); err != nil || result.RequeueAfter > pollSlow {
		t.Errorf("while it is on its way it is looked at again after %s, %v", result.RequeueAfter, err)
	}
}

func TestAVersionThatIsKeptUntilThenIsLookedAtThen(t *testing.T) {
	w := newWorld(t)
	w.newRelease()
	w.until("live", isLive("3.1.2"))
	w.release("3.2.0")
	release := w.until("live", isLive("3.2.0"))
	w.rest()

	result, err := w.pass()

	w.must(err)
	if first := release.Spec.Rollback.KeepPodsFor; first == nil || result.RequeueAfter > first.Duration+time.Second {
		t.Errorf("looked at again after %s, although pods are kept for %v", result.RequeueAfter, first)
	}
}

func TestAServerThatDoesNotAnswerIsNotWaitedForAgain(t *testing.T) {
	w := newWorld(t)
	look := w.turns()
	w.newRelease()
	w.until("live", isLive("3.1.2"))
	for _, p := range w.reconciler.pollers.running {
		p.server.fellSilent(errNoAnswer)
	}

	result, err := w.pass()

	w.must(err)
	condition := conditionOf(w.get(), v1alpha1.ConditionDatabaseReady)
	if condition.Reason != v1alpha1.ReasonUnreachable || !strings.Contains(condition.Message, errNoAnswer.Error()) || result.RequeueAfter != pollSilent {
		t.Errorf("after %s; the release says\n%s", result.RequeueAfter, w.told())
	}
	if woken := look(ledgerTurn); !slices.Contains(woken, "nawhas") {
		t.Error("nobody said that the server answers again")
	}
	w.until("live again", isLive("3.1.2"))
}

func TestABusyServerIsNoTrouble(t *testing.T) {
	w := newWorld(t)
	w.newRelease()
	before := w.until("live", isLive("3.1.2"))
	var others []*server
	for _, s := range w.reconciler.servers.servers {
		for range s.places {
			w.must(s.enter(time.Now()))
			others = append(others, s)
		}
	}
	w.update(func(r *v1alpha1.NawhasRelease) { r.Spec.Version = "3.2.0" })

	result, err := w.pass()

	w.must(err)
	if after := w.get(); result.RequeueAfter != pollBusy || after.Status.ObservedGeneration != before.Status.ObservedGeneration {
		t.Errorf("after %s, the release says\n%s", result.RequeueAfter, w.told())
	}
	for _, s := range others {
		s.leave()
	}
	w.until("live", isLive("3.2.0"))
	for _, s := range w.reconciler.servers.servers {
		if s.passes != 0 {
			t.Errorf("%d passes never left a server", s.passes)
		}
	}
}

// mute gets no answer to statements that contain a text.
type mute struct{ text string }

func (m *mute) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	gone, cancel := context.WithTimeout(ctx, 0)
	defer cancel()
	if m.text != "" && strings.Contains(data.SQL, m.text) {
		return gone
	}
	return ctx
}

func (*mute) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func TestAServerThatStopsAnsweringLeavesTheStatusAlone(t *testing.T) {
	w := newWorld(t)
	server := &mute{}
	w.reconciler.Tracer = server
	w.newRelease()
	before := w.until("live", isLive("3.1.2")).Status
	for _, text := range []string{"nawhas_ledger.versions v LEFT JOIN", "max(\"position\")", "aclexplode", "SELECT datname"} {
		t.Run(text, func(t *testing.T) {
			server.text = text

			_, err := w.pass()

			w.must(err)
			after := w.get().Status
			if reason := conditionOf(w.get(), v1alpha1.ConditionDatabaseReady).Reason; reason != v1alpha1.ReasonUnreachable {
				t.Fatalf("the release says %q", reason)
			}
			if after.Live != before.Live || !reflect.DeepEqual(after.Versions, before.Versions) || !reflect.DeepEqual(after.Lag, before.Lag) {
				t.Errorf("what is known of the versions changed from\n%+v\nto\n%+v", before.Versions, after.Versions)
			}
			server.text = ""
			_, err = w.pass()
			w.must(err)
		})
	}
}

// A server that was silent and now refuses is not silent any more: passes tell
// what is wrong with it.
func TestAServerThatRefusesAnswers(t *testing.T) {
	w := newWorld(t)
	w.newRelease()
	w.until("live", isLive("3.1.2"))
	look := w.turns()
	w.rest()
	look(ledgerTurn)
	for _, p := range w.reconciler.pollers.running {
		p.server.fellSilent(errors.New("connection refused"))
		p.judge(&pgconn.PgError{Code: "28P01", Message: "password authentication failed"}, p.server.silent())
		if p.server.silent() {
			t.Errorf("%s is still taken for silent", p.server.address())
		}
	}
	if woken := look(ledgerTurn); len(woken) == 0 {
		t.Error("nobody is woken")
	}
}
