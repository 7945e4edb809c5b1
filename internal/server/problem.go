package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/jackc/pgx/v5/pgconn"
)

// undefinedTable is the SQLSTATE of a database that is not migrated yet.
const undefinedTable = "42P01"

// behindError says that the database did not reach a position in time.
type behindError struct{ wanted int64 }

func (e *behindError) Error() string {
	return fmt.Sprintf("this version's database has not reached position %d yet; send the request again", e.wanted)
}

// await bounds the wait for a position by ReadWait.
func (s *Server) await(ctx context.Context, position int64) error {
	if position == 0 {
		return nil
	}
	started := time.Now()
	waiting, cancel := context.WithTimeout(ctx, s.options.ReadWait)
	defer cancel()
	err := s.tide.wait(waiting, position)
	s.metrics.waited(err == nil, time.Since(started))
	if err != nil && ctx.Err() == nil {
		return &behindError{wanted: position}
	}
	return err
}

// problem turns an error into an answer. What a client cannot act on is logged
// and answered without its text, which may name tables or hosts.
func (s *Server) problem(ctx context.Context, operation string, err error) error {
	var status huma.StatusError
	if errors.As(err, &status) {
		return err
	}
	var behind *behindError
	if errors.As(err, &behind) {
		return unavailable(time.Second, behind.Error())
	}
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Code == undefinedTable {
		return unavailable(5*time.Second, "this version's database is still being built; send the request again later")
	}
	var storage *storageError
	if errors.As(err, &storage) {
		s.options.Logger.ErrorContext(ctx, "the storage of uploads does not answer", "operation", operation, "error", err)
		return unavailable(retryStorage, "the storage of uploads does not answer; send the request again")
	}
	if isOutage(err) {
		s.options.Logger.WarnContext(ctx, "a database does not answer", "operation", operation, "error", err)
		return unavailable(time.Second, "a database does not answer at the moment; send the request again")
	}
	s.options.Logger.ErrorContext(ctx, "the request failed", "operation", operation, "error", err)
	return huma.Error500InternalServerError("the request failed for a reason that is in the server's log")
}

func unavailable(after time.Duration, detail string) error {
	return huma.ErrorWithHeaders(huma.Error503ServiceUnavailable(detail),
		http.Header{"Retry-After": {strconv.Itoa(int(after.Seconds()))}})
}

// elsewhere sends a client away with its connection: over a new one it comes to
// the version that the Service leads to by now. A version that wrote before has
// lost its place to one that is there already, so that the client can come at
// once.
func elsewhere(wrote bool) error {
	again := "1"
	if wrote {
		again = "0"
	}
	return huma.ErrorWithHeaders(huma.Error503ServiceUnavailable("this version may not write at the moment: it is not live yet, or another version has "+
		"taken its place; send the command again to the Service of the live version"), http.Header{"Retry-After": {again}, "Connection": {"close"}})
}

// readOnly is the SQLSTATE of a server that takes no writes: a primary that was
// demoted, or one whose disk is full.
const readOnly = "25006"

// isOutage tells a database that is away, starting, stopping, read only or
// overloaded from a fault of the request.
func isOutage(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return true
	}
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		switch refused.Code[:2] {
		case "08", "53", "57", "28", "3D": // connection, resources, operator, authorisation, no such database
			return true
		}
		return refused.Code == readOnly
	}
	var connect *pgconn.ConnectError
	var network net.Error
	return errors.As(err, &connect) || errors.As(err, &network) || pgconn.SafeToRetry(err) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// writeProblem answers outside of huma's operations, in the same shape.
func writeProblem(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(&huma.ErrorModel{Title: http.StatusText(status), Status: status, Detail: detail})
}
