package docs

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/jackc/pgx/v5"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/nawhas/nawhas-operator/internal/eventlog"
	"github.com/nawhas/nawhas-operator/internal/pgtest"
)

var postgres *pgtest.Server

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard())
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		_ = os.Setenv("KUBEBUILDER_ASSETS", filepath.Join(root, "bin", "kubernetes"))
	}
	folder, err := os.MkdirTemp("", "docs-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(folder) }()
	programs.folder = folder
	return pgtest.Run(m, &postgres)
}

// statementsElsewhere are those that make no account, by a text in them, and
// what is known of them.
var statementsElsewhere = map[string]string{
	"stored_events":                    "internal/eventlog and controllers/release try the like on such a log",
	"UPDATE nawhas_ledger.checkpoints": "internal/ledger tests what a role may report",
	"UPDATE checkpoint SET position":   "it is a pattern; internal/projection tests the statement",
}

// TestStatementsRun asks a server what the documents ask it. What they tell an
// administrator to run is run as one who is no superuser, and the accounts that
// come of it make the log and a database.
func TestStatementsRun(t *testing.T) {
	for _, d := range documents(t) {
		var statements []string
		for _, b := range d.blocks {
			switch {
			case b.language != "sql" || isElsewhere(b.text):
			case strings.Contains(b.text, "CREATE ROLE"):
				// A password that is left open is chosen here.
				statements = append(statements, strings.ReplaceAll(b.text, "…", "chosen"))
			case strings.HasPrefix(b.text, "CREATE TABLE events"):
				isTheLog(t, b.text)
			case strings.HasPrefix(b.text, "SELECT"):
				postgres.Exec(t, "postgres", b.text)
			default:
				t.Errorf("%s has statements that are not known here", b.in(d))
			}
		}
		if len(statements) > 0 {
			t.Run(d.path, func(t *testing.T) { makeAccounts(t, d.path, statements) })
		}
	}
}

func isElsewhere(text string) bool {
	for part := range statementsElsewhere {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}

// isTheLog holds the log that is told to the one that is made.
func isTheLog(t *testing.T, statements string) {
	postgres.Exec(t, "postgres", "CREATE DATABASE told", "CREATE DATABASE made")
	defer postgres.Exec(t, "postgres", "DROP DATABASE told WITH (FORCE)", "DROP DATABASE made WITH (FORCE)")
	postgres.Exec(t, "told", statements)
	if err := eventlog.New(eventlog.DefaultTable()).Init(t.Context(), connect(t, "postgres", "", "made")); err != nil {
		t.Fatal(err)
	}
	columns := func(database string) string {
		var text string
		err := connect(t, "postgres", "", database).QueryRow(t.Context(), `SELECT string_agg(concat_ws(' ', attname, format_type(atttypid, atttypmod), attnotnull, attidentity,
			pg_get_expr(adbin, adrelid)), ', ' ORDER BY attname) FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
			WHERE attrelid = 'events'::regclass AND attnum > 0`).Scan(&text)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	if told, made := columns("told"), columns("made"); told != made {
		t.Errorf("the log that is told is %s, made is %s", told, made)
	}
}

func makeAccounts(t *testing.T, path string, statements []string) {
	postgres.Exec(t, "postgres", "CREATE ROLE administrator LOGIN CREATEDB CREATEROLE PASSWORD 'secret'")
	defer postgres.Exec(t, "postgres", "DROP DATABASE IF EXISTS source", "DROP DATABASE IF EXISTS tried", "DROP ROLE IF EXISTS nawhas_tried",
		"DROP ROLE IF EXISTS nawhas_source", "DROP ROLE IF EXISTS nawhas_databases", "DROP ROLE administrator")
	administrator := connect(t, "administrator", "secret", "postgres")
	for _, block := range statements {
		for statement := range strings.SplitSeq(block, ";\n") {
			if strings.TrimSpace(statement) == "" {
				continue
			}
			if _, err := administrator.Exec(t.Context(), statement); err != nil {
				t.Fatalf("%s: %v", statement, err)
			}
		}
	}
	var member bool
	if err := administrator.QueryRow(t.Context(), "SELECT pg_has_role('administrator', 'nawhas_source', 'MEMBER')").Scan(&member); err != nil || member {
		t.Errorf("%s leaves the administrator a member of the log's owner: %v, %v", path, member, err)
	}
	passwords := passwordsIn(statements)
	initialize := exec.CommandContext(t.Context(), built(t, "nawhas"), "source", "init")
	initialize.Env = append(os.Environ(), "NAWHAS_SOURCE_URL="+postgres.URLAs("nawhas_source", passwords["nawhas_source"], "source"))
	if out, err := initialize.CombinedOutput(); err != nil || !strings.Contains(string(out), "the log is ready") {
		t.Errorf("nawhas source init: %v\n%s", err, out)
	}
	databases := connect(t, "nawhas_databases", passwords["nawhas_databases"], "postgres")
	for _, statement := range []string{"CREATE ROLE nawhas_tried", "CREATE DATABASE tried"} {
		if _, err := databases.Exec(t.Context(), statement); err != nil {
			t.Errorf("nawhas_databases: %s: %v", statement, err)
		}
	}
}

func connect(t *testing.T, role, password, database string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), postgres.URLAs(role, password, database))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// passwordsIn are the roles' passwords in the statements.
func passwordsIn(statements []string) map[string]string {
	passwords := map[string]string{}
	for line := range strings.Lines(strings.Join(statements, "")) {
		fields := strings.Fields(line)
		if len(fields) > 3 && strings.HasPrefix(line, "CREATE ROLE") {
			passwords[fields[2]] = strings.Trim(fields[len(fields)-1], "';")
		}
	}
	return passwords
}
