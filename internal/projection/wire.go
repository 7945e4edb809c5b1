package projection

import (
	"context"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// statement is one statement with its parameters in Postgres' binary format.
type statement struct {
	// doing says in an error what was attempted.
	doing  string
	sql    string
	params [][]byte
	// row takes each row of the result, in binary; nil when none is expected.
	row func(values [][]byte) error
}

// wire sends statements of one session, each prepared once. Like its
// connection it belongs to one goroutine.
type wire struct {
	conn *pgconn.PgConn
	// names are those of the prepared statements, by their text.
	names map[string]string
}

func newWire(conn *pgx.Conn) *wire {
	return &wire{conn: conn.PgConn(), names: map[string]string{}}
}

// run sends the statements in one round trip. Outside of a transaction they
// are one: they take effect together or not at all.
func (w *wire) run(ctx context.Context, statements ...statement) (err error) {
	if len(statements) == 0 {
		return nil
	}
	if err := w.prepare(ctx, statements); err != nil {
		return err
	}
	pipeline := w.conn.StartPipeline(ctx)
	defer func() {
		// Closing repeats the error that ended the results.
		if closed := pipeline.Close(); err == nil {
			err = closed
		}
	}()
	for _, s := range statements {
		pipeline.SendQueryPrepared(w.names[s.sql], s.params, allBinary, allBinary)
	}
	if err := pipeline.Sync(); err != nil {
		return fmt.Errorf("%s: %w", statements[0].doing, err)
	}
	for _, s := range statements {
		if err := s.receive(pipeline); err != nil {
			return fmt.Errorf("%s: %w", s.doing, err)
		}
	}
	return nil
}

// allBinary is the format of all parameters, or of all columns.
var allBinary = []int16{pgx.BinaryFormatCode}

// prepare prepares what this session has not seen yet: the engine has a few
// fixed statements for each table.
func (w *wire) prepare(ctx context.Context, statements []statement) error {
	for _, s := range statements {
		if w.names[s.sql] != "" {
			continue
		}
		name := "projection_" + strconv.Itoa(len(w.names))
		if _, err := w.conn.Prepare(ctx, name, s.sql, nil); err != nil {
			return fmt.Errorf("%s: %w", s.doing, err)
		}
		w.names[s.sql] = name
	}
	return nil
}

func (s statement) receive(pipeline *pgconn.Pipeline) error {
	results, err := pipeline.GetResults()
	if err != nil {
		return err
	}
	reader, ok := results.(*pgconn.ResultReader)
	if !ok {
		return fmt.Errorf("the server answered with %T", results)
	}
	for s.row != nil && reader.NextRow() {
		if err := s.row(reader.Values()); err != nil {
			_, _ = reader.Close()
			return err
		}
	}
	_, err = reader.Close()
	return err
}
