package versiondb

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

const invalidPassword = "28P01"

// TakesPassword reports whether a server takes the password of a connection. No
// server tells what password a role has, so this one is tried. What else may keep
// a role from connecting is not asked here.
func TakesPassword(ctx context.Context, config *pgx.ConnConfig) bool {
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return !isCode(err, invalidPassword)
	}
	_ = conn.Close(ctx)
	return true
}

// ResetPassword gives a role its password again, which somebody changed, took or
// let expire: what [EnsureRole] goes by, the fingerprint, has stayed the same.
func ResetPassword(ctx context.Context, db DB, role Role) error {
	verifier, err := scramVerifier(role.Password)
	if err != nil {
		return err
	}
	if _, err := db.Exec(ctx, fmt.Sprintf("ALTER ROLE %s LOGIN PASSWORD '%s' VALID UNTIL 'infinity'", quote(role.Name), verifier)); err != nil {
		return fmt.Errorf("put the password of role %s back: %w", role.Name, err)
	}
	return nil
}
