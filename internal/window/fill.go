package window

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// piece is how many positions are copied in one transaction.
const piece = 100_000

// Progress is how far a window is filled.
type Progress struct {
	Window
	// Filled is the position up to which the rows are there.
	Filled int64
	Events int64
	// Scans is how often the table had been read when the window was filled.
	Scans int64
}

// asText has two sessions write and read text alike, whatever their databases'
// and roles' own settings: rows pass from one to the other as text.
const asText = "SET datestyle = 'ISO, MDY'; SET intervalstyle = 'postgres'; SET extra_float_digits = 3; SET client_encoding = 'UTF8'"

// unsettled stands for the scans of a window that is not filled, or was just
// filled.
const unsettled = -1

// Done reports whether the window is filled.
func (p Progress) Done() bool { return p.Filled >= p.Until }

// Fill copies rows until the window is filled or the patience is over, and says
// how far it is. The first time it takes away what an earlier window held. Events
// whose ids are among those to skip are left out. source is a connection of the
// account that owns the log; it must not be in a transaction that sees an older
// state.
func (d *Database) Fill(ctx context.Context, source *pgx.Conn, w Window, skip []uuid.UUID, patience time.Duration) (Progress, error) {
	var p Progress
	err := d.within(ctx, func(conn *pgx.Conn) error {
		for _, c := range []*pgx.Conn{source, conn} {
			if _, err := c.Exec(ctx, asText); err != nil {
				return fmt.Errorf("agree on how rows are written as text: %w", err)
			}
		}
		var err error
		if p, err = d.begin(ctx, conn, w); err != nil {
			return err
		}
		if p.Done() && p.Scans != unsettled {
			return nil
		}
		until := time.Now().Add(patience)
		for more := true; more && !p.Done(); more = time.Now().Before(until) {
			if p, err = d.copyPiece(ctx, source, conn, p, skip); err != nil {
				return err
			}
		}
		if !p.Done() {
			return nil
		}
		if _, err := conn.Exec(ctx, "ANALYZE "+d.log.Relation()); err != nil {
			return err
		}
		p.Scans, err = d.settleScans(ctx, conn)
		return err
	})
	return p, err
}

// settleScans notes how often the table was read by those who filled it: a
// TRUNCATE reads it, too. Servers before Postgres 15 count later, so that there a
// scan of ours may pass for a reader's.
func (d *Database) settleScans(ctx context.Context, conn *pgx.Conn) (int64, error) {
	var counts bool
	if err := conn.QueryRow(ctx, "SELECT current_setting('server_version_num')::int >= 150000").Scan(&counts); err != nil {
		return 0, err
	}
	if counts {
		if _, err := conn.Exec(ctx, "SELECT pg_stat_force_next_flush()"); err != nil {
			return 0, err
		}
	}
	scans, err := d.scans(ctx, conn)
	if err != nil {
		return 0, err
	}
	_, err = conn.Exec(ctx, "UPDATE nawhas_window.progress SET scans = $1", scans)
	return scans, err
}

// Progress is how far the window is.
func (d *Database) Progress(ctx context.Context) (Progress, error) {
	var p Progress
	err := d.within(ctx, func(conn *pgx.Conn) error {
		var err error
		p, err = d.read(ctx, conn)
		return err
	})
	return p, err
}

// begin finds out how far the window is, and empties the table when it holds
// another one.
func (d *Database) begin(ctx context.Context, conn *pgx.Conn, w Window) (Progress, error) {
	found, err := d.read(ctx, conn)
	if err == nil && found.Window == w {
		return found, nil
	}
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return Progress{}, err
	}
	fresh := Progress{Window: w, Filled: w.From, Scans: unsettled}
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "TRUNCATE "+d.log.Relation()); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `INSERT INTO nawhas_window.progress AS p (round, from_position, until_position, filled, events, scans) VALUES ($1, $2, $3, $2, 0, $4)
			ON CONFLICT (singleton) DO UPDATE SET round = $1, from_position = $2, until_position = $3, filled = $2, events = 0, scans = $4`, w.Round, w.From, w.Until, unsettled)
		return err
	})
	if err != nil {
		return Progress{}, fmt.Errorf("begin the window of round %d: %w", w.Round, err)
	}
	return fresh, nil
}

func (d *Database) read(ctx context.Context, conn *pgx.Conn) (Progress, error) {
	var p Progress
	err := conn.QueryRow(ctx, "SELECT round, from_position, until_position, filled, events, scans FROM nawhas_window.progress").
		Scan(&p.Round, &p.From, &p.Until, &p.Filled, &p.Events, &p.Scans)
	return p, err
}

// copyPiece copies the rows of the next positions.
func (d *Database) copyPiece(ctx context.Context, source, conn *pgx.Conn, p Progress, skip []uuid.UUID) (Progress, error) {
	columns, err := d.columns(ctx, source)
	if err != nil {
		return p, err
	}
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = quote(c.name)
	}
	next := p
	next.Filled = min(p.Filled+piece, p.Until)
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		copied, err := d.pipe(ctx, source, conn, strings.Join(names, ", "), p.Filled, next.Filled, skip)
		if err != nil {
			return err
		}
		next.Events += copied
		_, err = tx.Exec(ctx, "UPDATE nawhas_window.progress SET filled = $1, events = $2", next.Filled, next.Events)
		return err
	})
	if err != nil {
		return p, fmt.Errorf("copy the log after position %d: %w", p.Filled, err)
	}
	return next, nil
}

// pipe copies rows from the source's session to the window's. The number of rows
// that went in must be the number that came out.
func (d *Database) pipe(ctx context.Context, source, conn *pgx.Conn, columns string, from, until int64, skip []uuid.UUID) (int64, error) {
	query := fmt.Sprintf("COPY (SELECT %s FROM %s WHERE %s) TO STDOUT", columns, d.log.Relation(), d.log.Between(from, until, skip))
	reader, writer := io.Pipe()
	sent := make(chan int64, 1)
	go func() {
		tag, err := source.PgConn().CopyTo(ctx, writer, query)
		sent <- tag.RowsAffected()
		_ = writer.CloseWithError(err)
	}()
	tag, err := conn.PgConn().CopyFrom(ctx, reader, fmt.Sprintf("COPY %s (%s) FROM STDIN", d.log.Relation(), columns))
	_ = reader.CloseWithError(err)
	rows := <-sent
	if err == nil && rows != tag.RowsAffected() {
		err = fmt.Errorf("%d rows left the source and %d arrived", rows, tag.RowsAffected())
	}
	return tag.RowsAffected(), err
}

// WasRead reports whether anybody has read the table since its window was filled.
// The server counts a session's scans when the session ends, or a moment later.
func (d *Database) WasRead(ctx context.Context) (bool, error) {
	var read bool
	err := d.within(ctx, func(conn *pgx.Conn) error {
		p, err := d.read(ctx, conn)
		if err != nil {
			return err
		}
		for range 20 {
			now, err := d.scans(ctx, conn)
			if err != nil {
				return err
			}
			if read = now > p.Scans; read {
				return nil
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(100 * time.Millisecond):
			}
		}
		return nil
	})
	return read, err
}

func (d *Database) scans(ctx context.Context, conn *pgx.Conn) (int64, error) {
	var scans int64
	err := conn.QueryRow(ctx, "SELECT coalesce(seq_scan, 0) + coalesce(idx_scan, 0) FROM pg_stat_user_tables WHERE relid = $1::text::regclass", d.log.Relation()).Scan(&scans)
	return scans, err
}
