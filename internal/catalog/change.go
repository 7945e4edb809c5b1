// Package catalog makes changes to Postgres' catalog that several sessions may
// make at once. Rights on one table are in one row of the catalog: of two
// sessions that grant at the same time, to different roles even, one is refused
// and has to begin anew.
//
// It knows no statement: callers give what is to be done, and may do it again.
package catalog

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

const (
	// attempts are enough for a dozen sessions that grant in a row.
	attempts = 20
	pause    = 10 * time.Millisecond
)

// Change does something until no other session gets in its way. It must not be
// part of a transaction that began before, which would be lost with the first
// attempt.
func Change(ctx context.Context, do func() error) error {
	for attempt := 1; ; attempt++ {
		err := do()
		if !isConcurrent(err) || attempt == attempts {
			return err
		}
		wait := pause + time.Duration(rand.Int64N(int64(time.Duration(attempt)*pause))) //nolint:gosec // keeps sessions apart
		select {
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		case <-time.After(wait):
		}
	}
}

// isConcurrent tells the refusal by its words, because its code is that of any
// internal error. A server that speaks another language than English is not
// understood: the refusal is then an error like any other.
func isConcurrent(err error) bool {
	const internalError = "XX000"
	var pgErr *pgconn.PgError
	return errors.As(err, &pgErr) && pgErr.Code == internalError && strings.Contains(pgErr.Message, "tuple concurrently")
}
