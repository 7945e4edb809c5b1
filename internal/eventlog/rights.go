package eventlog

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/nawhas/nawhas-operator/internal/catalog"
)

// AllowReading lets a role connect, and read the log and its sequence's last
// value. It returns a [*PreconditionError] when the role may not connect and this
// account cannot let it.
func (l *Log) AllowReading(ctx context.Context, db DB, role string) error {
	sequence, err := l.sequenceName(ctx, db)
	if err != nil {
		return err
	}
	if err := allowConnecting(ctx, db, role); err != nil {
		return err
	}
	if err := l.allowUsage(ctx, db, role); err != nil {
		return err
	}
	for _, statement := range []string{
		fmt.Sprintf("GRANT SELECT ON %s TO %s", l.sql.relation, quote(role)),
		fmt.Sprintf("GRANT SELECT ON SEQUENCE %s TO %s", sequence, quote(role)),
	} {
		if err := change(ctx, db, statement); err != nil {
			return fmt.Errorf("let %s read the log: %w", role, err)
		}
	}
	return nil
}

// ForbidReading takes a role's right to read the log away. It returns a
// [*PreconditionError] when the role can read it nevertheless, by a grant of
// somebody else.
func (l *Log) ForbidReading(ctx context.Context, db DB, role string) error {
	if err := change(ctx, db, fmt.Sprintf("REVOKE SELECT ON %s FROM %s", l.sql.relation, quote(role))); err != nil {
		return fmt.Errorf("take the right to read the log from %s: %w", role, err)
	}
	var still bool
	if err := db.QueryRow(ctx, "SELECT has_any_column_privilege($1, "+l.sql.regclass+", 'SELECT')", role).Scan(&still); err != nil {
		return fmt.Errorf("read whether %s can read the log: %w", role, err)
	}
	if still {
		return refuse(ReasonRights, "role %s can read the log %s by a grant of somebody else, or as everybody can; run REVOKE SELECT ON %[2]s FROM PUBLIC, or from the role that has it",
			role, l.sql.relation)
	}
	return nil
}

// change changes a right, which other releases may be doing too. What is part
// of a transaction cannot be tried again by itself.
func change(ctx context.Context, db DB, statement string) error {
	do := func() error {
		_, err := db.Exec(ctx, statement)
		return err
	}
	if _, inTransaction := db.(pgx.Tx); inTransaction {
		return do()
	}
	return catalog.Change(ctx, do)
}

// allowConnecting lets a role connect where not everybody may. Who cannot grant
// that is warned by Postgres, not refused, so that it looks again.
func allowConnecting(ctx context.Context, db DB, role string) error {
	var database, account string
	var may bool
	look := func() error {
		err := db.QueryRow(ctx, "SELECT current_database()::text, current_user::text, has_database_privilege($1, current_database(), 'CONNECT')", role).
			Scan(&database, &account, &may)
		if err != nil {
			return fmt.Errorf("read whether %s may connect: %w", role, err)
		}
		return nil
	}
	if err := look(); err != nil || may {
		return err
	}
	if err := change(ctx, db, fmt.Sprintf("GRANT CONNECT ON DATABASE %s TO %s", quote(database), quote(role))); err != nil {
		return fmt.Errorf("let %s connect to database %s: %w", role, database, err)
	}
	if err := look(); err != nil || may {
		return err
	}
	return refuse(ReasonRights, "%s may not let role %s connect to database %s; as its owner run GRANT CONNECT ON DATABASE %s TO %s WITH GRANT OPTION",
		account, role, database, quote(database), quote(account))
}

// allowUsage looks first: the log's owner need not be the owner of its schema,
// and then cannot grant what everybody has anyhow.
func (l *Log) allowUsage(ctx context.Context, db DB, role string) error {
	var has bool
	if err := db.QueryRow(ctx, "SELECT has_schema_privilege($1, $2, 'USAGE')", role, l.table.Schema).Scan(&has); err != nil {
		return fmt.Errorf("read whether %s may use schema %s: %w", role, l.table.Schema, err)
	}
	if has {
		return nil
	}
	if err := change(ctx, db, fmt.Sprintf("GRANT USAGE ON SCHEMA %s TO %s", quote(l.table.Schema), quote(role))); err != nil {
		return fmt.Errorf("let %s use schema %s: %w", role, l.table.Schema, err)
	}
	return nil
}

