package server

import (
	"context"
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"
)

// apiConfig is huma's configuration without its additions: no links to schemas
// inside bodies, and documents of our own (see documents.go).
func apiConfig(version string) huma.Config {
	config := huma.DefaultConfig("Nawhas", version)
	config.Info.Description = description
	config.OpenAPIPath, config.DocsPath, config.SchemasPath = "", "", ""
	config.CreateHooks = nil
	format := huma.Format{Marshal: huma.DefaultJSONFormat.Marshal, Unmarshal: unmarshalUTF8}
	config.Formats = map[string]huma.Format{"application/json": format, "json": format}
	return config
}

// description is what holds for all operations, a paragraph each.
const description = `Reciters, their albums and what happened to them.

Every write records one event and answers with its position, in Nawhas-Position. Reads come from this version's database, which applies the events a moment later. Send the position along as Nawhas-Position with the next request, read or write, and the answer shows at least that much; every read answers with the position that it shows.

A write that may have been lost on the way can be sent again with the same Idempotency-Key: it is recorded once and answered as the first time. The key becomes the event's id.

503 with Retry-After means: send the same request again. The database has not reached the position yet, a server is away, or this version may not write because it is not live (yet, or any more).

Errors are problems (RFC 9457). Every answer says which version gave it, in Nawhas-Version.`

// unmarshalUTF8 refuses what encoding/json would quietly repair: bytes that are
// not UTF-8 become replacement characters, and the log keeps them for ever.
func unmarshalUTF8(data []byte, into any) error {
	if !utf8.Valid(data) {
		return fmt.Errorf("the body is not valid UTF-8")
	}
	return json.Unmarshal(data, into)
}

// Reading is embedded in the input of every operation.
type Reading struct {
	After int64 `header:"Nawhas-Position" minimum:"0" doc:"Answer from a database that has reached at least this position of the log. The server waits a moment for it and answers 503 when that is not enough."`
}

func (r Reading) position() int64 { return r.After }

// Writing is embedded in the input of every command.
type Writing struct {
	Reading
	IdempotencyKey string `header:"Idempotency-Key" format:"uuid" doc:"A UUID that names this command. Sending the command again with the same key appends nothing and answers as the first time."`
}

func (w Writing) key() uuid.UUID {
	key, _ := uuid.Parse(w.IdempotencyKey) // huma has checked the format; an absent key is the nil UUID
	return key
}

// register adds an operation that first waits for the position that its request
// names, and whose errors become problems.
func register[I interface{ position() int64 }, O any](s *Server, op huma.Operation, handle func(context.Context, *I) (*O, error)) {
	huma.Register(s.api, op, func(ctx context.Context, in *I) (*O, error) {
		ctx, cancel := context.WithTimeout(ctx, s.options.RequestTimeout)
		defer cancel()
		position := (*in).position()
		if err := s.await(ctx, position); err != nil {
			return nil, s.problem(ctx, op.OperationID, err)
		}
		out, err := handle(demanding(ctx, position), in)
		if err != nil {
			return nil, s.problem(ctx, op.OperationID, err)
		}
		return out, nil
	})
}

// Paging selects a page of a list.
type Paging struct {
	Page    int `query:"page" minimum:"1" maximum:"1000000" default:"1" doc:"The page, from 1."`
	PerPage int `query:"per_page" minimum:"1" maximum:"100" default:"20" doc:"Entries on a page."`
}

func (p Paging) offset() int { return (p.Page - 1) * p.PerPage }

// Page is one page of a list.
type Page[T any] struct {
	Items   []T `json:"items"`
	Page    int `json:"page"`
	PerPage int `json:"perPage"`
	Total   int `json:"total" doc:"Entries on all pages together."`
}

// answer is what every read returns.
type answer[T any] struct {
	Position int64 `header:"Nawhas-Position" doc:"The position of the log that the answer shows."`
	Body     T
}

// change is an attribute of a PATCH: absent, null or a text.
type change struct {
	sent  bool
	value *string
}

// UnmarshalJSON is only called when the attribute is in the body.
func (c *change) UnmarshalJSON(data []byte) error {
	c.sent = true
	return json.Unmarshal(data, &c.value)
}

// Schema describes the attribute as a text or null.
func (change) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Nullable: true}
}
