package library

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"
)

// attribute is one of the attributes of an entity.
type attribute int

const (
	name attribute = iota
	description
	avatar
	title
	year
	artwork
	attributeCount
)

var attributeNames = [attributeCount]string{"name", "description", "avatar", "title", "year", "artwork"}

// attributeMembers are the attributes' names in messages.
var attributeMembers = [attributeCount]string{"attributes.name", "attributes.description", "attributes.avatar",
	"attributes.title", "attributes.year", "attributes.artwork"}

// Which attributes each kind of entity has.
var (
	ofReciters = []attribute{name, description, avatar}
	ofAlbums   = []attribute{title, year, artwork}
)

// text is a member of a payload: absent, null or a text.
type text struct {
	given bool
	value *string
}

// optional gives an attribute the text, or none if it is null.
func (t text) optional(attribute **string) {
	if t.given {
		*attribute = t.value
	}
}

// required gives an attribute the text, and tells whether it was not null.
func (t text) required(attribute *string) bool {
	if t.value != nil {
		*attribute = *t.value
	}
	return !t.given || t.value != nil
}

// texts are the attributes in a payload.
type texts [attributeCount]text

// reference is a member that holds an id: absent or null, or a text.
type reference struct {
	given, malformed bool
	id               uuid.UUID
}

// key is the id of a member that must have one.
func (r reference) key(member string) (uuid.UUID, error) {
	switch {
	case !r.given:
		return uuid.Nil, missing(member)
	case r.malformed:
		return uuid.Nil, shapeError("an id is not a UUID")
	}
	return r.id, nil
}

// payload is what an event of the library holds, whatever its kind. Members
// that are not listed are passed over: a later edition may have written them.
type payload struct {
	id, reciterID reference
	path          text
	// attributes counts only if it was an object.
	attributes    texts
	hasAttributes bool
}

// parser reads payloads; it is kept for its buffers.
type parser struct {
	*jsontext.Decoder
	source  bytes.Buffer
	scratch []byte
}

// Postgres has seen to it that names are not repeated.
var parsers = sync.Pool{New: func() any {
	return &parser{Decoder: jsontext.NewDecoder(&bytes.Buffer{}, jsontext.AllowDuplicateNames(true))}
}}

// parsePayload reads a payload with the attributes of its kind of entity. Its
// errors speak of the shape only and never repeat a value.
func parsePayload(raw []byte, known []attribute) (payload, error) {
	p, _ := parsers.Get().(*parser)
	defer parsers.Put(p)
	p.source = *bytes.NewBuffer(raw)
	p.Reset(&p.source, jsontext.AllowDuplicateNames(true))
	var all payload
	err := p.object("", func(member string) error {
		switch member {
		case "id":
			return p.reference(member, &all.id)
		case "reciterId":
			return p.reference(member, &all.reciterID)
		case "path":
			return p.text(member, &all.path)
		case "attributes":
			return p.attributes(&all, known)
		}
		return p.SkipValue()
	})
	if err == nil {
		err = p.end()
	}
	return all, shapeOf(err)
}

func (p *parser) attributes(all *payload, known []attribute) error {
	if p.PeekKind() == 'n' {
		return p.SkipValue()
	}
	all.hasAttributes = true
	return p.object("attributes", func(member string) error {
		for _, a := range known {
			if attributeNames[a] == member {
				return p.text(attributeMembers[a], &all.attributes[a])
			}
		}
		return p.SkipValue()
	})
}

// object calls member with the name of each member of an object; it must read
// the value.
func (p *parser) object(what string, member func(string) error) error {
	if p.PeekKind() != '{' {
		return p.expected(what, "an object")
	}
	if _, err := p.ReadToken(); err != nil {
		return err
	}
	for p.PeekKind() == '"' {
		if err := p.unquote(); err != nil {
			return err
		}
		if err := member(known(p.scratch)); err != nil {
			return err
		}
	}
	_, err := p.ReadToken()
	return err
}

// known is a name that means something, or empty; no text is made of others.
func known(member []byte) string {
	switch string(member) {
	case "id":
		return "id"
	case "reciterId":
		return "reciterId"
	case "path":
		return "path"
	case "attributes":
		return "attributes"
	}
	for _, attribute := range attributeNames {
		if attribute == string(member) {
			return attribute
		}
	}
	return ""
}

// text reads a text or null.
func (p *parser) text(what string, into *text) error {
	switch p.PeekKind() {
	case 'n':
		*into = text{given: true}
		return p.SkipValue()
	case '"':
		if err := p.unquote(); err != nil {
			return err
		}
		value := string(p.scratch)
		*into = text{given: true, value: &value}
		if strings.ContainsRune(value, 0) {
			return errNUL
		}
		return nil
	}
	return p.expected(what, "a text")
}

// reference reads an id or null. No text is made of the id, which is in every
// payload.
func (p *parser) reference(what string, into *reference) error {
	switch p.PeekKind() {
	case 'n':
		*into = reference{}
		return p.SkipValue()
	case '"':
		if err := p.unquote(); err != nil {
			return err
		}
		id, err := uuid.ParseBytes(p.scratch)
		*into = reference{given: true, malformed: err != nil, id: id}
		return nil
	}
	return p.expected(what, "a text")
}

// unquote reads a string into scratch.
func (p *parser) unquote() error {
	value, err := p.ReadValue()
	if err != nil {
		return err
	}
	p.scratch, err = jsontext.AppendUnquote(p.scratch[:0], value)
	return err
}

// expected says that a value is of another type, unless it is not JSON at all.
func (p *parser) expected(what, kind string) error {
	if err := p.SkipValue(); err != nil {
		return err
	}
	if what == "" {
		return shapeError("an object was expected")
	}
	return shapeError(fmt.Sprintf("%s is not %s", what, kind))
}

// end makes sure that nothing follows.
func (p *parser) end() error {
	if _, err := p.ReadToken(); !errors.Is(err, io.EOF) {
		return errNotJSON
	}
	return nil
}

// shapeError says what is wrong with a payload, in words of its shape.
type shapeError string

func (e shapeError) Error() string { return string(e) }

const (
	errNotJSON  shapeError = "it is not JSON"
	errTooShort shapeError = "it ends too early"
	// Postgres cannot keep it in a text.
	errNUL shapeError = "a text holds a NUL character"
)

// shapeOf leaves out what the errors of the parser repeat of the payload.
func shapeOf(err error) error {
	if err == nil {
		return nil
	}
	if shape, ok := errors.AsType[shapeError](err); ok {
		return shape
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return errTooShort
	}
	return errNotJSON
}

func missing(member string) error { return shapeError(member + " is missing") }
