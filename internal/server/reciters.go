package server

import (
	"context"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"github.com/nawhas/nawhas-operator/internal/library"
)

var (
	readErrors    = []int{http.StatusNotFound, http.StatusServiceUnavailable}
	commandErrors = []int{http.StatusBadRequest, http.StatusNotFound, http.StatusConflict, http.StatusServiceUnavailable}
)

// ReciterPath is the part of an address that names a reciter.
type ReciterPath struct {
	Reciter string `path:"reciter" maxLength:"500" doc:"The reciter's id or slug."`
}

type newReciter struct {
	Writing
	Body struct {
		Name        string  `json:"name" doc:"Unique among reciters." minLength:"1" maxLength:"400"`
		Description *string `json:"description,omitempty" maxLength:"20000"`
	}
}

type changedReciter struct {
	Writing
	ReciterPath
	Body struct {
		Name        change `json:"name,omitempty" doc:"A new name."`
		Description change `json:"description,omitempty" doc:"A new description; null removes it."`
	}
}

type deletedReciter struct {
	Writing
	ReciterPath
}

type listedReciters struct {
	Reading
	Paging
}

type oneReciter struct {
	Reading
	ReciterPath
}

func (s *Server) registerReciters() {
	tags := []string{"Reciters"}
	register(s, huma.Operation{OperationID: "list-reciters", Method: http.MethodGet, Path: "/v1/reciters", Tags: tags, Errors: readErrors,
		Summary: "List reciters by name"}, s.listReciters)
	register(s, huma.Operation{OperationID: "get-reciter", Method: http.MethodGet, Path: "/v1/reciters/{reciter}", Tags: tags, Errors: readErrors,
		Summary: "Read a reciter"}, s.getReciter)
	register(s, huma.Operation{OperationID: "create-reciter", Method: http.MethodPost, Path: "/v1/reciters", Tags: tags, Errors: commandErrors,
		Summary: "Create a reciter", DefaultStatus: http.StatusCreated, MaxBodyBytes: maxCommandBytes}, s.createReciter)
	register(s, huma.Operation{OperationID: "modify-reciter", Method: http.MethodPatch, Path: "/v1/reciters/{reciter}", Tags: tags, Errors: commandErrors,
		Summary: "Change a reciter's name or description", MaxBodyBytes: maxCommandBytes}, s.modifyReciter)
	register(s, huma.Operation{OperationID: "delete-reciter", Method: http.MethodDelete, Path: "/v1/reciters/{reciter}", Tags: tags, Errors: commandErrors,
		Summary: "Delete a reciter with its albums"}, s.deleteReciter)
}

func (s *Server) listReciters(ctx context.Context, in *listedReciters) (*answer[Page[Reciter]], error) {
	position, page, err := s.catalogue.reciters(ctx, in.Paging)
	return &answer[Page[Reciter]]{position, page}, err
}

func (s *Server) getReciter(ctx context.Context, in *oneReciter) (*answer[Reciter], error) {
	position, reciter, err := s.reciter(ctx, in.Reciter)
	return &answer[Reciter]{position, reciter}, err
}

func (s *Server) createReciter(ctx context.Context, in *newReciter) (*receipt, error) {
	var f form
	attributes := library.ReciterAttributes{Name: f.line("name", in.Body.Name), Description: f.prose("description", in.Body.Description)}
	if err := f.problem(); err != nil {
		return nil, err
	}
	c := command{key: in.key(), event: library.ReciterCreated,
		attributes: library.Changes{"name": &attributes.Name, "description": attributes.Description}}
	done, err := s.submit(ctx, c, func(ctx context.Context) (decision, error) {
		if err := s.nameIsFree(ctx, attributes.Name, uuid.Nil); err != nil {
			return decision{}, err
		}
		id, err := uuid.NewV7()
		if err != nil {
			return decision{}, err
		}
		event, err := library.NewReciterCreated(id, attributes)
		return appendEvent(id, 0, event, err)
	})
	return &receipt{Position: done.Position, Location: "/v1/reciters/" + done.ID.String(), Body: done}, err
}

func (s *Server) modifyReciter(ctx context.Context, in *changedReciter) (*receipt, error) {
	var f form
	changes := library.Changes{}
	if in.Body.Name.sent {
		changes["name"] = f.requiredChange("name", in.Body.Name)
	}
	if in.Body.Description.sent {
		changes["description"] = f.prose("description", in.Body.Description.value)
	}
	if err := f.problem(); err != nil {
		return nil, err
	}
	c := command{key: in.key(), event: library.ReciterModified, entity: entityIn(in.Reciter), attributes: changes}
	return acknowledge(s.submit(ctx, c, func(ctx context.Context) (decision, error) {
		position, reciter, err := s.reciter(ctx, in.Reciter)
		if err != nil {
			return decision{}, err
		}
		changes := differing(changes, library.Changes{"name": &reciter.Name, "description": reciter.Description})
		if len(changes) == 0 {
			return decision{entity: reciter.ID, position: position}, nil
		}
		if name := changes["name"]; name != nil {
			if err := s.nameIsFree(ctx, *name, reciter.ID); err != nil {
				return decision{}, err
			}
		}
		return c.change(reciter.ID, position, changes, library.NewReciterModified)
	}))
}

func (s *Server) deleteReciter(ctx context.Context, in *deletedReciter) (*receipt, error) {
	c := command{key: in.key(), event: library.ReciterDeleted, entity: entityIn(in.Reciter)}
	return acknowledge(s.submit(ctx, c, func(ctx context.Context) (decision, error) {
		position, reciter, err := s.reciter(ctx, in.Reciter)
		if err != nil {
			return decision{}, err
		}
		event, err := library.NewReciterDeleted(reciter.ID)
		return appendEvent(reciter.ID, position, event, err)
	}))
}

func (s *Server) reciter(ctx context.Context, which string) (int64, Reciter, error) {
	position, reciter, err := s.catalogue.reciter(ctx, referTo(which))
	return position, reciter, unknown(err, "there is no such reciter")
}

func (s *Server) nameIsFree(ctx context.Context, name string, except uuid.UUID) error {
	taken, err := s.catalogue.nameTaken(ctx, name, except)
	if err == nil && taken {
		return huma.Error409Conflict("another reciter has this name; choose a different one")
	}
	return err
}

func unknown(err error, detail string) error {
	if errors.Is(err, errNotThere) {
		return huma.Error404NotFound(detail)
	}
	return err
}

// acknowledge answers a command that creates nothing.
func acknowledge(done Receipt, err error) (*receipt, error) {
	return &receipt{Position: done.Position, Body: done}, err
}

// entityIn is the id that an address holds, nil when it holds a slug.
func entityIn(text string) uuid.UUID {
	if which := referTo(text); which.id != nil {
		return *which.id
	}
	return uuid.Nil
}

// differing are the changes that would really change something.
func differing(changes, current library.Changes) library.Changes {
	real := library.Changes{}
	for name, value := range changes {
		now := current[name]
		if (value == nil) != (now == nil) || (value != nil && *value != *now) {
			real[name] = value
		}
	}
	return real
}
