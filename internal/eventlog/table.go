package eventlog

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// DB is what the log needs of a connection. *pgx.Conn, pgx.Tx, *pgxpool.Conn
// and *pgxpool.Pool have it.
type DB interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// Log reads and appends to one table of events. It holds no connection and
// is safe for concurrent use.
type Log struct {
	table Table
	sql   statements
}

// New makes a Log for the described table.
func New(t Table) *Log {
	return &Log{table: t, sql: newStatements(t)}
}

// Table is the description the log was made with.
func (l *Log) Table() Table { return l.table }

// statements are the log's SQL with the names filled in once.
type statements struct {
	relation    string
	regclass    string
	appendOne   string
	appendMany  string
	head        string
	headUpTo    string
	read        string
	holders     string
	sequence    string
	marks       string
	writers     string
	copyColumns []string
}

func newStatements(t Table) statements {
	relation := quote(t.Schema, t.Name)
	position, name := quote(t.Position), quote(t.EventName)
	columns, values, unnested := quote(t.ID)+", "+name+", "+quote(t.Payload), "$1, $2, $3", "e.id, e.name, e.payload::jsonb"
	copied := []string{t.ID, t.EventName, t.Payload}
	if t.Version != "" {
		columns, values, unnested = columns+", "+quote(t.Version), values+", $4", unnested+", e.version"
		copied = append(copied, t.Version)
	}
	regclass := literal(relation) + "::regclass"
	return statements{
		relation:  relation,
		regclass:  regclass,
		appendOne: fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s) RETURNING %s::bigint", relation, columns, values, position),
		// The order of the rows is the order of the sort, and the position is
		// drawn above it.
		appendMany: fmt.Sprintf(`INSERT INTO %s (%s) SELECT %s
			FROM unnest($1::uuid[], $2::text[], $3::text[], $4::smallint[]) WITH ORDINALITY AS e(id, name, payload, version, n)
			ORDER BY e.n RETURNING %s::bigint`, relation, columns, unnested, position),
		head:     fmt.Sprintf("SELECT coalesce(max(%s), 0)::bigint FROM %s", position, relation),
		headUpTo: fmt.Sprintf("SELECT coalesce(max(%[1]s), 0)::bigint FROM %[2]s WHERE %[1]s <= $1::bigint", position, relation),
		read: fmt.Sprintf(`SELECT %[1]s::bigint, %[2]s, %[3]s::text, %[4]s, %[5]s::text, %[6]s FROM %[7]s
			WHERE %[1]s > $1::bigint AND %[1]s <= $2::bigint ORDER BY %[1]s LIMIT $3`, position, t.idExpression(), name, t.versionExpression(), quote(t.Payload), t.timeExpression(), relation),
		holders: fmt.Sprintf(`SELECT DISTINCT l.virtualtransaction, coalesce(l.pid, 0),
				coalesce(a.usename::text, p.owner::text, ''), coalesce(a.xact_start, p.prepared), l.pid IS NULL
			FROM pg_locks l
			LEFT JOIN pg_stat_activity a ON a.pid = l.pid
			LEFT JOIN pg_locks x ON l.pid IS NULL AND x.pid IS NULL AND x.locktype = 'transactionid'
				AND x.virtualtransaction = l.virtualtransaction
			LEFT JOIN pg_prepared_xacts p ON p.transaction = x.transactionid
			WHERE l.locktype = 'relation' AND l.granted AND l.mode = 'RowExclusiveLock' AND l.relation = %s
				AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())`, regclass),
		sequence: fmt.Sprintf("SELECT pg_get_serial_sequence(%s, %s)", literal(relation), literal(t.Position)),
		marks: fmt.Sprintf(`SELECT %[1]s::bigint, %[2]s FROM %[3]s WHERE %[1]s BETWEEN $1::bigint AND $2::bigint ORDER BY %[1]s LIMIT $3`,
			position, t.idExpression(), relation),
		writers:     writersQuery(regclass),
		copyColumns: copied,
	}
}

func quote(parts ...string) string { return pgx.Identifier(parts).Sanitize() }

// literal writes s as an SQL string. Only names from a Table pass through it.
func literal(s string) string {
	quoted := make([]byte, 0, len(s)+2)
	quoted = append(quoted, '\'')
	for i := range len(s) {
		if s[i] == '\'' {
			quoted = append(quoted, '\'')
		}
		quoted = append(quoted, s[i])
	}
	return string(append(quoted, '\''))
}
