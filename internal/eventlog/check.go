package eventlog

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Check tells whether the connected role can read this log without missing
// anything. It returns a [*PreconditionError] that says what to do when not.
func (l *Log) Check(ctx context.Context, db DB) error {
	for _, check := range []func(context.Context, DB) error{
		l.checkPrimary, l.checkPresent, l.checkColumns, l.checkAppended, l.checkTimeZone, l.checkKeys, l.checkSequence, l.checkSelect,
	} {
		if err := check(ctx, db); err != nil {
			return err
		}
	}
	return nil
}

// CheckAppend tells whether the connected role may append to the log.
func (l *Log) CheckAppend(ctx context.Context, db DB) error {
	if err := l.checkPresent(ctx, db); err != nil {
		return err
	}
	for _, column := range l.table.appended() {
		var role string
		var may bool
		err := db.QueryRow(ctx, "SELECT current_user::text, has_column_privilege("+l.sql.regclass+", $1, 'INSERT')", column).Scan(&role, &may)
		if err != nil {
			return fmt.Errorf("read the rights on %s: %w", l.sql.relation, err)
		}
		if !may {
			return refuse(ReasonRights, "role %s may not append to %s; run %s", role, l.sql.relation, l.grantInsert(quote(role)))
		}
	}
	return nil
}

func (l *Log) checkPrimary(ctx context.Context, db DB) error {
	var standby bool
	if err := db.QueryRow(ctx, "SELECT pg_is_in_recovery()").Scan(&standby); err != nil {
		return fmt.Errorf("ask the source whether it is a standby: %w", err)
	}
	if standby {
		return refuse(ReasonReplica, "the source is a standby; connect to the primary, which alone knows the transactions that append")
	}
	return nil
}

func (l *Log) checkPresent(ctx context.Context, db DB) error {
	var usable, present bool
	err := db.QueryRow(ctx, `SELECT coalesce(has_schema_privilege(to_regnamespace($1), 'USAGE'), false),
		CASE WHEN coalesce(has_schema_privilege(to_regnamespace($1), 'USAGE'), false) THEN to_regclass($2) IS NOT NULL ELSE false END`,
		quote(l.table.Schema), l.sql.relation).Scan(&usable, &present)
	if err != nil {
		return fmt.Errorf("look for the log %s: %w", l.sql.relation, err)
	}
	if !usable {
		return refuse(ReasonRights, "the role may not use schema %[1]s of the source, or it does not exist; run GRANT USAGE ON SCHEMA %[1]s TO <role>",
			quote(l.table.Schema))
	}
	if !present {
		return l.absent()
	}
	return nil
}

func (l *Log) absent() error {
	if !l.table.IsDefault() {
		return refuse(ReasonLogAbsent, "the source has no table %s; have the application's migrations make it, or correct the log's description (spec.source.log)", l.sql.relation)
	}
	return refuse(ReasonLogAbsent, "the source has no table %s; create it with `nawhas source init`", l.sql.relation)
}

// checkColumns compares the table's columns with the description.
func (l *Log) checkColumns(ctx context.Context, db DB) error {
	found, err := l.columns(ctx, db)
	if err != nil {
		return err
	}
	for _, want := range l.expectedColumns() {
		switch got, ok := found[want.name]; {
		case !ok:
			return refuse(ReasonShape, "the log %s has no column %s (%s); correct its description (spec.source.log) or use a log made by `nawhas source init`",
				l.sql.relation, quote(want.name), want.types[0])
		case !slices.Contains(want.types, got.kind):
			return refuse(ReasonShape, "column %s of the log %s is %s, not %s", quote(want.name), l.sql.relation, got.kind, strings.Join(want.types, " or "))
		}
	}
	for _, want := range l.expectedColumns() {
		if found[want.name].nullable {
			return refuse(ReasonShape, "column %[1]s of the log %[2]s may be NULL, which no event's may; run ALTER TABLE %[2]s ALTER COLUMN %[1]s SET NOT NULL",
				quote(want.name), l.sql.relation)
		}
	}
	return nil
}

