package verify

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// namesakes yields the creations and deletions of ids that were given to a
// reciter and to an album, and of the reciters of such albums. A log has few of
// them, if any.
const namesakes = `WITH e AS (SELECT position, name, (payload->>'id')::uuid AS id, (payload->>'reciterId')::uuid AS reciter_id FROM `

const namesakesOfEvents = ` e WHERE position <= $1 AND version = 1 AND id <> ALL ($2::uuid[])
		AND name IN ('ReciterCreated', 'ReciterDeleted', 'AlbumCreated', 'AlbumDeleted')),
	twice AS (SELECT id FROM e WHERE name = 'ReciterCreated' INTERSECT SELECT id FROM e WHERE name = 'AlbumCreated'),
	near AS (SELECT id FROM twice UNION SELECT reciter_id FROM e WHERE name = 'AlbumCreated' AND id IN (SELECT id FROM twice))
	SELECT name, id, coalesce(reciter_id, id) FROM e WHERE id IN (SELECT id FROM near) ORDER BY position`

// findRefused finds the reciters and albums that were created too late: an id
// lives once, and something of the other kind had died with it. Whether it had
// may depend on a third one's life, so these few are followed event by event.
func (in *inspection) findRefused(ctx context.Context) error {
	rows, err := in.source.Query(ctx, namesakes+in.events()+namesakesOfEvents, in.checkpoint.Position, in.skipped())
	if err != nil {
		return fmt.Errorf("look for ids that were given twice: %w", err)
	}
	l := lives{reciters: map[uuid.UUID]state{}, albums: map[uuid.UUID]state{}, owners: map[uuid.UUID]uuid.UUID{}}
	var name string
	var id, reciter uuid.UUID
	if _, err := pgx.ForEachRow(rows, []any{&name, &id, &reciter}, func() error {
		l.happened(name, id, reciter)
		return nil
	}); err != nil {
		return fmt.Errorf("look for ids that were given twice: %w", err)
	}
	in.log.refusedReciters, in.log.refusedAlbums = refusedOf(l.reciters), refusedOf(l.albums)
	return nil
}

type state int

const (
	unborn state = iota
	refused
	alive
	dead
)

// lives are those of some entities so far.
type lives struct {
	reciters, albums map[uuid.UUID]state
	owners           map[uuid.UUID]uuid.UUID
}

func (l *lives) happened(name string, id, reciter uuid.UUID) {
	gone := l.reciters[id] == dead || l.albums[id] == dead
	switch {
	case name == "ReciterCreated" && l.reciters[id] == unborn:
		l.reciters[id] = born(gone)
	case name == "ReciterDeleted" && l.reciters[id] == alive:
		l.reciters[id] = dead
		for album, owner := range l.owners {
			if owner == id && l.albums[album] == alive {
				l.albums[album] = dead
			}
		}
	case name == "AlbumCreated" && l.albums[id] == unborn && (gone || l.reciters[reciter] == alive):
		l.albums[id], l.owners[id] = born(gone), reciter
	case name == "AlbumDeleted" && l.albums[id] == alive:
		l.albums[id] = dead
	}
}

func born(gone bool) state {
	if gone {
		return refused
	}
	return alive
}

func refusedOf(states map[uuid.UUID]state) []uuid.UUID {
	ids := []uuid.UUID{}
	for id, state := range states {
		if state == refused {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b uuid.UUID) int { return slices.Compare(a[:], b[:]) })
	return ids
}
