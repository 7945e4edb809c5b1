package eventlog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// Holder is a transaction that has appended to the log and not finished.
type Holder struct {
	// Transaction is its virtual transaction id.
	Transaction string
	// PID is its session's process, 0 for a prepared transaction.
	PID  int32
	Role string
	// Since is when it began; the zero time when the connected role may not see it.
	Since    time.Time
	Prepared bool
}

// Age is how long the transaction has been open, 0 if that cannot be seen.
func (h Holder) Age() time.Duration {
	if h.Since.IsZero() {
		return 0
	}
	return time.Since(h.Since)
}

// String says who it is and since when, never what it does.
func (h Holder) String() string {
	who := fmt.Sprintf("session %d", h.PID)
	if h.PID == 0 {
		who = "a prepared transaction"
	}
	if h.Role != "" {
		who += " of role " + h.Role
	}
	if age := h.Age(); age > 0 {
		who += fmt.Sprintf(" (open for %s)", age.Round(time.Millisecond))
	}
	return who
}

// Head is the highest visible position, 0 for an empty log. Lower positions
// may still appear; see [Log.Watermark].
func (l *Log) Head(ctx context.Context, db DB) (int64, error) {
	var position int64
	if err := db.QueryRow(ctx, l.sql.head).Scan(&position); err != nil {
		return 0, fmt.Errorf("read the head of the log: %w", err)
	}
	return position, nil
}

// HeadQuery is the query of [Log.Head], for those who want its answer together
// with others in one query.
func (l *Log) HeadQuery() string { return l.sql.head }

// Watermark returns a position at and below which nothing can appear any
// more, and which is at least as high as every event that was committed when
// it was called. It waits for the transactions that were appending at that
// moment; when ctx ends first the error wraps a [*StalledError] that names
// one of them.
func (l *Log) Watermark(ctx context.Context, db DB) (int64, error) {
	return l.WatermarkAware(ctx, db, func(Holder) {})
}

// WatermarkAware is [Log.Watermark], and names the oldest transaction it still
// waits for, again and again.
func (l *Log) WatermarkAware(ctx context.Context, db DB, waiting func(Holder)) (int64, error) {
	h, err := l.hold(ctx, db)
	if err != nil {
		return 0, err
	}
	if err := l.wait(ctx, db, h, waiting); err != nil {
		return 0, err
	}
	var position int64
	if err := db.QueryRow(ctx, l.sql.headUpTo, h.last).Scan(&position); err != nil {
		return 0, fmt.Errorf("read the highest position up to %d: %w", h.last, err)
	}
	return position, nil
}

// Holders are the transactions that have appended and not finished.
func (l *Log) Holders(ctx context.Context, db DB) ([]Holder, error) {
	rows, err := db.Query(ctx, l.sql.holders)
	if err != nil {
		return nil, fmt.Errorf("read the locks on %s: %w", l.sql.relation, err)
	}
	holders, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Holder, error) {
		var h Holder
		var since *time.Time
		err := row.Scan(&h.Transaction, &h.PID, &h.Role, &since, &h.Prepared)
		if since != nil {
			h.Since = *since
		}
		return h, err
	})
	if err != nil {
		return nil, fmt.Errorf("read the locks on %s: %w", l.sql.relation, err)
	}
	return holders, nil
}

// HoldersOf are the holders that connected as the role, or as a login that
// becomes it, or prepared as it. A fence has them finish after the role's right
// to append was taken away.
func (l *Log) HoldersOf(ctx context.Context, db DB, role string) ([]Holder, error) {
	all, err := l.Holders(ctx, db)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	rows, err := db.Query(ctx, "SELECT rolname::text FROM pg_roles WHERE rolname = $1 OR 'role=' || $1 = ANY(rolconfig)", role)
	if err != nil {
		return nil, fmt.Errorf("read the logins of role %s: %w", role, err)
	}
	logins, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("read the logins of role %s: %w", role, err)
	}
	var own []Holder
	for _, h := range all {
		if h.Role == role || slices.Contains(logins, h.Role) {
			own = append(own, h)
		}
	}
	return own, nil
}

// hold is what steps 1 and 2 of the frontier read: the last position handed
// out, and then who held the lock.
type hold struct {
	last int64
	by   map[string]bool
}

// hold reads the sequence first and the locks second, in statements of their
// own; the proof depends on it.
func (l *Log) hold(ctx context.Context, db DB) (hold, error) {
	name, err := l.sequenceName(ctx, db)
	if err != nil {
		return hold{}, err
	}
	h := hold{by: map[string]bool{}}
	if err := db.QueryRow(ctx, "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM "+name).Scan(&h.last); err != nil {
		return hold{}, fmt.Errorf("read the last position handed out: %w", err)
	}
	holders, err := l.Holders(ctx, db)
	if err != nil {
		return hold{}, err
	}
	for _, holder := range holders {
		h.by[holder.Transaction] = true
	}
	return h, nil
}

// remaining are the members of the hold that have not let go yet.
func (l *Log) remaining(ctx context.Context, db DB, h hold) ([]Holder, error) {
	if len(h.by) == 0 {
		return nil, nil
	}
	now, err := l.Holders(ctx, db)
	if err != nil {
		return nil, err
	}
	var left []Holder
	for _, holder := range now {
		if h.by[holder.Transaction] || holder.Prepared {
			left = append(left, holder)
		}
	}
	return left, nil
}

func (l *Log) wait(ctx context.Context, db DB, h hold, waiting func(Holder)) error {
	pause := time.Millisecond
	var last *Holder
	for {
		left, err := l.remaining(ctx, db, h)
		switch {
		case err != nil && ctx.Err() != nil && last != nil:
			return stalled(*last, ctx.Err())
		case err != nil:
			return err
		case len(left) == 0:
			return nil
		}
		last = oldest(left)
		waiting(*last)
		select {
		case <-ctx.Done():
			return stalled(*last, ctx.Err())
		case <-time.After(pause):
		}
		pause = min(2*pause, 50*time.Millisecond)
	}
}

func oldest(holders []Holder) *Holder {
	first := &holders[0]
	for i := range holders {
		if holders[i].Age() > first.Age() {
			first = &holders[i]
		}
	}
	return first
}

func stalled(h Holder, cause error) error {
	return fmt.Errorf("wait for writers of the log: %w", &StalledError{PID: h.PID, Role: h.Role, Age: h.Age(), cause: cause})
}

// Stalled finds the holder an error complains about.
func Stalled(err error) (*StalledError, bool) { return errors.AsType[*StalledError](err) }
