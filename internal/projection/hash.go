package projection

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Beginner begins transactions: a connection or a pool.
type Beginner interface {
	BeginTx(ctx context.Context, options pgx.TxOptions) (pgx.Tx, error)
}

// Hash is the content of a version's database in short. Two databases that
// were built by one edition from the same events have the same sums.
type Hash struct {
	// Position is the checkpoint the content belongs to.
	Position int64
	// Tables has a sum for each table, independent of the order of its rows.
	Tables map[string]string
}

// String joins all sums to one.
func (h Hash) String() string {
	sum := sha256.New()
	for _, table := range slices.Sorted(maps.Keys(h.Tables)) {
		fmt.Fprintf(sum, "%s=%s\n", table, h.Tables[table])
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// ContentHash sums up all tables of a version's database in one snapshot. It
// leaves out what is not made from the events alone: the checkpoint, the count
// of migrations, and when an event was projected.
func ContentHash(ctx context.Context, db Beginner) (Hash, error) {
	h := Hash{Tables: map[string]string{}}
	err := pgx.BeginTxFunc(ctx, beginner{db}, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SET LOCAL timezone = 'UTC'; SET LOCAL datestyle = 'ISO'; SET LOCAL extra_float_digits = 1"); err != nil {
			return fmt.Errorf("settle how values are written: %w", err)
		}
		checkpoint, err := ReadCheckpoint(ctx, tx)
		if err != nil {
			return err
		}
		h.Position = checkpoint.Position
		tables, err := contentColumns(ctx, tx)
		if err != nil {
			return err
		}
		for table, columns := range tables {
			if h.Tables[table], err = tableSum(ctx, tx, table, columns); err != nil {
				return err
			}
		}
		return nil
	})
	return h, err
}

// contentColumns are the columns that count, by table, in the order of their names.
func contentColumns(ctx context.Context, tx pgx.Tx) (map[string][]string, error) {
	rows, err := tx.Query(ctx, `SELECT c.relname::text, a.attname::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
		WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
			AND c.relname NOT IN ('checkpoint', 'schema_version') AND a.attname <> 'projected_at'
		ORDER BY c.relname, a.attname`)
	if err != nil {
		return nil, fmt.Errorf("list the tables: %w", err)
	}
	tables := map[string][]string{}
	var table, column string
	_, err = pgx.ForEachRow(rows, []any{&table, &column}, func() error {
		tables[table] = append(tables[table], column)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list the tables: %w", err)
	}
	return tables, nil
}

// tableSum adds up a digest of each row, in two halves of 64 bits.
func tableSum(ctx context.Context, tx pgx.Tx, table string, columns []string) (string, error) {
	quoted := make([]string, len(columns))
	for i, column := range columns {
		quoted[i] = pgx.Identifier{column}.Sanitize()
	}
	var sum string
	err := tx.QueryRow(ctx, fmt.Sprintf(`SELECT count(*) || ':' || coalesce(sum(('x' || left(d, 16))::bit(64)::bigint::numeric), 0)
			|| ':' || coalesce(sum(('x' || right(d, 16))::bit(64)::bigint::numeric), 0)
		FROM (SELECT md5(ROW(%s)::text) AS d FROM %s) AS digests`, strings.Join(quoted, ", "), pgx.Identifier{table}.Sanitize())).Scan(&sum)
	if err != nil {
		return "", fmt.Errorf("sum up table %s: %w", table, err)
	}
	return sum, nil
}

// beginner has the shape that pgx.BeginTxFunc asks for.
type beginner struct{ Beginner }
