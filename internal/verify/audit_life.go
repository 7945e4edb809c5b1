package verify

import (
	"fmt"
	"slices"
	"strings"
)

// happening is an event of the tail, in terms of the entity that it names.
type happening struct {
	position int64
	name, id string
	// at is a moment, as text that sorts like the time.
	at string
	// reciter is whose album was created, path what was uploaded.
	reciter, path *string
	// given says which attributes the event sets, values to what.
	given  []bool
	values []*string
}

// entity is a reciter or an album as one revision has it; of revision 0 there
// is none yet.
type entity struct {
	version int32
	deleted bool
	// reciter is an album's; values are the attributes.
	reciter          *string
	values           []*string
	created, updated string
	// at is when the revision was made, position of which event if that is known.
	at       string
	position int64
	// slug is only held to the row: it depends on who had a name first.
	slug *string
}

func (e *entity) alive() bool { return e.version > 0 && !e.deleted }

// auditedKind is what the audit knows of reciters, or of albums.
type auditedKind struct {
	name, prefix, otherPrefix string
	// attributes of a revision's content and of the row; the first are required
	// and cannot be cleared, an upload sets the last.
	attributes []string
	required   int
	// The names of the events.
	created, modified, uploaded, deleted string
	// owned says that each belongs to a reciter and goes with it.
	owned bool
}

var (
	auditedReciters = auditedKind{name: "reciters", prefix: "reciter:", otherPrefix: "album:", attributes: []string{"name", "description", "avatar"}, required: 1,
		created: "ReciterCreated", modified: "ReciterModified", uploaded: "ReciterAvatarUploaded", deleted: "ReciterDeleted"}
	auditedAlbums = auditedKind{name: "albums", prefix: "album:", otherPrefix: "reciter:", attributes: []string{"title", "year", "artwork"}, required: 2, owned: true,
		created: "AlbumCreated", modified: "AlbumModified", uploaded: "AlbumArtworkUploaded", deleted: "AlbumDeleted"}
)

func (k *auditedKind) events() []string {
	return []string{k.created, k.modified, k.uploaded, k.deleted}
}

// life is when a reciter was born and died in the tail; 0 if it did neither.
type life struct {
	born, died int64
	diedAt     string
}

// owners says which reciters live when: as the tail has it for those that were
// born or died in it, and as they stand for all others.
type owners struct {
	tail     map[string]life
	standing map[string]bool
	// unsure are those of which it is not known for certain.
	unsure map[string]bool
}

// doubtful tells whether what is known of the owners may not do for an album.
func (o *owners) doubtful(events []happening, last entity) bool {
	if last.reciter != nil && o.unsure[*last.reciter] {
		return true
	}
	return slices.ContainsFunc(events, func(h happening) bool { return h.reciter != nil && o.unsure[*h.reciter] })
}

func (o *owners) alive(reciter string, position int64) bool {
	l, moved := o.tail[reciter]
	if !moved {
		return o.standing[reciter]
	}
	return l.born < position && (l.died == 0 || position < l.died)
}

// end is the death of an album with its reciter.
func (o *owners) end(e *entity) (life, bool) {
	if !e.alive() || e.reciter == nil {
		return life{}, false
	}
	l, moved := o.tail[*e.reciter]
	return l, moved && l.died > 0
}

// fold makes of an entity what the events make of it, revision by revision. It
// goes by the rules of the log and knows nothing of the engine.
func (k *auditedKind) fold(base entity, events []happening, o *owners) []entity {
	var made []entity
	now := base
	become := func(next entity, at string, position int64) {
		next.version, next.at, next.position = now.version+1, at, position
		now = next
		made = append(made, now)
	}
	die := func(at string, position int64) {
		next := now
		next.deleted = true
		become(next, at, position)
	}
	for _, h := range events {
		if l, ends := o.end(&now); ends && l.died < h.position {
			die(l.diedAt, l.died)
		}
		switch {
		case h.name == k.created && now.version == 0 && (!k.owned || h.reciter != nil && o.alive(*h.reciter, h.position)):
			become(entity{reciter: h.reciter, values: h.values, created: h.at, updated: h.at}, h.at, h.position)
		case h.name == k.created || !now.alive():
		case h.name == k.deleted:
			die(h.at, h.position)
		default:
			become(k.changed(now, h), h.at, h.position)
		}
	}
	if l, ends := o.end(&now); ends {
		die(l.diedAt, l.died)
	}
	return made
}

