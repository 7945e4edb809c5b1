package release

import (
	"os"
	"strings"
	"testing"

	"k8s.io/utils/ptr"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/eventlog"
)

// appendStored is what spatie/laravel-event-sourcing inserts, and completes.
const appendStored = `WITH stored AS (INSERT INTO stored_events (event_properties, aggregate_uuid, aggregate_version, event_version, event_class, meta_data, created_at)
	VALUES ('{"id":"a8afb8ca-b9c9-11ea-aa22-3a3d4d50f449"}', NULL, NULL, 1, 'reciter.deleted', '{"created-at":"2024-04-06 12:00:00"}', '2024-04-06 12:00:00') RETURNING id)
	SELECT id FROM stored`

// withStoredEvents is a world whose application keeps its log as
// spatie/laravel-event-sourcing does.
func withStoredEvents(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	definition, err := os.ReadFile("../../internal/eventlog/testdata/stored_events.sql")
	w.must(err)
	owner := w.connect(w.source, "secret", w.sourceDatabase)
	_, err = owner.Exec(t.Context(), "DROP TABLE events; "+string(definition))
	w.must(err)
	w.log, w.appends = eventlog.New(eventlog.SpatieStoredEvents()), appendStored
	return w
}

func storedEvents(r *v1alpha1.NawhasRelease) {
	r.Spec.Source.Log = v1alpha1.LogSpec{Preset: v1alpha1.LogSpatieStoredEvents}
}

func TestAReleaseOnALogOfStoredEvents(t *testing.T) {
	w := withStoredEvents(t)
	w.newRelease(storedEvents)
	w.until("live", isLive("3.1.2"))
	w.must(w.kubelet.append("3.1.2", 3))
	conn := w.kubelet.dial(w.workload("3.1.2").Spec.Template, "NAWHAS_SOURCE_URL")
	_, err := conn.Exec(t.Context(), "UPDATE stored_events SET meta_data = '[]' WHERE id = 1")
	w.must(err)

	w.release("3.2.0")
	release := w.until("live", isLive("3.2.0"))

	w.must(w.kubelet.append("3.2.0", 1))
	if err := w.kubelet.append("3.1.2", 1); err == nil {
		t.Error("a fenced version appends")
	}
	if !isTrue(release, v1alpha1.ConditionRollbackReady) {
		t.Errorf("it cannot go back:\n%s", w.told())
	}
	read, err := eventlog.ParseTable([]byte(w.kubelet.variable(w.workload("3.2.0").Spec.Template, "NAWHAS_LOG")))
	if err != nil || eventlog.New(read).Rows() != w.log.Rows() {
		t.Errorf("the pods are told of %+v, %v", read, err)
	}
	w.release("3.1.2")
	w.until("live again", isLive("3.1.2"))
	w.must(w.kubelet.append("3.1.2", 1))
}

func TestTheDefaultLogIsNotTold(t *testing.T) {
	w := newWorld(t)
	w.newRelease()
	w.until("live", isLive("3.1.2"))
	if told := w.kubelet.variable(w.workload("3.1.2").Spec.Template, "NAWHAS_LOG"); told != "" {
		t.Errorf("pods are told of a log that is the default: %s", told)
	}
}

func TestADescriptionThatDoesNotFitIsToldAndCorrected(t *testing.T) {
	w := withStoredEvents(t)
	w.newRelease(storedEvents, func(r *v1alpha1.NawhasRelease) {
		r.Spec.Source.Log.Columns = &v1alpha1.LogColumns{Position: "id", Name: "event_klass", Version: "event_version", Payload: "event_properties", RecordedAt: "created_at"}
	})
	release := w.until("told", func(r *v1alpha1.NawhasRelease) bool {
		return conditionOf(r, v1alpha1.ConditionStalled).Reason == v1alpha1.ReasonLogUnsuitable
	})
	if message := conditionOf(release, v1alpha1.ConditionDatabaseReady).Message; !strings.Contains(message, `no column "event_klass"`) || !strings.Contains(message, "spec.source.log") {
		t.Errorf("it says %s", message)
	}
	w.update(func(r *v1alpha1.NawhasRelease) { r.Spec.Source.Log.Columns = nil })
	w.until("live", isLive("3.1.2"))
}

func TestWhatAnAppendIsMayBeCorrectedWhileAVersionIsLive(t *testing.T) {
	w := withStoredEvents(t)
	postgres.Exec(t, w.sourceDatabase, "ALTER TABLE stored_events ADD COLUMN tenant text")
	w.newRelease(storedEvents)
	w.until("live", isLive("3.1.2"))
	w.appends = strings.Replace(appendStored, "INSERT INTO stored_events (", "INSERT INTO stored_events (tenant, ", 1)
	w.appends = strings.Replace(w.appends, "VALUES (", "VALUES ('one', ", 1)
	if err := w.kubelet.append("3.1.2", 1); err == nil {
		t.Fatal("a version writes what nobody described")
	}
	w.update(func(r *v1alpha1.NawhasRelease) {
		known := eventlog.SpatieStoredEvents()
		r.Spec.Source.Log.Appending = &v1alpha1.LogAppending{Insert: append(known.Inserted, "tenant"), Update: known.Updated}
	})
	w.until("able to", func(*v1alpha1.NawhasRelease) bool { return w.kubelet.append("3.1.2", 1) == nil })
}

// Positions of one log mean nothing in another.
func TestADatabaseStaysWithTheLogThatItWasBuiltFrom(t *testing.T) {
	w := withStoredEvents(t)
	w.newRelease(storedEvents)
	w.until("live", isLive("3.1.2"))
	postgres.Exec(t, w.sourceDatabase, "CREATE TABLE other_events (LIKE stored_events INCLUDING ALL)", "CREATE SEQUENCE other_id OWNED BY other_events.id",
		"ALTER TABLE other_events ALTER COLUMN id SET DEFAULT nextval('other_id')", "ALTER TABLE other_events OWNER TO "+w.source)

	w.update(func(r *v1alpha1.NawhasRelease) { r.Spec.Source.Log.Table = "other_events"; r.Spec.Retry++ })
	release := w.until("told", func(r *v1alpha1.NawhasRelease) bool {
		return conditionOf(r, v1alpha1.ConditionDatabaseReady).Reason == v1alpha1.ReasonLogChanged
	})

	if release.Status.Live != "3.1.2" || !isTrue(release, v1alpha1.ConditionAvailable) || !strings.Contains(conditionOf(release, v1alpha1.ConditionDatabaseReady).Message, `built from the log "public"."stored_events"`) {
		t.Errorf("it says\n%s", w.told())
	}
	w.update(func(r *v1alpha1.NawhasRelease) { r.Spec.Source.Log.Table = "" })
	w.until("content", isLive("3.1.2"))
}

func TestWhatIsSetTakesThePlaceOfThePreset(t *testing.T) {
	if got := tableOf(v1alpha1.LogSpec{}); !got.IsDefault() {
		t.Errorf("nothing set is %+v", got)
	}
	got := tableOf(v1alpha1.LogSpec{Preset: v1alpha1.LogSpatieStoredEvents, Schema: "app", TimeZone: "Europe/Berlin",
		Appending: ptr.To(v1alpha1.LogAppending{Insert: []string{"meta_data"}})})
	if got.Schema != "app" || got.Name != "stored_events" || got.Position != "id" || got.ID != "" || got.TimeZone != "Europe/Berlin" || len(got.Inserted) != 1 || got.Updated != nil {
		t.Errorf("got %+v", got)
	}
}
