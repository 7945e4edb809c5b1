package release

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/nawhas/nawhas-operator/internal/ledger"
)

// The right to append follows the ledger: it is given to the version that is live
// there, and taken from others, in a transaction that holds the operator's epoch and
// the version's role. What this pass read may be older than what the ledger says, and
// a statement of an operator that was taken over may come late.

// allowAppending gives a live version its right to append.
func (s *scope) allowAppending(ctx context.Context, v *ledger.Version) error {
	err := s.ledger.ChangeRights(ctx, func(tx pgx.Tx) error {
		role, err := s.ledger.RoleIn(ctx, tx, v)
		if err != nil {
			return err
		}
		if role != ledger.Live {
			return fmt.Errorf("version %s is not live in the ledger any more, and is not given the right to append", v.Version)
		}
		return s.log.AllowAppending(ctx, tx, v.AppRole)
	})
	if err != nil {
		return s.onSource(err)
	}
	s.appenders = append(s.appenders, v.AppRole)
	return nil
}

// forbidAppending takes a version's right to append. That of the live one is taken
// with the release alone.
func (s *scope) forbidAppending(ctx context.Context, v *ledger.Version) error {
	err := s.ledger.ChangeRights(ctx, func(tx pgx.Tx) error {
		role, err := s.ledger.RoleIn(ctx, tx, v)
		if err != nil {
			return err
		}
		if role == ledger.Live && s.release.DeletionTimestamp.IsZero() {
			return fmt.Errorf("version %s is live in the ledger by now, and keeps its right to append", v.Version)
		}
		return s.log.ForbidAppending(ctx, tx, v.AppRole)
	})
	if err != nil {
		return s.onSource(err)
	}
	return nil
}
