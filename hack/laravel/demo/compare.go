package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// findings are the differences between the log and a database. Nothing of it
// shares code with the operator or the application.
type findings struct {
	events, lost, duplicated, reordered, wrong int64
}

// effect is something that an event leaves in a database: a revision of an
// entity, or a visit.
type effect struct {
	event        int64
	kind, entity string
}

type payload struct {
	ID, ReciterID, AlbumID string
	Name, Description      *string
	Attributes             struct{ Name, Description *string }
}

// library is what a log comes to.
type library struct {
	effects  map[effect]int64
	visits   map[effect]int64
	reciters map[string][2]string
}

// compare reads the log and what a database made of it.
func compare(ctx context.Context, source *pgx.Conn, database string) (findings, error) {
	conn, err := pgx.Connect(ctx, database)
	if err != nil {
		return findings{}, fmt.Errorf("connect to the version's database: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	var f findings
	wanted, err := f.readLog(ctx, source)
	if err != nil {
		return findings{}, fmt.Errorf("read the log: %w", err)
	}
	found, err := f.readDatabase(ctx, conn)
	if err != nil {
		return findings{}, fmt.Errorf("read the version's database: %w", err)
	}
	f.differ(wanted.effects, found.effects)
	f.differ(wanted.visits, found.visits)
	for id, want := range wanted.reciters {
		if got, there := found.reciters[id]; !there || got != want {
			f.wrong++
		}
	}
	for id := range found.reciters {
		if _, wanted := wanted.reciters[id]; !wanted {
			f.wrong++
		}
	}
	return f, nil
}

// missing counts the reciters that are not in the log.
func missing(ctx context.Context, source *pgx.Conn, created []string) (int64, error) {
	var n int64
	err := source.QueryRow(ctx, `SELECT count(*) FROM unnest($1::text[]) AS c(id) WHERE c.id NOT IN (
		SELECT event_properties->>'id' FROM stored_events WHERE event_class = 'reciter.created')`, created).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("look for what was acknowledged: %w", err)
	}
	return n, nil
}

func (f *findings) differ(wanted, found map[effect]int64) {
	for e, n := range wanted {
		f.lost += max(0, n-found[e])
	}
	for e, n := range found {
		f.duplicated += max(0, n-wanted[e])
	}
}

func newLibrary() *library {
	return &library{effects: map[effect]int64{}, visits: map[effect]int64{}, reciters: map[string][2]string{}}
}

func (f *findings) readLog(ctx context.Context, source *pgx.Conn) (*library, error) {
	rows, err := source.Query(ctx, "SELECT id, event_class, event_properties::text FROM stored_events ORDER BY id")
	if err != nil {
		return nil, err
	}
	made := newLibrary()
	var id int64
	var class, text string
	_, err = pgx.ForEachRow(rows, []any{&id, &class, &text}, func() error {
		f.events++
		var p payload
		if err := json.Unmarshal([]byte(text), &p); err != nil {
			return err
		}
		made.apply(id, class, p)
		return nil
	})
	return made, err
}

func (l *library) apply(id int64, class string, p payload) {
	kind, what, _ := strings.Cut(class, ".")
	if what == "viewed" {
		if kind != "album" {
			l.visits[effect{kind: kind, entity: p.ID}]++
		}
		return
	}
	l.effects[effect{id, kind, p.ID}]++
	switch class {
	case "album.created":
		l.effects[effect{id, "reciter", p.ReciterID}]++
	case "track.created":
		l.effects[effect{id, "album", p.AlbumID}]++
	case "reciter.created":
		l.reciters[p.ID] = [2]string{text(p.Attributes.Name), text(p.Attributes.Description)}
	case "reciter.changed.name":
		l.reciters[p.ID] = [2]string{text(p.Name), l.reciters[p.ID][1]}
	case "reciter.changed.description":
		l.reciters[p.ID] = [2]string{l.reciters[p.ID][0], text(p.Description)}
	case "reciter.deleted":
		delete(l.reciters, p.ID)
	}
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// readDatabase also counts the revisions of an entity whose versions are not in
// the order of their events.
func (f *findings) readDatabase(ctx context.Context, conn *pgx.Conn) (*library, error) {
	found := newLibrary()
	var e effect
	rows, err := conn.Query(ctx, "SELECT event_id, entity_type, entity_id::text FROM revisions")
	if err != nil {
		return nil, err
	}
	if _, err := pgx.ForEachRow(rows, []any{&e.event, &e.kind, &e.entity}, func() error { found.effects[e]++; return nil }); err != nil {
		return nil, err
	}
	var visit effect
	rows, err = conn.Query(ctx, "SELECT visitable_type, visitable_id::text FROM visits")
	if err != nil {
		return nil, err
	}
	if _, err := pgx.ForEachRow(rows, []any{&visit.kind, &visit.entity}, func() error { found.visits[visit]++; return nil }); err != nil {
		return nil, err
	}
	var id, name, description string
	rows, err = conn.Query(ctx, "SELECT id::text, name, coalesce(description, '') FROM reciters")
	if err != nil {
		return nil, err
	}
	if _, err := pgx.ForEachRow(rows, []any{&id, &name, &description}, func() error { found.reciters[id] = [2]string{name, description}; return nil }); err != nil {
		return nil, err
	}
	err = conn.QueryRow(ctx, `SELECT count(*) FROM (SELECT event_id < lag(event_id) OVER (PARTITION BY entity_type, entity_id ORDER BY version) AS wrong FROM revisions) r WHERE wrong`).Scan(&f.reordered)
	return found, err
}
