package catalog_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/nawhas/nawhas-operator/internal/catalog"
	"github.com/nawhas/nawhas-operator/internal/pgtest"
)

var server *pgtest.Server

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m, &server)) }

func TestManyThatGrantAtOnceAllDo(t *testing.T) {
	url := server.Database(t)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if _, err := conn.Exec(t.Context(), "CREATE TABLE shared (id int)"); err != nil {
		t.Fatal(err)
	}
	const sessions, grants = 8, 20
	all, ctx := errgroup.WithContext(t.Context())
	for session := range sessions {
		role := fmt.Sprintf("grantee_%d", session)
		if _, err := conn.Exec(t.Context(), "CREATE ROLE "+role); err != nil {
			t.Fatal(err)
		}
		all.Go(func() error { return grantAndRevoke(ctx, url, role, grants) })
	}
	if err := all.Wait(); err != nil {
		t.Fatal(err)
	}
	var granted int
	err = conn.QueryRow(t.Context(), "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'grantee%' AND has_table_privilege(oid, 'shared', 'SELECT')").Scan(&granted)
	if err != nil || granted != sessions {
		t.Errorf("%d of %d roles were granted what they were, %v", granted, sessions, err)
	}
}

// grantAndRevoke ends with a grant.
func grantAndRevoke(ctx context.Context, url, role string, times int) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.Background()) }()
	for range times {
		for _, statement := range []string{"GRANT INSERT ON shared TO " + role, "REVOKE INSERT ON shared FROM " + role, "GRANT SELECT ON shared TO " + role} {
			err := catalog.Change(ctx, func() error {
				_, err := conn.Exec(ctx, statement)
				return err
			})
			if err != nil {
				return fmt.Errorf("%s: %w", statement, err)
			}
		}
	}
	return nil
}

func TestOtherErrorsAreNotTriedAgain(t *testing.T) {
	wanted, tries := errors.New("no"), 0
	err := catalog.Change(t.Context(), func() error { tries++; return wanted })
	if !errors.Is(err, wanted) || tries != 1 {
		t.Errorf("tried %d times, %v", tries, err)
	}
}