// checkAppended compares what an appender is allowed to write with what it has
// to.
func (l *Log) checkAppended(ctx context.Context, db DB) error {
	found, err := l.columns(ctx, db)
	if err != nil {
		return err
	}
	appended := l.table.appended()
	if slices.Contains(slices.Concat(appended, l.table.Updated), l.table.Position) {
		return refuse(ReasonShape, "the description of the log %s lets an application write the position %s, which only the sequence may give; take it out of spec.source.log.appending",
			l.sql.relation, quote(l.table.Position))
	}
	for _, name := range slices.Concat(appended, l.table.Updated) {
		if _, ok := found[name]; !ok {
			return refuse(ReasonShape, "the log %s has no column %s, which its description says an application writes; correct spec.source.log.appending",
				l.sql.relation, quote(name))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		if column := found[name]; !column.nullable && !column.filled && name != l.table.Position && !slices.Contains(appended, name) {
			return refuse(ReasonShape, "column %s of the log %s must have a value and has no default, and its description does not say that an application writes it; add it to spec.source.log.appending.insert",
				quote(name), l.sql.relation)
		}
	}
	return nil
}

// checkTimeZone asks the server whether it knows the zone.
func (l *Log) checkTimeZone(ctx context.Context, db DB) error {
	if l.table.TimeZone == "" {
		return nil
	}
	var known bool
	if err := db.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_timezone_names WHERE lower(name) = lower($1))", l.table.TimeZone).Scan(&known); err != nil {
		return fmt.Errorf("ask the source for the time zone %q: %w", l.table.TimeZone, err)
	}
	if !known {
		return refuse(ReasonShape, "the source knows no time zone %q; write one of pg_timezone_names, such as UTC, into spec.source.log.timeZone", l.table.TimeZone)
	}
	return nil
}

// column is what matters of a column.
type column struct {
	kind             string
	nullable, filled bool
}

func (l *Log) columns(ctx context.Context, db DB) (map[string]column, error) {
	rows, err := db.Query(ctx, `SELECT attname::text, format_type(atttypid, NULL), NOT attnotnull, atthasdef OR attidentity <> '' FROM pg_attribute
		WHERE attrelid = `+l.sql.regclass+` AND attnum > 0 AND NOT attisdropped`)
	if err != nil {
		return nil, fmt.Errorf("read the columns of %s: %w", l.sql.relation, err)
	}
	found := map[string]column{}
	var name string
	var c column
	if _, err := pgx.ForEachRow(rows, []any{&name, &c.kind, &c.nullable, &c.filled}, func() error { found[name] = c; return nil }); err != nil {
		return nil, fmt.Errorf("read the columns of %s: %w", l.sql.relation, err)
	}
	return found, nil
}

type expectedColumn struct {
	name  string
	types []string
}

func (l *Log) expectedColumns() []expectedColumn {
	t := l.table
	recorded := expectedColumn{t.RecordedAt, []string{"timestamp with time zone"}}
	if t.TimeZone != "" {
		recorded.types = []string{"timestamp without time zone"}
	}
	columns := []expectedColumn{
		{t.Position, []string{"bigint", "integer"}},
		{t.EventName, []string{"text", "character varying"}},
		{t.Payload, []string{"jsonb", "json"}},
		recorded,
	}
	if t.ID != "" {
		columns = append(columns, expectedColumn{t.ID, []string{"uuid"}})
	}
	if t.Version != "" {
		columns = append(columns, expectedColumn{t.Version, []string{"smallint", "integer", "bigint"}})
	}
	return columns
}

