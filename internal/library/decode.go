package library

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/nawhas/nawhas-operator/internal/projection"
)

// Decoded payloads, one type a kind of event. The projectors switch on them.
type (
	reciterCreated struct {
		ID         uuid.UUID
		Attributes ReciterAttributes
	}
	reciterModified struct {
		ID      uuid.UUID
		Changes Changes
	}
	reciterDeleted struct{ ID uuid.UUID }
	avatarUploaded struct {
		ID   uuid.UUID
		Path string
	}
	albumCreated struct {
		ID, ReciterID uuid.UUID
		Attributes    AlbumAttributes
	}
	albumModified struct {
		ID      uuid.UUID
		Changes Changes
	}
	albumDeleted    struct{ ID uuid.UUID }
	artworkUploaded struct {
		ID   uuid.UUID
		Path string
	}
)

var decoders = map[projection.Kind]projection.Decoder{
	{Name: ReciterCreated, Version: 1}:        decodeReciterCreated,
	{Name: ReciterModified, Version: 1}:       decodeReciterModified,
	{Name: ReciterDeleted, Version: 1}:        decodeReciterDeleted,
	{Name: ReciterAvatarUploaded, Version: 1}: decodeAvatarUploaded,
	{Name: AlbumCreated, Version: 1}:          decodeAlbumCreated,
	{Name: AlbumModified, Version: 1}:         decodeAlbumModified,
	{Name: AlbumDeleted, Version: 1}:          decodeAlbumDeleted,
	{Name: AlbumArtworkUploaded, Version: 1}:  decodeArtworkUploaded,
}

// envelope has every member that a payload can have. A nil one was absent or
// null; what is not listed is ignored.
type envelope struct {
	ID         *uuid.UUID      `json:"id"`
	ReciterID  *uuid.UUID      `json:"reciterId"`
	Path       *string         `json:"path"`
	Attributes json.RawMessage `json:"attributes"`
}

func decodeReciterCreated(payload []byte) (any, error) {
	e, id, err := open(payload)
	if err != nil {
		return nil, err
	}
	var a struct {
		Name        *string `json:"name"`
		Description *string `json:"description"`
		Avatar      *string `json:"avatar"`
	}
	if err := e.attributes(&a); err != nil {
		return nil, err
	}
	if a.Name == nil {
		return nil, missing("attributes.name")
	}
	return &reciterCreated{id, ReciterAttributes{Name: *a.Name, Description: a.Description, Avatar: a.Avatar}},
		storable(a.Name, a.Description, a.Avatar)
}

func decodeAlbumCreated(payload []byte) (any, error) {
	e, id, err := open(payload)
	if err != nil {
		return nil, err
	}
	if e.ReciterID == nil {
		return nil, missing("reciterId")
	}
	var a struct {
		Title   *string `json:"title"`
		Year    *string `json:"year"`
		Artwork *string `json:"artwork"`
	}
	if err := e.attributes(&a); err != nil {
		return nil, err
	}
	if a.Title == nil {
		return nil, missing("attributes.title")
	}
	if a.Year == nil {
		return nil, missing("attributes.year")
	}
	return &albumCreated{id, *e.ReciterID, AlbumAttributes{Title: *a.Title, Year: *a.Year, Artwork: a.Artwork}},
		storable(a.Title, a.Year, a.Artwork)
}

func decodeReciterModified(payload []byte) (any, error) {
	id, changes, err := openChanges(payload)
	return &reciterModified{id, changes}, err
}

func decodeAlbumModified(payload []byte) (any, error) {
	id, changes, err := openChanges(payload)
	return &albumModified{id, changes}, err
}

func decodeReciterDeleted(payload []byte) (any, error) {
	_, id, err := open(payload)
	return &reciterDeleted{id}, err
}

func decodeAlbumDeleted(payload []byte) (any, error) {
	_, id, err := open(payload)
	return &albumDeleted{id}, err
}

func decodeAvatarUploaded(payload []byte) (any, error) {
	id, path, err := openUpload(payload)
	return &avatarUploaded{id, path}, err
}

func decodeArtworkUploaded(payload []byte) (any, error) {
	id, path, err := openUpload(payload)
	return &artworkUploaded{id, path}, err
}

// open reads what all payloads share.
func open(payload []byte) (envelope, uuid.UUID, error) {
	var e envelope
	if err := json.Unmarshal(payload, &e); err != nil {
		return e, uuid.Nil, malformed(err)
	}
	if e.ID == nil {
		return e, uuid.Nil, missing("id")
	}
	return e, *e.ID, nil
}

func openUpload(payload []byte) (uuid.UUID, string, error) {
	e, id, err := open(payload)
	if err != nil {
		return uuid.Nil, "", err
	}
	if e.Path == nil {
		return uuid.Nil, "", missing("path")
	}
	return id, *e.Path, storable(e.Path)
}

// changeable are the attributes that a Modified event may change.
var changeable = []string{"name", "description", "avatar", "title", "year", "artwork"}

// openChanges reads the changed attributes this edition knows. A log may hold
// others, written by a later one.
func openChanges(payload []byte) (uuid.UUID, Changes, error) {
	if id, changes, ok := openPlainChanges(payload); ok {
		return id, changes, nil
	}
	e, id, err := open(payload)
	if err != nil {
		return uuid.Nil, nil, err
	}
	var members map[string]json.RawMessage
	if err := e.attributes(&members); err != nil {
		return uuid.Nil, nil, err
	}
	changes := Changes{}
	for _, name := range changeable {
		value, ok := members[name]
		if !ok {
			continue
		}
		var text *string
		if err := json.Unmarshal(value, &text); err != nil {
			return uuid.Nil, nil, fmt.Errorf("attributes.%s is neither a string nor null", name)
		}
		if err := storable(text); err != nil {
			return uuid.Nil, nil, err
		}
		changes[name] = text
	}
	return id, changes, nil
}

// openPlainChanges reads in one go what nearly all payloads are: known
// attributes with texts. It leaves everything else to openChanges.
func openPlainChanges(payload []byte) (uuid.UUID, Changes, bool) {
	var plain struct {
		ID         *uuid.UUID `json:"id"`
		Attributes Changes    `json:"attributes"`
	}
	if err := json.Unmarshal(payload, &plain); err != nil || plain.ID == nil || plain.Attributes == nil {
		return uuid.Nil, nil, false
	}
	for name, text := range plain.Attributes {
		if !slices.Contains(changeable, name) || storable(text) != nil {
			return uuid.Nil, nil, false
		}
	}
	return *plain.ID, plain.Attributes, true
}

func (e *envelope) attributes(into any) error {
	if len(e.Attributes) == 0 || bytes.Equal(e.Attributes, []byte("null")) {
		return missing("attributes")
	}
	if err := json.Unmarshal(e.Attributes, into); err != nil {
		return malformed(err)
	}
	return nil
}

// storable refuses what Postgres cannot keep in a text.
func storable(texts ...*string) error {
	for _, text := range texts {
		if text != nil && strings.ContainsRune(*text, 0) {
			return errors.New("a text holds a NUL character")
		}
	}
	return nil
}

func missing(member string) error { return fmt.Errorf("%s is missing", member) }

// malformed says what is wrong with a payload in words of its shape only; the
// errors of encoding/json repeat values.
func malformed(err error) error {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		if wrong.Field == "" {
			return errors.New("an object was expected")
		}
		return fmt.Errorf("%s has the wrong type", wrong.Field)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("it ends too early")
	}
	if _, ok := errors.AsType[*json.SyntaxError](err); ok {
		return errors.New("it is not JSON")
	}
	return errors.New("an id is not a UUID")
}
