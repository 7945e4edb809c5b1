package versiondb

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Role is one of a version's two roles, or a login of one, as it should be.
type Role struct {
	Name string
	// Password is empty for a role that keeps the one that it has, if any.
	Password string
	Stamp    Stamp
	// ActsAs is the role that a login becomes when it connects.
	ActsAs string
	// Members are the accounts of the operator, which need sight of the role's
	// sessions and the right to end them. Those that a server lacks are passed over.
	Members []string
	// ConnectionLimit is how many sessions the role may have at a time, 0 for any
	// number.
	ConnectionLimit int32
}

// roleSettings end the sessions of a lost node in minutes: without them such a
// session keeps its locks for as long as TCP takes to notice, which is hours.
var roleSettings = map[string]string{
	"idle_in_transaction_session_timeout": "60s",
	"tcp_keepalives_idle":                 "30",
	"tcp_keepalives_interval":             "10",
	"tcp_keepalives_count":                "3",
	"lock_timeout":                        "60s",
}

// EnsureRole makes the role or, when it carries the same stamp, brings its
// password up to date. A role of that name with another owner is a
// *ForeignError. It writes only when something differs.
func EnsureRole(ctx context.Context, db Beginner, role Role) error {
	comment := role.Stamp.String()
	return pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		found, err := roleComment(ctx, tx, role.Name)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return createRole(ctx, tx, role)
		case err != nil:
			return fmt.Errorf("look for role %s: %w", role.Name, err)
		}
		stamp, ok := ParseStamp(withoutFingerprint(found))
		if !ok || !stamp.SameOwner(role.Stamp) {
			return &ForeignError{Kind: "role", Name: role.Name, Comment: withoutFingerprint(found)}
		}
		if role.Password != "" && found != withFingerprint(comment, role.Password) {
			if err := setPassword(ctx, tx, role, "ALTER"); err != nil {
				return err
			}
		}
		if err := permitLogin(ctx, tx, role); err != nil {
			return err
		}
		if err := become(ctx, tx, role); err != nil {
			return err
		}
		if err := limitConnections(ctx, tx, role); err != nil {
			return err
		}
		return grantMembership(ctx, tx, role)
	})
}

// permitLogin lets a role log in again that somebody kept from it.
func permitLogin(ctx context.Context, tx pgx.Tx, role Role) error {
	var may bool
	if err := tx.QueryRow(ctx, "SELECT rolcanlogin FROM pg_roles WHERE rolname = $1", role.Name).Scan(&may); err != nil {
		return fmt.Errorf("read whether role %s may log in: %w", role.Name, err)
	}
	if may {
		return nil
	}
	if _, err := tx.Exec(ctx, "ALTER ROLE "+quote(role.Name)+" LOGIN"); err != nil {
		return fmt.Errorf("let role %s log in: %w", role.Name, err)
	}
	return nil
}

// limitConnections bounds the role's sessions, or no longer does. Sessions that
// are open stay.
func limitConnections(ctx context.Context, tx pgx.Tx, role Role) error {
	wanted := role.ConnectionLimit
	if wanted == 0 {
		wanted = -1
	}
	var now int32
	if err := tx.QueryRow(ctx, "SELECT rolconnlimit FROM pg_roles WHERE rolname = $1", role.Name).Scan(&now); err != nil {
		return fmt.Errorf("read the connection limit of role %s: %w", role.Name, err)
	}
	if now == wanted {
		return nil
	}
	if _, err := tx.Exec(ctx, fmt.Sprintf("ALTER ROLE %s CONNECTION LIMIT %d", quote(role.Name), wanted)); err != nil {
		return fmt.Errorf("limit the connections of role %s: %w", role.Name, err)
	}
	return nil
}

// Beginner begins transactions: a connection or a pool.
type Beginner interface {
	Begin(ctx context.Context) (pgx.Tx, error)
}

// createRole leaves the attributes at their defaults: a plain role.
func createRole(ctx context.Context, tx pgx.Tx, role Role) error {
	if err := setPassword(ctx, tx, role, "CREATE"); err != nil {
		return err
	}
	var settings strings.Builder
	for _, setting := range slices.Sorted(maps.Keys(roleSettings)) {
		fmt.Fprintf(&settings, "ALTER ROLE %s SET %s = '%s';", quote(role.Name), setting, roleSettings[setting])
	}
	if _, err := tx.Exec(ctx, settings.String()); err != nil {
		return fmt.Errorf("set the time limits of role %s: %w", role.Name, err)
	}
	if err := become(ctx, tx, role); err != nil {
		return err
	}
	if err := limitConnections(ctx, tx, role); err != nil {
		return err
	}
	return grantMembership(ctx, tx, role)
}

