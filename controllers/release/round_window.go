package release

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	corev1 "k8s.io/api/core/v1"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/ledger"
	"github.com/nawhas/nawhas-operator/internal/versiondb"
	"github.com/nawhas/nawhas-operator/internal/window"
)

// fillPatience is how long one pass copies a part of the log.
const fillPatience = 2 * time.Second

// prepare fills the window and then makes the Job. It is suspended until it is
// recorded, so that no second one ever begins on top of what it left, whoever ends
// or deletes what in between.
func (d rounds) prepare(ctx context.Context, s *scope, v *ledger.Version, round *ledger.Round) (done bool, result outcome, err error) {
	filled, err := d.fill(ctx, s, v, round)
	if err != nil {
		return false, outcome{}, err
	}
	if !filled.Done() {
		return false, waiting(v1alpha1.ReasonReplaying, fmt.Sprintf("round %d: %d %% of its part of the log is copied", round.Number,
			percent(filled.Filled-round.From, round.Until-round.From)), pollFast), nil
	}
	return false, waiting(v1alpha1.ReasonReplaying, describeRound(v, "begins"), pollProgress), d.make(ctx, s, v, round)
}

// fill has the window hold the round's part of the log. Its connections are none
// of the pools', of which a switch holds two already.
func (d rounds) fill(ctx context.Context, s *scope, v *ledger.Version, round *ledger.Round) (window.Progress, error) {
	skip, err := skippedIDs(s.plans[v.Version])
	if err != nil {
		return window.Progress{}, err
	}
	var filled window.Progress
	err = s.guarded(ctx, func() error {
		source, err := pgx.ConnectConfig(ctx, s.source.config.Copy())
		if err != nil {
			return s.onSource(err)
		}
		defer func() { _ = source.Close(context.WithoutCancel(ctx)) }()
		server, err := pgx.ConnectConfig(ctx, s.databases.config.Copy())
		if err != nil {
			return s.onDatabases(err)
		}
		defer func() { _ = server.Close(context.WithoutCancel(ctx)) }()
		shown := s.windowOf(v)
		if err := shown.Ensure(ctx, server, source, v.OwnerRole); err != nil {
			return s.onDatabases(err)
		}
		filled, err = shown.Fill(ctx, source, window.Window{Round: round.Number, From: round.From, Until: round.Until}, skip, fillPatience)
		if err != nil {
			return s.onDatabases(err)
		}
		return nil
	})
	return filled, err
}

func (s *scope) windowOf(v *ledger.Version) *window.Database {
	return window.Of(v.Build, s.databases.config, s.log)
}

func skippedIDs(p *plan) ([]uuid.UUID, error) {
	var ids []uuid.UUID
	for _, text := range p.Replay.SkipEvents {
		id, err := uuid.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("read spec.replay.skipEvents: %w", err)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// shown has a container take another database, which lies on the databases
// server, for the source.
func (s *scope) shown(env []corev1.EnvVar, database string) []corev1.EnvVar {
	replaced := slices.Clone(env)
	for i := range replaced {
		from := replaced[i].ValueFrom
		if from == nil || from.SecretKeyRef == nil {
			continue
		}
		switch replaced[i].Name {
		case "NAWHAS_SOURCE_NAME":
			replaced[i] = corev1.EnvVar{Name: replaced[i].Name, Value: database}
		case "NAWHAS_SOURCE_URL":
			replaced[i] = corev1.EnvVar{Name: replaced[i].Name, Value: s.databases.expandedURL(database, certificatesDir+"/"+databasesCAKey)}
		case "NAWHAS_SOURCE_HOST", "NAWHAS_SOURCE_PORT":
			replaced[i].ValueFrom = from.DeepCopy()
			replaced[i].ValueFrom.SecretKeyRef.Key = strings.Replace(replaced[i].Name, "SOURCE", "DATABASE", 1)
		}
	}
	return replaced
}

// dropWindow removes a version's window, if it ever had one.
func (s *scope) dropWindow(ctx context.Context, v *ledger.Version) error {
	if err := s.windowOf(v).Drop(ctx, s.databasesPool); err != nil {
		return s.onDatabases(err)
	}
	return nil
}

// grantWriting lets an application that projects its own events write to its
// database.
func grantWriting(ctx context.Context, conn versiondb.DB, p *plan, names versiondb.Names) error {
	if !p.inRounds() {
		return nil
	}
	return versiondb.GrantWriting(ctx, conn, names)
}
