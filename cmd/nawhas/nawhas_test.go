package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/nawhas/nawhas-operator/internal/pgtest"
	"github.com/nawhas/nawhas-operator/internal/projection"
	"github.com/nawhas/nawhas-operator/internal/verify"
)

var postgres *pgtest.Server

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m, &postgres)) }

// nawhas runs a command as main does and returns what it printed.
func nawhas(t *testing.T, args ...string) (string, error) {
	t.Helper()
	return nawhasUntil(t.Context(), t, args...)
}

func nawhasUntil(ctx context.Context, t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out, log bytes.Buffer
	began := false
	root := command(&began)
	root.SetArgs(args)
	root.SetOut(&out)
	root.SetErr(&log)
	err := root.ExecuteContext(ctx)
	if err != nil && !began {
		err = &usageError{err}
	}
	t.Logf("nawhas %s: %v\n%s%s", args[0], err, &out, &log)
	return out.String(), err
}

// environment points the commands at two new databases.
func environment(t *testing.T) {
	t.Helper()
	t.Setenv("NAWHAS_SOURCE_URL", postgres.Database(t))
	t.Setenv("NAWHAS_DATABASE_URL", postgres.Database(t))
}

func succeed(t *testing.T, args ...string) string {
	t.Helper()
	out, err := nawhas(t, args...)
	if err != nil {
		t.Fatalf("nawhas %s: %v", strings.Join(args, " "), err)
	}
	return out
}

func TestAVersionIsBuiltFollowedAndVerified(t *testing.T) {
	environment(t)
	succeed(t, "source", "init")
	succeed(t, "source", "init")
	succeed(t, "generate", "--events", "3000", "--seed", "7")
	if out := succeed(t, "migrate"); !strings.Contains(out, " 2 in all") {
		t.Errorf("migrate printed %q", out)
	}
	if out := succeed(t, "migrate"); !strings.Contains(out, "0 migrations applied") {
		t.Errorf("a second migrate printed %q", out)
	}
	if out := succeed(t, "replay"); !strings.Contains(out, "at position 3000 after 3,000 events") {
		t.Errorf("replay printed %q", out)
	}
	succeed(t, "replay")
	succeed(t, "verify")
	succeed(t, "generate", "--events", "500", "--seed", "8")
	succeed(t, "follow", "--until", "3300")

	t.Setenv("NAWHAS_JOB_UID", "a-job")
	t.Setenv("NAWHAS_BUILD", "a-build")
	var evidence verify.Evidence
	if err := json.Unmarshal([]byte(succeed(t, "verify", "-o", "json")), &evidence); err != nil {
		t.Fatal(err)
	}
	if !evidence.Passed || evidence.Position != 3300 || evidence.Events != 3300 || evidence.Job != "a-job" || evidence.Build != "a-build" {
		t.Errorf("evidence %+v", evidence)
	}
}

func TestFollowEndsCleanlyWhenItIsStopped(t *testing.T) {
	if err := stoppedFollow(t); err != nil {
		t.Errorf("follow ended with %v", err)
	}
}

// Whoever asked for a position must not take an interrupt for it.
func TestFollowThatIsStoppedBeforeItsPositionFailed(t *testing.T) {
	if err := stoppedFollow(t, "--until", "200"); exitCode(err) != exitFailed || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("follow ended with %v", err)
	}
}

// stoppedFollow is what a follower of a hundred events that is stopped ends with.
func stoppedFollow(t *testing.T, flags ...string) error {
	t.Helper()
	environment(t)
	succeed(t, "source", "init")
	succeed(t, "generate", "--events", "100")
	succeed(t, "migrate")
	succeed(t, "replay")
	ctx, stop := context.WithTimeout(t.Context(), time.Second)
	defer stop()
	_, err := nawhasUntil(ctx, t, append([]string{"follow"}, flags...)...)
	return err
}

