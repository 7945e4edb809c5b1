package verify

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// tables are those of a database whose rows are made of the events, by name.
type tables map[string]*table

// table is a table's shape.
type table struct {
	columns []column
	// key are the columns of the primary key, in its order.
	key []string
}

// column is a column and its type.
type column struct{ name, kind string }

func (t *table) column(name string) *column {
	if t == nil {
		return nil
	}
	for i := range t.columns {
		if t.columns[i].name == name {
			return &t.columns[i]
		}
	}
	return nil
}

func (all tables) names() []string { return slices.Sorted(maps.Keys(all)) }

// readTables reads the shapes of the tables. It leaves out those in which the
// engine keeps its books: they differ with the projectors of an edition, and
// completeness is about them.
func readTables(ctx context.Context, tx pgx.Tx) (tables, error) {
	rows, err := tx.Query(ctx, `SELECT c.relname::text, a.attname::text, format_type(a.atttypid, NULL),
			coalesce(array_position(i.indkey::int2[], a.attnum), -1)
		FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
		WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
			AND a.attnum > 0 AND NOT a.attisdropped AND c.relname <> ALL ($1)
		ORDER BY c.relname, a.attname`, []string{"checkpoint", "schema_version", "projected_events", "skipped_events", "outcomes"})
	if err != nil {
		return nil, err
	}
	found, places := tables{}, map[string]map[int]string{}
	var name string
	var c column
	var place int
	_, err = pgx.ForEachRow(rows, []any{&name, &c.name, &c.kind, &place}, func() error {
		if found[name] == nil {
			found[name], places[name] = &table{}, map[int]string{}
		}
		found[name].columns = append(found[name].columns, c)
		if place >= 0 {
			places[name][place] = c.name
		}
		return nil
	})
	for name, key := range places {
		for _, place := range slices.Sorted(maps.Keys(key)) {
			found[name].key = append(found[name].key, key[place])
		}
	}
	return found, err
}

// hashable are the types that Postgres can hash without writing them as text.
var hashable = []string{"uuid", "text", "character varying", "character", "boolean", "smallint", "integer", "bigint", "numeric", "date",
	"timestamp with time zone", "timestamp without time zone", "time without time zone", "interval", "jsonb", "bytea"}

// value is the column in SQL, as it is compared: by its own equality if both
// databases have it in one type, and otherwise by its text.
func (c column) value() string {
	name := pgx.Identifier{c.name}.Sanitize()
	switch {
	case slices.Contains(hashable, c.kind):
		return name
	case c.kind == "json":
		return name + "::jsonb"
	}
	return name + "::text"
}

// written is as value, but takes JSON as it is written: what is the same text
// need not be read to be known as equal.
func (c column) written() string {
	if c.kind == "json" {
		return pgx.Identifier{c.name}.Sanitize() + "::text"
	}
	return c.value()
}

// hashOf is a number that tells rows apart by some columns. Both databases are
// on one server, so that one function of Postgres serves both.
func hashOf(columns []column, value func(column) string) string {
	if len(columns) == 0 {
		return "0::bigint"
	}
	var values []string
	for _, c := range columns {
		values = append(values, value(c))
	}
	return fmt.Sprintf("hash_record_extended(ROW(%s), 0)", strings.Join(values, ", "))
}

// keyOf is a row's key as text, and the order of its bytes. The order of a
// UUID is that of its text.
func keyOf(key []string, kinds func(string) *column) (text, order string) {
	if len(key) == 1 {
		name := pgx.Identifier{key[0]}.Sanitize()
		if c := kinds(key[0]); c != nil && c.kind == "uuid" {
			return name + "::text", name
		}
		return name + "::text", name + `::text COLLATE "C"`
	}
	var quoted []string
	for _, name := range key {
		quoted = append(quoted, pgx.Identifier{name}.Sanitize())
	}
	row := "ROW(" + strings.Join(quoted, ", ") + ")::text"
	return row, row + ` COLLATE "C"`
}
