package release

import (
	"encoding/json"

	corev1 "k8s.io/api/core/v1"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/eventlog"
)

// logVariable describes to a version's programs a log that is not the default
// one.
const logVariable = "NAWHAS_LOG"

// tableOf is the log as the spec describes it: what the preset says, but for
// what is set.
func tableOf(spec v1alpha1.LogSpec) eventlog.Table {
	table := eventlog.DefaultTable()
	if spec.Preset == v1alpha1.LogSpatieStoredEvents {
		table = eventlog.SpatieStoredEvents()
	}
	table.Schema, table.Name = firstOf(spec.Schema, table.Schema), firstOf(spec.Table, table.Name)
	if c := spec.Columns; c != nil {
		table.Position, table.ID, table.EventName = c.Position, c.ID, c.Name
		table.Version, table.Payload, table.RecordedAt = c.Version, c.Payload, c.RecordedAt
	}
	table.TimeZone = firstOf(spec.TimeZone, table.TimeZone)
	if a := spec.Appending; a != nil {
		table.Inserted, table.Updated = a.Insert, a.Update
	}
	return table
}

// describeLog writes a log down for programs, empty for the default one.
func describeLog(table eventlog.Table) string {
	if table.IsDefault() {
		return ""
	}
	text, _ := json.Marshal(table) // strings only
	return string(text)
}

// described is the variable that tells of the log, none for the default one.
func (s *scope) described() []corev1.EnvVar {
	text := describeLog(s.log.Table())
	if text == "" {
		return nil
	}
	return []corev1.EnvVar{{Name: logVariable, Value: literal(text)}}
}