func TestExitCodes(t *testing.T) {
	environment(t)
	succeed(t, "source", "init")
	for name, c := range map[string]struct {
		args []string
		code int
	}{
		"unknown command":      {[]string{"explode"}, exitUsage},
		"unknown flag":         {[]string{"replay", "--fast"}, exitUsage},
		"argument":             {[]string{"replay", "now"}, exitUsage},
		"nothing to generate":  {[]string{"generate"}, exitUsage},
		"odd position":         {[]string{"follow", "--until", "-3"}, exitUsage},
		"odd event":            {[]string{"replay", "--skip", "seven"}, exitUsage},
		"a rate below nothing": {[]string{"replay", "--max-events-per-second", "-1"}, exitUsage},
		"odd output":           {[]string{"verify", "-o", "xml"}, exitUsage},
		"odd argument":         {[]string{"verify", "today.json"}, exitUsage},
		"no such plan":         {[]string{"verify", "--plan", "nowhere.json"}, exitUsage},
		"no such report":       {[]string{"verify", "--report", "nowhere.json"}, exitUsage},
		"odd URL":              {[]string{"migrate", "--database-url", "postgres://:port/%"}, exitUsage},
		"odd uploads":          {[]string{"serve", "--uploads-url", "gopher://x"}, exitUsage},
		"odd waits":            {[]string{"serve", "--read-wait", "1m"}, exitUsage},
		"not migrated":         {[]string{"replay"}, exitFailed},
		"nothing to verify":    {[]string{"verify"}, exitFailed},
		"nobody there":         {[]string{"migrate", "--database-url", "postgres://x@127.0.0.1:1/x?connect_timeout=2"}, exitFailed},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := nawhas(t, c.args...)
			if err == nil || exitCode(err) != c.code {
				t.Errorf("exit code %d (%v), want %d", exitCode(err), err, c.code)
			}
		})
	}
	t.Run("another version's image", func(t *testing.T) {
		t.Setenv("NAWHAS_VERSION", "9.9.9")
		for _, name := range []string{"migrate", "replay", "follow", "verify", "serve"} {
			if _, err := nawhas(t, name); exitCode(err) != exitUsage || !strings.Contains(err.Error(), "9.9.9") {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
	t.Run("no connection", func(t *testing.T) {
		t.Setenv("NAWHAS_SOURCE_URL", "")
		if _, err := nawhas(t, "replay"); exitCode(err) != exitUsage {
			t.Errorf("got %v", err)
		}
	})
}

func TestPoisonAndDamageHaveTheirOwnExitCodes(t *testing.T) {
	environment(t)
	succeed(t, "source", "init")
	succeed(t, "generate", "--events", "50")
	poison := uuid.NewString()
	postgres.Exec(t, database(os.Getenv("NAWHAS_SOURCE_URL")), "INSERT INTO events (id, name, payload) VALUES ('"+poison+"', 'ReciterExploded', '{\"secret\": 1}')")
	succeed(t, "migrate")
	_, err := nawhas(t, "replay")
	var found *projection.Poison
	if exitCode(err) != exitPoison || !errors.As(err, &found) || found.Position != 51 || strings.Contains(err.Error(), "secret") {
		t.Fatalf("replay ended with %v", err)
	}
	succeed(t, "replay", "--skip", poison)
	if _, err := nawhas(t, "verify"); err != nil {
		t.Errorf("an event that was skipped on request fails the verification: %v", err)
	}
	postgres.Exec(t, database(os.Getenv("NAWHAS_DATABASE_URL")), "DELETE FROM projected_events WHERE projector = 'revisions'")
	out, err := nawhas(t, "verify")
	if exitCode(err) != exitVerification || !strings.Contains(out, "FAILED") {
		t.Errorf("verify of a damaged database ended with %v", err)
	}
}

func TestTheReasonOfAFailureIsLeftForThePod(t *testing.T) {
	path := filepath.Join(t.TempDir(), "termination-log")
	t.Setenv("NAWHAS_TERMINATION_LOG", path)
	var out bytes.Buffer
	if code := report(t.Context(), &out, errors.New("a reason\non two lines")); code != exitFailed {
		t.Errorf("exit code %d", code)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("the file was made although the pod has none")
	}
	if err := os.WriteFile(path, []byte("something longer from before"), 0o600); err != nil {
		t.Fatal(err)
	}
	report(t.Context(), &out, errors.New("a reason\non two lines"))
	left, err := os.ReadFile(path)
	if err != nil || string(left) != "a reason on two lines" {
		t.Errorf("left %q, %v", left, err)
	}
	report(t.Context(), &out, errors.New(strings.Repeat("é", terminationLimit)))
	if left, _ := os.ReadFile(path); len(left) > terminationLimit {
		t.Errorf("left %d bytes", len(left))
	}
}

func TestHelpShowsNoPassword(t *testing.T) {
	t.Setenv("NAWHAS_DATABASE_URL", "postgres://role:hunter2@host/db")
	t.Setenv("NAWHAS_SOURCE_URL", "postgres://role:hunter2@host/db")
	for _, name := range []string{"migrate", "replay", "follow", "verify", "serve", "generate"} {
		if out := succeed(t, name, "--help"); strings.Contains(out, "hunter2") {
			t.Errorf("nawhas %s --help shows the password", name)
		}
	}
}
