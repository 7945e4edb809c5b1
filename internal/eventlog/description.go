package eventlog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/google/uuid"
)

// Table describes where an application keeps its log: the table, the names of
// its columns, and what the application writes into it beyond them. Its JSON is
// what programs are told of a log that is not the default one.
type Table struct {
	Schema   string `json:"schema"`
	Name     string `json:"table"`
	Position string `json:"position"`
	// ID names the column of the events' ids. A log without one leaves it empty:
	// an event's id is then made of its position and what it says, so that another
	// event at the same position has another id.
	ID        string `json:"id,omitempty"`
	EventName string `json:"name"`
	// Version names the column of the events' versions. Without one all events are
	// of version 1.
	Version    string `json:"version,omitempty"`
	Payload    string `json:"payload"`
	RecordedAt string `json:"recordedAt"`
	// TimeZone is the zone in which RecordedAt is, when that column has none.
	TimeZone string `json:"timeZone,omitempty"`
	// Inserted are the columns that an appender writes beside those above but for
	// the position, Updated those that it changes afterwards. They must mean
	// nothing to those who read the log.
	Inserted []string `json:"inserted,omitempty"`
	Updated  []string `json:"updated,omitempty"`
}

// DefaultTable is the log that [Log.Init] creates.
func DefaultTable() Table {
	return Table{Schema: "public", Name: "events", Position: "position", ID: "id", EventName: "name",
		Version: "version", Payload: "payload", RecordedAt: "recorded_at"}
}

// SpatieStoredEvents is the log of spatie/laravel-event-sourcing, from the
// version on that has event_version: a row is inserted, and its own id written
// into meta_data after that.
func SpatieStoredEvents() Table {
	return Table{Schema: "public", Name: "stored_events", Position: "id", EventName: "event_class",
		Version: "event_version", Payload: "event_properties", RecordedAt: "created_at", TimeZone: "UTC",
		Inserted: []string{"aggregate_uuid", "aggregate_version", "meta_data", "created_at"}, Updated: []string{"meta_data"}}
}

// IsDefault reports whether the log is the one that [Log.Init] creates.
func (t Table) IsDefault() bool { return reflect.DeepEqual(t, DefaultTable()) }

// Place is the table and the column that orders it: logs of one place have the
// same positions.
func (t Table) Place() string { return quote(t.Schema, t.Name) + "." + quote(t.Position) }

// ParseTable reads a description as its JSON tells it.
func ParseTable(text []byte) (Table, error) {
	var t Table
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&t); err != nil {
		return Table{}, fmt.Errorf("read the description of the log: %w", err)
	}
	for _, needed := range []string{t.Schema, t.Name, t.Position, t.EventName, t.Payload, t.RecordedAt} {
		if needed == "" {
			return Table{}, errors.New("the description of the log must name schema, table, position, name, payload and recordedAt")
		}
	}
	return t, nil
}

// Rows is the log as a relation for queries, whatever its columns are called:
// position, id, name, version, payload and recorded_at, as in the default table.
func (l *Log) Rows() string {
	t := l.table
	payload := quote(t.Payload)
	if !t.IsDefault() {
		payload += "::jsonb"
	}
	return fmt.Sprintf("(SELECT %s AS position, %s AS id, %s AS name, %s AS version, %s AS payload, %s AS recorded_at FROM %s)",
		quote(t.Position), t.idExpression(), quote(t.EventName), t.versionExpression(), payload, t.timeExpression(), l.sql.relation)
}

// Between is the condition, in SQL, that an event lies after one position and up
// to and with another, and is not among those to skip.
func (l *Log) Between(from, until int64, skip []uuid.UUID) string {
	condition := fmt.Sprintf("%[1]s > %[2]d AND %[1]s <= %[3]d", quote(l.table.Position), from, until)
	if len(skip) == 0 {
		return condition
	}
	ids := make([]string, len(skip))
	for i, id := range skip {
		ids[i] = literal(id.String())
	}
	return fmt.Sprintf("%s AND %s NOT IN (%s)", condition, l.table.idExpression(), strings.Join(ids, ", "))
}

// Relation is the log's table, quoted.
func (l *Log) Relation() string { return l.sql.relation }

// idExpression is an event's id. Where there is none it is made of what the
// event says, in a text that no setting of a session changes.
func (t Table) idExpression() string {
	if t.ID != "" {
		return quote(t.ID)
	}
	return fmt.Sprintf(`md5(concat_ws(E'\n', %s, %s, %s, extract(epoch FROM %s), %s))::uuid`,
		quote(t.Position), quote(t.EventName), t.versionExpression(), quote(t.RecordedAt), quote(t.Payload))
}

func (t Table) versionExpression() string {
	if t.Version == "" {
		return "1::smallint"
	}
	return quote(t.Version) + "::smallint"
}

func (t Table) timeExpression() string {
	if t.TimeZone == "" {
		return quote(t.RecordedAt)
	}
	return fmt.Sprintf("(%s AT TIME ZONE %s)", quote(t.RecordedAt), literal(t.TimeZone))
}

// appended are the columns that an appender writes: neither the position nor,
// unless the application sets it, the time.
func (t Table) appended() []string {
	var columns []string
	for _, column := range append([]string{t.ID, t.EventName, t.Payload, t.Version}, t.Inserted...) {
		if column != "" && !slices.Contains(columns, column) {
			columns = append(columns, column)
		}
	}
	return columns
}
