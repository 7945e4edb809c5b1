package versiondb

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// A role has one password. So that a new one can be handed out while the old one
// is still in use, each password after a version's first belongs to a login: a
// role of its own that becomes the app role as soon as it connects. Rights,
// fences and reports go by the app role, whoever logged in.

// LoginOf is what the login of a password of an app role is called. It is no
// longer than names of roles may be, and no name of another version's.
func LoginOf(app, password string) string {
	digest := sha256.Sum256([]byte(password))
	return strings.TrimSuffix(app, "_app") + "_a" + hex.EncodeToString(digest[:2])
}

// Logins are the roles that become a role when they connect.
func Logins(ctx context.Context, db DB, role string) ([]string, error) {
	rows, err := db.Query(ctx, `SELECT rolname::text FROM pg_roles WHERE 'role=' || $1 = ANY(rolconfig) ORDER BY 1`, role)
	if err != nil {
		return nil, fmt.Errorf("read the logins of role %s: %w", role, err)
	}
	logins, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("read the logins of role %s: %w", role, err)
	}
	return logins, nil
}

// become has a login become its role when it connects.
func become(ctx context.Context, tx pgx.Tx, role Role) error {
	if role.ActsAs == "" {
		return nil
	}
	var does bool
	err := tx.QueryRow(ctx, `SELECT coalesce('role=' || $2 = ANY(r.rolconfig), false)
			AND EXISTS (SELECT FROM pg_auth_members m JOIN pg_roles a ON a.oid = m.roleid WHERE m.member = r.oid AND a.rolname = $2)
		FROM pg_roles r WHERE r.rolname = $1`, role.Name, role.ActsAs).Scan(&does)
	if err != nil {
		return fmt.Errorf("read whom %s acts as: %w", role.Name, err)
	}
	if does {
		return nil
	}
	statements := fmt.Sprintf("GRANT %[1]s TO %[2]s; ALTER ROLE %[2]s SET role = %[1]s", quote(role.ActsAs), quote(role.Name))
	if _, err := tx.Exec(ctx, statements); err != nil {
		return fmt.Errorf("let %s act as %s: %w", role.Name, role.ActsAs, err)
	}
	return nil
}

// Pool is a connection, or a pool of them, that begins transactions.
type Pool interface {
	DB
	Beginner
}

// Spares are the ways to log in as a role other than the current one: logins,
// and the role itself while it has a password. Only those with its stamp count.
func Spares(ctx context.Context, db DB, role, current string, stamp Stamp) ([]string, error) {
	rows, err := db.Query(ctx, `SELECT rolname::text, coalesce(shobj_description(oid, 'pg_authid'), '') FROM pg_roles
		WHERE rolname <> $2 AND (rolname = $1 OR 'role=' || $1 = ANY(rolconfig)) ORDER BY 1`, role, current)
	if err != nil {
		return nil, fmt.Errorf("read the logins of role %s: %w", role, err)
	}
	var spares []string
	var name, comment string
	_, err = pgx.ForEachRow(rows, []any{&name, &comment}, func() error {
		stamped := withoutFingerprint(comment)
		found, ours := ParseStamp(stamped)
		if ours && found.SameOwner(stamp) && (name != role || stamped != comment) {
			spares = append(spares, name)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the logins of role %s: %w", role, err)
	}
	return spares, nil
}

// CloseSpares ends all ways to log in as a role but the current one, and the
// sessions that came by them.
func CloseSpares(ctx context.Context, db Pool, role, current string, stamp Stamp) error {
	spares, err := Spares(ctx, db, role, current, stamp)
	if err != nil || len(spares) == 0 {
		return err
	}
	for _, name := range spares {
		if err := takePassword(ctx, db, name, stamp); err != nil {
			return err
		}
	}
	if _, err := db.Exec(ctx, "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = ANY($1)", spares); err != nil {
		return fmt.Errorf("end the sessions of %s: %w", strings.Join(spares, ", "), err)
	}
	for _, name := range spares {
		if name == role {
			continue
		}
		if _, err := DropRole(ctx, db, name, stamp); err != nil {
			return err
		}
	}
	return nil
}

// takePassword leaves a role that nobody can log in as with a password.
func takePassword(ctx context.Context, db Beginner, role string, stamp Stamp) error {
	return pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, fmt.Sprintf("ALTER ROLE %s PASSWORD NULL", quote(role))); err != nil {
			return fmt.Errorf("take the password of role %s: %w", role, err)
		}
		return comment(ctx, tx, "ROLE", role, stamp.String())
	})
}

// dropLogins removes the logins of a role which carry its very stamp.
func dropLogins(ctx context.Context, tx pgx.Tx, role string, stamp Stamp) error {
	logins, err := Logins(ctx, tx, role)
	if err != nil {
		return err
	}
	for _, login := range logins {
		found, err := roleComment(ctx, tx, login)
		if err != nil {
			return fmt.Errorf("look for role %s: %w", login, err)
		}
		if ours, ok := ParseStamp(withoutFingerprint(found)); !ok || ours != stamp {
			continue
		}
		if err := dropRole(ctx, tx, login); err != nil {
			return err
		}
	}
	return nil
}