func (k *auditedKind) creates(events []happening) bool {
	return slices.ContainsFunc(events, func(h happening) bool { return h.name == k.created })
}

// withoutCreations leaves out what cannot be: an id lives once, and something of
// the other kind has died with it at a position.
func (k *auditedKind) withoutCreations(events []happening, died int64) []happening {
	return slices.DeleteFunc(slices.Clone(events), func(h happening) bool { return h.name == k.created && h.position > died })
}

func (k *auditedKind) changed(e entity, h happening) entity {
	e.values = append([]*string(nil), e.values...)
	e.updated = h.at
	if h.name == k.uploaded {
		e.values[len(e.values)-1] = h.path
		return e
	}
	for i, given := range h.given {
		if given && (h.values[i] != nil || i >= k.required) {
			e.values[i] = h.values[i]
		}
	}
	return e
}

// judgement is what holding the last revisions of an entity to its events came to.
type judgement struct {
	// fault says what is wrong, empty if nothing is.
	fault string
	// suspect is the time of the revision that the events were taken to build on,
	// if that might itself be of the tail.
	suspect string
	// made are the revisions of the tail.
	made []entity
}

// judge looks for the revision that the events of the tail build on, such that
// folding them gives exactly the revisions that come after it. Which one that
// is depends on whether the entity lived, was dead, or was not there before the
// tail. found are the last revisions, at least one more than the events can
// make; since is the earliest time of the tail.
func (k *auditedKind) judge(events []happening, found []entity, o *owners, since string) judgement {
	var doubtful *judgement
	fault := ""
	for _, at := range k.bases(events, found, o) {
		base := entity{}
		if at >= 0 {
			base = found[at]
		}
		made := k.fold(base, events, o)
		if differing := k.differing(made, found[at+1:]); differing != "" {
			fault = firstOf(fault, differing)
			continue
		}
		if at < 0 || base.at < since {
			return judgement{made: made}
		}
		doubtful = &judgement{suspect: base.at, made: made}
	}
	if doubtful != nil {
		return *doubtful
	}
	if len(found) == 0 {
		fault = "is missing"
	}
	return judgement{fault: firstOf(fault, "has revisions that are not those of its events")}
}

// bases are the places in found that the tail may build on; -1 is before the first.
func (k *auditedKind) bases(events []happening, found []entity, o *owners) []int {
	var places []int
	if len(k.fold(entity{}, events, o)) == len(found) {
		places = append(places, -1)
	}
	if len(found) == 0 {
		return places
	}
	last := len(found) - 1
	if found[last].deleted {
		places = append(places, last)
	}
	living := found[last]
	living.deleted = false
	if at := last - len(k.fold(living, events, o)); at >= 0 && found[at].alive() {
		places = append(places, at)
	}
	return places
}

// differing tells of the first revision that is not what it should be.
func (k *auditedKind) differing(made, found []entity) string {
	for i := range made {
		if i >= len(found) {
			return fmt.Sprintf("lacks revision %d", made[i].version)
		}
		if columns := k.unlike(&made[i], &found[i]); len(columns) > 0 {
			return fmt.Sprintf("differs at revision %d in %s", made[i].version, strings.Join(columns, ", "))
		}
	}
	return ""
}

// unlike names the columns in which a revision is not what it should be.
func (k *auditedKind) unlike(made, found *entity) []string {
	var columns []string
	note := func(equal bool, column string) {
		if !equal {
			columns = append(columns, column)
		}
	}
	note(made.version == found.version, "version")
	note(made.deleted == found.deleted, "deleted")
	note(equalText(made.reciter, found.reciter), "reciter_id")
	for i, attribute := range k.attributes {
		note(equalText(made.values[i], found.values[i]), attribute)
	}
	note(made.created == found.created, "created_at")
	note(made.updated == found.updated, "updated_at")
	note(made.at == found.at, "the revision's time")
	return columns
}

func equalText(a, b *string) bool { return (a == nil) == (b == nil) && (a == nil || *a == *b) }

func firstOf(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}