// AllowAppending lets a role append: what the application writes of an event,
// but not its position, nor its time unless the application sets that. A
// position that a default draws takes the right to draw from the sequence, too.
func (l *Log) AllowAppending(ctx context.Context, db DB, role string) error {
	statements := []string{l.grantInsert(quote(role))}
	if len(l.table.Updated) > 0 {
		statements = append(statements, fmt.Sprintf("GRANT UPDATE (%s) ON %s TO %s", quoteAll(l.table.Updated), l.sql.relation, quote(role)))
	}
	sequence, drawn, err := l.drawn(ctx, db)
	if err != nil {
		return err
	}
	if drawn {
		statements = append(statements, fmt.Sprintf("GRANT USAGE ON SEQUENCE %s TO %s", sequence, quote(role)))
	}
	for _, statement := range statements {
		if err := change(ctx, db, statement); err != nil {
			return fmt.Errorf("let %s append to the log: %w", role, err)
		}
	}
	return nil
}

// drawn reports whether the position comes from a default, which draws it with
// the rights of the one who inserts, as an identity does not.
func (l *Log) drawn(ctx context.Context, db DB) (sequence string, drawn bool, err error) {
	if sequence, err = l.sequenceName(ctx, db); err != nil {
		return "", false, err
	}
	err = db.QueryRow(ctx, "SELECT attidentity = '' FROM pg_attribute WHERE attrelid = "+l.sql.regclass+" AND attname = $1", l.table.Position).Scan(&drawn)
	if err != nil {
		return "", false, fmt.Errorf("read how %s gets its positions: %w", l.sql.relation, err)
	}
	return sequence, drawn, nil
}

// ForbidAppending takes a role's right to append away. Transactions of the
// role that have appended already go on; see [Log.HoldersOf]. The role may still
// complete, by an UPDATE of its own, what it appended before.
func (l *Log) ForbidAppending(ctx context.Context, db DB, role string) error {
	// Revoking the table's privilege takes the columns' along.
	if err := change(ctx, db, fmt.Sprintf("REVOKE INSERT ON %s FROM %s", l.sql.relation, quote(role))); err != nil {
		return fmt.Errorf("take the right to append from %s: %w", role, err)
	}
	return nil
}

// Appenders are those of the given roles that can append, by a grant of
// anybody or as a member of a role that can, even one that has to SET ROLE
// first. Roles that do not exist cannot.
func (l *Log) Appenders(ctx context.Context, db DB, roles []string) ([]string, error) {
	rows, err := db.Query(ctx, `SELECT r.rolname::text FROM pg_roles r WHERE r.rolname = ANY($1) AND EXISTS (
		SELECT FROM pg_roles g WHERE pg_has_role(r.oid, g.oid, 'MEMBER') AND has_any_column_privilege(g.oid, `+l.sql.regclass+`, 'INSERT')) ORDER BY 1`, roles)
	if err != nil {
		return nil, fmt.Errorf("read who can append to the log: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("read who can append to the log: %w", err)
	}
	return found, nil
}

// CheckOwner returns a [*PreconditionError] unless the connected account owns
// the log, as it must to grant and revoke the versions' rights.
func (l *Log) CheckOwner(ctx context.Context, db DB) error {
	var account, owner string
	var owns bool
	err := db.QueryRow(ctx, `SELECT current_user::text, relowner::regrole::text, pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = `+l.sql.regclass).
		Scan(&account, &owner, &owns)
	if err != nil {
		return fmt.Errorf("read the owner of %s: %w", l.sql.relation, err)
	}
	if owns {
		return nil
	}
	return refuse(ReasonRights, "the account %s does not own the log, so it cannot give versions their rights; run ALTER TABLE %s OWNER TO %s, or GRANT %s TO %s",
		quote(account), l.sql.relation, quote(account), owner, quote(account))
}
