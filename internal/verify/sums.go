package verify

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
)

// account is all that ever lived, in numbers: what the log makes of it, or what
// the revisions have.
//
// One hash stands for each attribute of each reciter and album as it was last,
// seeded with the entity and the attribute, and the hashes are added up. The
// sums tell two contents apart but for one chance in a billion billions, and
// nobody chooses contents against them. A number more or less shows as well.
type account struct {
	Reciters, Albums int64
	// Lives sums up whether each is alive, its revision, and whose it is.
	Lives, First, Second, Third, Created, Updated string
}

// rowFaults are how many rows break an invariant, and how many were looked at.
type rowFaults struct {
	Broken, Continued, Unknown, Reciters, Albums, Tombstones int64
	AllRevisions, AllReciters, AllAlbums, AllTombstones      int64
}

// settled are the checks that need not be made one by one, and how much each
// has looked at.
type settled map[string]int64

func (s settled) check(name, unit string) (Check, bool) {
	figure, ok := s[name]
	return pass(figure, unit), ok
}

// settle looks at the log and at the revisions and rows once each, with one
// statement on both servers at a time, and settles the checks that are about
// them if nothing at all is wrong. If anything is, these statements say neither
// what nor where: every check is then made by itself. Other sessions, if there
// are any, look at the kinds of events and the books meanwhile.
func (in *inspection) settle(ctx context.Context, others []*inspection) error {
	alike, err := in.hashAlike(ctx)
	if err != nil {
		return err
	}
	beside := in
	if len(others) > 0 {
		beside = others[0]
	}
	var made, found *account
	var faults *rowFaults
	work := turns{}
	work.add(in.source, in.findRefused)
	work.add(beside.source, func(ctx context.Context) error { return in.summariseLog(ctx, beside.source) })
	work.add(beside.database, func(ctx context.Context) error { return in.sumUpProjected(ctx, beside.database) })
	if alike {
		work.add(in.source, func(ctx context.Context) (err error) {
			made, err = in.accountOfLog(ctx)
			return err
		})
		work.add(in.database, func(ctx context.Context) (err error) {
			found, faults, err = in.accountOfRows(ctx)
			return err
		})
	}
	if err := work.do(ctx); err != nil {
		return err
	}
	if made == nil || found == nil || *made != *found || !faults.none() {
		return nil
	}
	in.settled = settled{"reciters-content": made.Reciters, "albums-content": made.Albums,
		"reciters-current": faults.AllReciters, "albums-current": faults.AllAlbums, "tombstones": faults.AllTombstones,
		"revisions-contiguous": faults.AllRevisions, "revisions-final": faults.AllRevisions, "entities-known": faults.AllRevisions}
	return nil
}

// turns is work for several sessions: what is for one is done by it in turn.
type turns map[pgx.Tx][]func(context.Context) error

func (t turns) add(session pgx.Tx, do func(context.Context) error) {
	t[session] = append(t[session], do)
}

// do works in all sessions at the same time.
func (t turns) do(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, queue := range t {
		group.Go(func() error {
			for _, do := range queue {
				if err := do(ctx); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

func (f *rowFaults) none() bool {
	return f.Broken+f.Continued+f.Unknown+f.Reciters+f.Albums+f.Tombstones == 0
}

// hashAlike tells whether both servers hash in the same way.
func (in *inspection) hashAlike(ctx context.Context) (bool, error) {
	var here, there int64
	for tx, probe := range map[pgx.Tx]*int64{in.database: &here, in.source: &there} {
		err := tx.QueryRow(ctx, "SELECT hashtextextended('6f1ed002', 7) # timestamp_hash_extended('2026-01-01 00:00:00.000001', 7) # hashint8extended(7, 7) # "+
			quickDigest.of("'6f1ed002-ab59-4d2f-8a31-9d6b6a0f2a5e'")).Scan(probe)
		if err != nil {
			return false, fmt.Errorf("try how the servers hash: %w", err)
		}
	}
	return here == there, nil
}

// sumUpProjected sums up the events that each projector has handled, for the
// check of completeness.
func (in *inspection) sumUpProjected(ctx context.Context, database pgx.Tx) error {
	return attempt(ctx, database, func(tx pgx.Tx) (err error) {
		in.handledBy, err = in.projected(ctx, tx)
		return err
	})
}

// accountOfLog is what the log makes of all entities, nil if the server cannot
// carry that out.
func (in *inspection) accountOfLog(ctx context.Context) (made *account, err error) {
	err = attempt(ctx, in.source, func(tx pgx.Tx) error {
		var a account
		err := tx.QueryRow(ctx, fmt.Sprintf(sumOfLog, in.events()), in.checkpoint.Position, in.skipped(), in.log.refusedReciters, in.log.refusedAlbums).
			Scan(&a.Reciters, &a.Albums, &a.Lives, &a.First, &a.Second, &a.Third, &a.Created, &a.Updated)
		if err == nil {
			made = &a
		}
		return err
	})
	return made, err
}

// accountOfRows is what the revisions have of all entities, and how many rows
// break an invariant; nil if the server cannot carry that out.
func (in *inspection) accountOfRows(ctx context.Context) (found *account, faults *rowFaults, err error) {
	err = attempt(ctx, in.database, func(tx pgx.Tx) error {
		var a account
		var f rowFaults
		err := tx.QueryRow(ctx, sumOfRows).Scan(&a.Reciters, &a.Albums, &a.Lives, &a.First, &a.Second, &a.Third, &a.Created, &a.Updated,
			&f.Broken, &f.Continued, &f.Unknown, &f.Reciters, &f.Albums, &f.Tombstones, &f.AllRevisions, &f.AllReciters, &f.AllAlbums, &f.AllTombstones)
		if err == nil {
			found, faults = &a, &f
		}
		return err
	})
	return found, faults, err
}

// attempt does something behind a savepoint that may find a table or a column
// missing; the checks then say so. Plans that sort are avoided: the planner
// takes what a statement has gathered for small, and the groups are many.
func attempt(ctx context.Context, tx pgx.Tx, do func(pgx.Tx) error) error {
	err := pgx.BeginFunc(ctx, tx, func(inner pgx.Tx) error {
		if _, err := inner.Exec(ctx, "SET LOCAL enable_sort = off"); err != nil {
			return err
		}
		if err := do(inner); err != nil {
			return err
		}
		_, err := inner.Exec(ctx, "SET LOCAL enable_sort = on")
		return err
	})
	if refusal(err) != "" {
		return nil
	}
	return err
}