// setPassword names no other attribute: even to take SUPERUSER from a role
// that does not have it, one must be a superuser.
func setPassword(ctx context.Context, tx pgx.Tx, role Role, verb string) error {
	statement, stamp := fmt.Sprintf("%s ROLE %s LOGIN", verb, quote(role.Name)), role.Stamp.String()
	if role.Password != "" {
		verifier, err := scramVerifier(role.Password)
		if err != nil {
			return err
		}
		statement, stamp = statement+" PASSWORD '"+verifier+"'", withFingerprint(stamp, role.Password)
	}
	if _, err := tx.Exec(ctx, statement); err != nil {
		return fmt.Errorf("%s role %s: %w", strings.ToLower(verb), role.Name, err)
	}
	return comment(ctx, tx, "ROLE", role.Name, stamp)
}

// grantMembership asks for USAGE, not MEMBER: from Postgres 16 on whoever makes
// a role is a member that may administer it, but not see its sessions.
func grantMembership(ctx context.Context, tx pgx.Tx, role Role) error {
	rows, err := tx.Query(ctx, `SELECT rolname FROM pg_roles WHERE rolname = ANY($1) AND NOT pg_has_role(oid, $2, 'USAGE')`, role.Members, role.Name)
	if err != nil {
		return fmt.Errorf("read the members of role %s: %w", role.Name, err)
	}
	missing, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("read the members of role %s: %w", role.Name, err)
	}
	for _, member := range missing {
		if _, err := tx.Exec(ctx, fmt.Sprintf("GRANT %s TO %s", quote(role.Name), quote(member))); err != nil {
			return fmt.Errorf("let %s see the sessions of role %s: %w", member, role.Name, err)
		}
	}
	return nil
}

// DropRole removes a role that carries the very stamp, with its logins and its
// rights in the database that db is connected to. A role that is gone, or is not ours, is
// passed over. One whose objects in another database keep it stays, which is
// reported as false: dropping that database comes first.
func DropRole(ctx context.Context, db Beginner, name string, stamp Stamp) (gone bool, err error) {
	err = pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		found, err := roleComment(ctx, tx, name)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("look for role %s: %w", name, err)
		}
		// The build counts too: another one's role may be in use.
		if found, ok := ParseStamp(withoutFingerprint(found)); !ok || found != stamp {
			return nil
		}
		if err := dropLogins(ctx, tx, name, stamp); err != nil {
			return err
		}
		return dropRole(ctx, tx, name)
	})
	const dependentObjects = "2BP01"
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) && pgErr.Code == dependentObjects {
		return false, nil
	}
	return err == nil, err
}

func dropRole(ctx context.Context, tx pgx.Tx, name string) error {
	if _, err := tx.Exec(ctx, "DROP OWNED BY "+quote(name)); err != nil {
		return fmt.Errorf("take the rights of role %s: %w", name, err)
	}
	if _, err := tx.Exec(ctx, "DROP ROLE "+quote(name)); err != nil {
		return fmt.Errorf("drop role %s: %w", name, err)
	}
	return nil
}

// EndSessions ends every session of a role and of its logins on the server that
// db is connected to, and returns how many there were.
func EndSessions(ctx context.Context, db DB, role string) (int, error) {
	var ended int
	err := db.QueryRow(ctx, `SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity
		WHERE usesysid IN (SELECT oid FROM pg_roles WHERE rolname = $1 OR 'role=' || $1 = ANY(rolconfig))`, role).Scan(&ended)
	if err != nil {
		return 0, fmt.Errorf("end the sessions of role %s: %w", role, err)
	}
	return ended, nil
}

func roleComment(ctx context.Context, db DB, name string) (string, error) {
	var found string
	err := db.QueryRow(ctx, `SELECT coalesce(shobj_description(oid, 'pg_authid'), '') FROM pg_roles WHERE rolname = $1`, name).Scan(&found)
	return found, err
}

func comment(ctx context.Context, db DB, kind, name, text string) error {
	quoted := "'" + strings.ReplaceAll(text, "'", "''") + "'"
	if _, err := db.Exec(ctx, fmt.Sprintf("COMMENT ON %s %s IS %s", kind, quote(name), quoted)); err != nil {
		return fmt.Errorf("stamp %s %s: %w", strings.ToLower(kind), name, err)
	}
	return nil
}

// The fingerprint tells whether a role has a given password without another
// login. 64 bits of a digest of 256 random bits reveal nothing.
func withFingerprint(comment, password string) string {
	digest := sha256.Sum256([]byte(password))
	return comment + " password=" + hex.EncodeToString(digest[:8])
}

func withoutFingerprint(comment string) string {
	stamp, _, _ := strings.Cut(comment, " password=")
	return stamp
}
