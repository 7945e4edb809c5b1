package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Role is what a version is for.
type Role string

// The roles of a version, in the order of its life.
const (
	Candidate Role = "Candidate"
	Live      Role = "Live"
	Warm      Role = "Warm"
	Retiring  Role = "Retiring"
)

// Version is a version of a release, as the ledger knows it.
type Version struct {
	Release, Version   string
	Build              uuid.UUID
	Database           string
	OwnerRole, AppRole string
	Role               Role
	Image              string
	Drains             int32
	// Mark is the watermark that the database must reach before the switch.
	Mark                 *int64
	MarkedAt             *time.Time
	LiveSince, WarmSince *time.Time
	// Held is why the version was sent back, nil when it may go live.
	Held *Held
	// NotBefore is the time before which the switch is not tried.
	NotBefore *time.Time
	// PlanDigest tells recorded plans apart, empty when there is none.
	PlanDigest string
	CreatedAt  time.Time
	Stages     map[string]Stage
	Checkpoint Checkpoint
	// Rounds are the last two in which the database was built, the newest first.
	Rounds []Round
}

// Stage is a stage that the version began and, when FinishedAt is set, passed.
type Stage struct {
	StartedAt  time.Time       `json:"startedAt"`
	FinishedAt *time.Time      `json:"finishedAt,omitempty"`
	Evidence   json.RawMessage `json:"evidence,omitempty"`
}

// Summary is the part of a stage's evidence that names the Job it comes from,
// and what the Job was about. It is empty when the evidence comes from no Job.
type Summary struct {
	Job   string `json:"job"`
	UID   string `json:"uid"`
	Image string `json:"image"`
	// ImageID is the image by its digest, as the node knows it.
	ImageID string `json:"imageId,omitempty"`
	Version string `json:"version"`
	Build   string `json:"build"`
	// Position is the checkpoint up to which the evidence holds.
	Position int64  `json:"position"`
	Detail   string `json:"detail,omitempty"`
}

// Summary reads the stage's evidence.
func (s Stage) Summary() Summary {
	var found Summary
	_ = json.Unmarshal(s.Evidence, &found) // evidence of another shape has no summary
	return found
}

// Checkpoint is what the version's own processes reported last.
type Checkpoint struct {
	Stage            string
	Position, Target int64
	// Rate is in events per second.
	Rate    float64
	Problem *Problem
	// Evidence is the last verification's, Audit that of the events after it.
	Evidence, Audit json.RawMessage
	ReportedAt      *time.Time
}

// The kinds of a Problem.
const (
	// KindUndecodable is an event that an edition knows and cannot apply.
	KindUndecodable = ""
	// KindUnknown is an event that an edition does not know.
	KindUnknown = "UnknownEvent"
	// KindDiverged is a log that is not the one the database was built from. It
	// names a position, and no event.
	KindDiverged = "Diverged"
	// KindRound is a round that failed: nobody knows what it left. It names the
	// position after which it began, and no event.
	KindRound = "RoundFailed"
)

// Problem is why a replay or a follower cannot go on.
type Problem struct {
	Kind      string    `json:"kind,omitempty"`
	Position  int64     `json:"position"`
	EventID   uuid.UUID `json:"eventId"`
	Name      string    `json:"name"`
	Version   int16     `json:"version"`
	Projector string    `json:"projector"`
	Message   string    `json:"message"`
}

// Passed reports whether the version has passed a stage.
func (v *Version) Passed(stage string) bool { return v.Stages[stage].FinishedAt != nil }

const readVersions = `
SELECT v.release, v.version, v.build, v.database, v.owner_role, v.app_role, v.role, v.image, v.drains, v.mark, v.marked_at,
       v.live_since, v.warm_since, v.held, v.not_before, v.plan_digest, v.created_at,
       coalesce((SELECT jsonb_object_agg(s.name, jsonb_build_object('startedAt', s.started_at, 'finishedAt', s.finished_at, 'evidence', s.evidence))
                 FROM nawhas_ledger.stages s WHERE s.release = v.release AND s.version = v.version), '{}'),
       coalesce(c.stage, ''), coalesce(c.position, 0), coalesce(c.target, 0), coalesce(c.rate, 0), c.problem, c.evidence, c.audit, c.reported_at,
       coalesce((SELECT jsonb_agg(to_jsonb(r) ORDER BY r.number DESC) FROM (SELECT number, from_position, until_position, tables, job, started_at, finished_at, events
                 FROM nawhas_ledger.rounds WHERE release = v.release AND version = v.version ORDER BY number DESC LIMIT 2) r), '[]')
FROM nawhas_ledger.versions v LEFT JOIN nawhas_ledger.checkpoints c ON c.role = v.owner_role
WHERE v.release = $1 ORDER BY v.created_at DESC`

// Versions reads all versions of the release, the newest first, in one query.
func (l *Ledger) Versions(ctx context.Context) ([]*Version, error) {
	rows, err := l.pool.Query(ctx, readVersions, l.release)
	if err != nil {
		return nil, fmt.Errorf("read the ledger of %s: %w", l.release, err)
	}
	versions, err := pgx.CollectRows(rows, scanVersion)
	if err != nil {
		return nil, fmt.Errorf("read the ledger of %s: %w", l.release, err)
	}
	return versions, nil
}

func scanVersion(row pgx.CollectableRow) (*Version, error) {
	v := &Version{}
	err := row.Scan(&v.Release, &v.Version, &v.Build, &v.Database, &v.OwnerRole, &v.AppRole, &v.Role, &v.Image, &v.Drains, &v.Mark, &v.MarkedAt,
		&v.LiveSince, &v.WarmSince, &v.Held, &v.NotBefore, &v.PlanDigest, &v.CreatedAt, &v.Stages,
		&v.Checkpoint.Stage, &v.Checkpoint.Position, &v.Checkpoint.Target, &v.Checkpoint.Rate, &v.Checkpoint.Problem, &v.Checkpoint.Evidence, &v.Checkpoint.Audit, &v.Checkpoint.ReportedAt, &v.Rounds)
	return v, err
}
