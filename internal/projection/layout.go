package projection

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// column is a column of a table as the server has it.
type column struct {
	name string
	// kind is the type's name and oid its number.
	kind string
	oid  uint32
}

// layout is a table with the statements that write it.
type layout struct {
	table   string
	columns []column
	// Remove takes keys, update and insert take an array for each column.
	remove, update, insert, copyIn string
}

// readLayout finds the types of a table's columns, in the given order. The
// first one is the key.
func readLayout(ctx context.Context, conn *pgx.Conn, table string, names []string) (*layout, error) {
	rows, err := conn.Query(ctx, `SELECT a.attname::text, format_type(a.atttypid, a.atttypmod), a.atttypid
		FROM unnest($2::text[]) WITH ORDINALITY AS wanted (name, place)
		JOIN pg_attribute a ON a.attrelid = to_regclass($1) AND a.attname = wanted.name AND NOT a.attisdropped
		ORDER BY wanted.place`, pgx.Identifier{table}.Sanitize(), names)
	if err != nil {
		return nil, fmt.Errorf("read the columns of %s: %w", table, err)
	}
	columns, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (column, error) {
		var c column
		return c, row.Scan(&c.name, &c.kind, &c.oid)
	})
	if err != nil {
		return nil, fmt.Errorf("read the columns of %s: %w", table, err)
	}
	if len(columns) != len(names) {
		return nil, &StageError{Message: fmt.Sprintf("table %s is missing or lacks columns of this edition; run `nawhas migrate` first", table)}
	}
	return newLayout(table, columns), nil
}

func newLayout(table string, columns []column) *layout {
	l := &layout{table: table, columns: columns}
	into, names, arguments := pgx.Identifier{table}.Sanitize(), l.names(), make([]string, len(columns))
	for i, c := range columns {
		arguments[i] = fmt.Sprintf("$%d::%s[]", i+1, c.kind)
	}
	key, list, values := names[0], strings.Join(names, ", "), strings.Join(arguments, ", ")
	l.remove = fmt.Sprintf("DELETE FROM %s AS t USING unnest(%s) AS gone (key) WHERE t.%s = gone.key", into, arguments[0], key)
	l.insert = fmt.Sprintf("INSERT INTO %s (%s) SELECT * FROM unnest(%s)", into, list, values)
	l.copyIn = fmt.Sprintf("COPY %s (%s) FROM STDIN BINARY", into, list)
	assignments := make([]string, 0, len(names))
	for _, name := range names[1:] {
		assignments = append(assignments, name+" = n."+name)
	}
	l.update = fmt.Sprintf("UPDATE %s AS t SET %s FROM unnest(%s) AS n (%s) WHERE t.%s = n.%s",
		into, strings.Join(assignments, ", "), values, list, key, key)
	return l
}

// names are the columns' names, quoted.
func (l *layout) names() []string {
	names := make([]string, len(l.columns))
	for i, c := range l.columns {
		names[i] = pgx.Identifier{c.name}.Sanitize()
	}
	return names
}

// fetch is the query for the rows whose column has one of the keys.
func (l *layout) fetch(c column) string {
	// A join, because "= ANY" of many keys may compare each row with each key.
	return fmt.Sprintf("SELECT %s FROM unnest($1::%s[]) AS wanted (key) JOIN %s ON %s = wanted.key",
		strings.Join(l.names(), ", "), c.kind, pgx.Identifier{l.table}.Sanitize(), pgx.Identifier{c.name}.Sanitize())
}

func (l *layout) column(name string) column {
	for _, c := range l.columns {
		if c.name == name {
			return c
		}
	}
	return column{}
}

// arrays turns rows in the format of COPY into one array for each column, in
// the binary format of parameters.
func arrays(columns []column, rows *Encoder) [][]byte {
	all := make([][]byte, len(columns))
	for i, c := range columns {
		all[i] = arrayHeader(make([]byte, 0, arrayHeaderSize+len(rows.buf)/len(columns)), c.oid, rows.rows)
	}
	rest := rows.buf[len(copyHeader):]
	for len(rest) > 0 {
		rest = rest[2:]
		for i := range columns {
			size := 4
			if n := int32(binary.BigEndian.Uint32(rest)); n > 0 { //nolint:gosec // minus one is NULL
				size += int(n)
			}
			all[i] = append(all[i], rest[:size]...)
			rest = rest[size:]
		}
	}
	return all
}

const arrayHeaderSize = 20

// arrayHeader begins an array of one dimension whose elements may be NULL.
func arrayHeader(b []byte, element uint32, length int) []byte {
	b = binary.BigEndian.AppendUint32(b, 1)
	b = binary.BigEndian.AppendUint32(b, 1)
	b = binary.BigEndian.AppendUint32(b, element)
	b = binary.BigEndian.AppendUint32(b, uint32(length)) //nolint:gosec // a chunk has few rows
	return binary.BigEndian.AppendUint32(b, 1)
}

// keyArray is an array of keys as a parameter.
func keyArray[K comparable](c column, keys []K) []byte {
	b := arrayHeader(make([]byte, 0, arrayHeaderSize+len(keys)*20), c.oid, len(keys))
	for _, key := range keys {
		switch key := any(key).(type) {
		case uuid.UUID:
			b = append(binary.BigEndian.AppendUint32(b, uint32(len(key))), key[:]...)
		case string:
			b = append(binary.BigEndian.AppendUint32(b, uint32(len(key))), key...) //nolint:gosec // below 1 GiB
		}
	}
	return b
}