// checkKeys wants the position and the id each to be unique by themselves.
func (l *Log) checkKeys(ctx context.Context, db DB) error {
	for _, column := range []string{l.table.Position, l.table.ID} {
		if column == "" {
			continue
		}
		var unique bool
		err := db.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_index i
			JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
			WHERE i.indrelid = `+l.sql.regclass+` AND i.indisunique AND i.indisvalid AND i.indnkeyatts = 1
				AND i.indpred IS NULL AND a.attname = $1)`, column).Scan(&unique)
		if err != nil {
			return fmt.Errorf("read the keys of %s: %w", l.sql.relation, err)
		}
		if !unique {
			return refuse(ReasonKeys, "column %[1]s of the log %[2]s is not unique; run ALTER TABLE %[2]s ADD UNIQUE (%[1]s)",
				quote(column), l.sql.relation)
		}
	}
	return nil
}

func (l *Log) checkSequence(ctx context.Context, db DB) error {
	name, err := l.sequenceName(ctx, db)
	if err != nil {
		return err
	}
	var cache, increment int64
	var cycle bool
	err = db.QueryRow(ctx, "SELECT seqcache, seqincrement, seqcycle FROM pg_sequence WHERE seqrelid = $1::text::regclass", name).
		Scan(&cache, &increment, &cycle)
	if err != nil {
		return fmt.Errorf("read the properties of sequence %s: %w", name, err)
	}
	switch {
	case cache != 1:
		return refuse(ReasonSequence, "sequence %[1]s hands out %[2]d positions at a time to each session, so their order means nothing; run ALTER SEQUENCE %[1]s CACHE 1",
			name, cache)
	case increment < 1:
		return refuse(ReasonSequence, "sequence %[1]s counts down; run ALTER SEQUENCE %[1]s INCREMENT BY 1", name)
	case cycle:
		return refuse(ReasonSequence, "sequence %[1]s begins again at its end; run ALTER SEQUENCE %[1]s NO CYCLE", name)
	}
	return nil
}

// checkSelect wants SELECT on the table and on its sequence.
func (l *Log) checkSelect(ctx context.Context, db DB) error {
	sequence, err := l.sequenceName(ctx, db)
	if err != nil {
		return err
	}
	var role string
	var table, counter bool
	err = db.QueryRow(ctx, "SELECT current_user::text, has_table_privilege("+l.sql.regclass+", 'SELECT'), has_sequence_privilege($1, 'SELECT')", sequence).
		Scan(&role, &table, &counter)
	if err != nil {
		return fmt.Errorf("read the rights on %s: %w", l.sql.relation, err)
	}
	if !table {
		return refuse(ReasonRights, "role %s may not read the log; run GRANT SELECT ON %s TO %s", role, l.sql.relation, quote(role))
	}
	if !counter {
		return refuse(ReasonRights, "role %s may not read the log's sequence; run GRANT SELECT ON SEQUENCE %s TO %s", role, sequence, quote(role))
	}
	return nil
}

// sequenceName is the sequence behind the position, quoted by the server.
func (l *Log) sequenceName(ctx context.Context, db DB) (string, error) {
	var name *string
	if err := db.QueryRow(ctx, l.sql.sequence).Scan(&name); err != nil {
		return "", fmt.Errorf("look for the sequence of %s: %w", l.sql.relation, err)
	}
	if name == nil {
		return "", refuse(ReasonSequence, "column %s of the log %s has no sequence; make it GENERATED ALWAYS AS IDENTITY",
			quote(l.table.Position), l.sql.relation)
	}
	return *name, nil
}

func (l *Log) grantInsert(role string) string {
	return fmt.Sprintf("GRANT INSERT (%s) ON %s TO %s", quoteAll(l.table.appended()), l.sql.relation, role)
}

func quoteAll(columns []string) string {
	quoted := make([]string, len(columns))
	for i, column := range columns {
		quoted[i] = quote(column)
	}
	return strings.Join(quoted, ", ")
}

// IsPrecondition tells whether err says that a log does not meet a condition, and which.
func IsPrecondition(err error) (Reason, bool) {
	refused, ok := errors.AsType[*PreconditionError](err)
	if !ok {
		return "", false
	}
	return refused.Reason, true
}
