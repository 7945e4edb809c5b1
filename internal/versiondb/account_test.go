package versiondb_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/nawhas/nawhas-operator/internal/versiondb"
)

const ledgerSchema = "nawhas_ledger"

func TestTheDatabasesAccountsMissingRights(t *testing.T) {
	for attributes, want := range map[string][]string{
		"":                    {"create databases", "create roles"},
		"CREATEDB":            {"create roles"},
		"CREATEROLE":          {"create databases"},
		"CREATEDB CREATEROLE": nil,
		"SUPERUSER":           nil,
	} {
		t.Run(attributes, func(t *testing.T) {
			a := newAccount(t, server, "any", attributes)
			helps(t, a.connect(t, "postgres"), a, "postgres", want, versiondb.CheckDatabasesAccount)
		})
	}
}

func TestTheSourceAccountsMissingRights(t *testing.T) {
	check := func(ctx context.Context, db versiondb.DB) error {
		return versiondb.CheckSourceAccount(ctx, db, ledgerSchema)
	}
	const schema, inUse = "create the schema", "use the schema"
	for _, test := range []struct {
		name, attributes string
		prepare          []string
		want             []string
	}{
		{"nothing", "", nil, []string{"create roles", schema}},
		{"creates roles", "CREATEROLE", nil, []string{schema}},
		{"creates schemas", "", []string{"GRANT CREATE ON DATABASE %[1]s TO %[2]q"}, []string{"create roles"}},
		{"owns the database", "CREATEROLE", []string{"ALTER DATABASE %[1]s OWNER TO %[2]q"}, nil},
		{"owns the ledger", "CREATEROLE", []string{"CREATE SCHEMA nawhas_ledger AUTHORIZATION %[2]q"}, nil},
		{"somebody else's ledger", "CREATEROLE", []string{"CREATE ROLE \"%[2]s-before\"", "CREATE SCHEMA nawhas_ledger AUTHORIZATION \"%[2]s-before\""}, []string{inUse}},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := newAccount(t, server, "any", test.attributes)
			database := databaseName(t, server.Database(t))
			for _, statement := range test.prepare {
				server.Exec(t, database, fmt.Sprintf(statement+" -- %[1]s", database, a.name))
			}
			helps(t, a.connect(t, database), a, database, test.want, check)
		})
	}
}

// helps checks that every missing right is named, and that the statements in
// the message, run by an administrator, are all that was missing.
func helps(t *testing.T, conn *pgx.Conn, a account, database string, want []string, check func(context.Context, versiondb.DB) error) {
	t.Helper()
	err := check(t.Context(), conn)
	if len(want) == 0 {
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	lacking, ok := errors.AsType[*versiondb.RightsError](err)
	if !ok || lacking.Account != a.name || len(lacking.Missing) != len(want) {
		t.Fatalf("got %v; want the account %s to lack %v", err, a.name, want)
	}
	for i, missing := range lacking.Missing {
		if !strings.Contains(missing.What, want[i]) || !strings.Contains(err.Error(), missing.Grant) || !strings.Contains(err.Error(), missing.What) {
			t.Errorf("right %d is %+v, told as %q; want %s", i, missing, err, want[i])
		}
		server.Exec(t, database, missing.Grant)
	}
	if err := check(t.Context(), conn); err != nil {
		t.Errorf("the statements did not help: %v", err)
	}
}

func databaseName(t *testing.T, url string) string {
	t.Helper()
	config, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	return config.Database
}
