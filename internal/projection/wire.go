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
func (w *wire) run(ctx context.Context, statements ...statement) error {
	a, err := w.ask(ctx, statements...)
	if err != nil {
		return err
	}
	return a.receive()
}

// answers are those to statements that were sent; the session does nothing else
// until they are received.
type answers struct {
	pipeline *pgconn.Pipeline
	to       []statement
}

// ask sends the statements and does not wait for the answers.
func (w *wire) ask(ctx context.Context, statements ...statement) (answers, error) {
	if len(statements) == 0 {
		return answers{}, nil
	}
	if err := w.prepare(ctx, statements); err != nil {
		return answers{}, err
	}
	a := answers{pipeline: w.conn.StartPipeline(ctx), to: statements}
	for _, s := range statements {
		a.pipeline.SendQueryPrepared(w.names[s.sql], s.params, allBinary, allBinary)
	}
	if err := a.pipeline.Sync(); err != nil {
		_ = a.pipeline.Close()
		return answers{}, fmt.Errorf("%s: %w", statements[0].doing, err)
	}
	return a, nil
}

// receive waits for the answers and hands over their rows.
func (a answers) receive() (err error) {
	if a.pipeline == nil {
		return nil
	}
	defer func() {
		// Closing repeats the error that ended the results.
		if closed := a.pipeline.Close(); err == nil {
			err = closed
		}
	}()
	for _, s := range a.to {
		if err := s.receive(a.pipeline); err != nil {
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
