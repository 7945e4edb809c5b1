package library

import (
	"encoding/json"
	"fmt"

	"github.com/google/uuid"

	"github.com/nawhas/nawhas-operator/internal/eventlog"
)

// Names of the events, as the log stores them. Their shapes are those of
// version 1; a changed shape or meaning raises the event's version.
const (
	ReciterCreated        = "ReciterCreated"
	ReciterModified       = "ReciterModified"
	ReciterDeleted        = "ReciterDeleted"
	ReciterAvatarUploaded = "ReciterAvatarUploaded"
	AlbumCreated          = "AlbumCreated"
	AlbumModified         = "AlbumModified"
	AlbumDeleted          = "AlbumDeleted"
	AlbumArtworkUploaded  = "AlbumArtworkUploaded"
)

// ReciterAttributes are a reciter's attributes at its creation.
type ReciterAttributes struct {
	Name        string  `json:"name"`
	Description *string `json:"description"`
	Avatar      *string `json:"avatar"`
}

// AlbumAttributes are an album's attributes at its creation.
type AlbumAttributes struct {
	Title   string  `json:"title"`
	Year    string  `json:"year"`
	Artwork *string `json:"artwork"`
}

// Changes are the attributes that a Modified event changes, by name. A nil
// value clears an attribute; an absent one stays as it is.
type Changes map[string]*string

// NewReciterCreated records that a reciter came into being.
func NewReciterCreated(id uuid.UUID, attributes ReciterAttributes) (eventlog.NewEvent, error) {
	return newEvent(ReciterCreated, struct {
		ID         uuid.UUID         `json:"id"`
		Attributes ReciterAttributes `json:"attributes"`
	}{id, attributes})
}

// NewReciterModified records changes of a reciter's name or description.
func NewReciterModified(id uuid.UUID, changes Changes) (eventlog.NewEvent, error) {
	return newEvent(ReciterModified, modified{id, changes})
}

// NewReciterDeleted records that a reciter, and with it its albums, is gone.
func NewReciterDeleted(id uuid.UUID) (eventlog.NewEvent, error) {
	return newEvent(ReciterDeleted, deleted{id})
}

// NewReciterAvatarUploaded records the storage path of a reciter's new avatar.
func NewReciterAvatarUploaded(id uuid.UUID, path string) (eventlog.NewEvent, error) {
	return newEvent(ReciterAvatarUploaded, uploaded{id, path})
}

// NewAlbumCreated records that a reciter released an album.
func NewAlbumCreated(id, reciterID uuid.UUID, attributes AlbumAttributes) (eventlog.NewEvent, error) {
	return newEvent(AlbumCreated, struct {
		ID         uuid.UUID       `json:"id"`
		ReciterID  uuid.UUID       `json:"reciterId"`
		Attributes AlbumAttributes `json:"attributes"`
	}{id, reciterID, attributes})
}

// NewAlbumModified records changes of an album's title or year.
func NewAlbumModified(id uuid.UUID, changes Changes) (eventlog.NewEvent, error) {
	return newEvent(AlbumModified, modified{id, changes})
}

// NewAlbumDeleted records that an album is gone.
func NewAlbumDeleted(id uuid.UUID) (eventlog.NewEvent, error) {
	return newEvent(AlbumDeleted, deleted{id})
}

// NewAlbumArtworkUploaded records the storage path of an album's new artwork.
func NewAlbumArtworkUploaded(id uuid.UUID, path string) (eventlog.NewEvent, error) {
	return newEvent(AlbumArtworkUploaded, uploaded{id, path})
}

type modified struct {
	ID         uuid.UUID `json:"id"`
	Attributes Changes   `json:"attributes"`
}

type deleted struct {
	ID uuid.UUID `json:"id"`
}

type uploaded struct {
	ID   uuid.UUID `json:"id"`
	Path string    `json:"path"`
}

func newEvent(name string, payload any) (eventlog.NewEvent, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return eventlog.NewEvent{}, fmt.Errorf("make an id for %s: %w", name, err)
	}
	body, err := json.Marshal(payload)
	if err != nil {
		return eventlog.NewEvent{}, fmt.Errorf("encode %s: %w", name, err)
	}
	return eventlog.NewEvent{ID: id, Name: name, Version: 1, Payload: body}, nil
}
