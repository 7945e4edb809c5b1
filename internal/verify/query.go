package verify

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
)

const (
	queryPrefix  = "query:"
	queryTimeout = time.Minute
	// grace is how long a server may take to end a statement that timed out.
	grace = 5 * time.Second
)

// askAll makes the user's own checks, each in a session of its own: whatever a
// statement does to its session, the next one and the checks of the edition do
// not notice.
func (in *inspection) askAll(ctx context.Context) error {
	for _, q := range in.Plan.Queries {
		started := time.Now()
		result, err := in.ask(ctx, q)
		if err != nil {
			return fmt.Errorf("check %s%s: %w", queryPrefix, q.Name, err)
		}
		result.Name, result.Seconds = queryPrefix+q.Name, time.Since(started).Seconds()
		in.add(result)
	}
	return nil
}

func (in *inspection) ask(ctx context.Context, q Query) (Check, error) {
	conn, err := pgx.ConnectConfig(ctx, in.Database.Config())
	if err != nil {
		return Check{}, err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	timeout := time.Duration(q.Timeout)
	if timeout == 0 {
		timeout = queryTimeout
	}
	if err := confine(ctx, conn, timeout); err != nil {
		return Check{}, err
	}
	if _, err := join(ctx, conn, in.exported); err != nil {
		return Check{}, err
	}
	bounded, cancel := context.WithTimeout(ctx, timeout+grace)
	defer cancel()
	found, err := readValue(bounded, conn.PgConn(), q.Query)
	switch {
	case ctx.Err() != nil:
		return Check{}, ctx.Err()
	case bounded.Err() != nil:
		return fail(0, "rows", 1, nil, "it did not end within %s", timeout), nil
	case err != nil:
		return judgeRefusal(err, timeout)
	}
	return q.judge(found), nil
}

// confine keeps a session from writing and from taking long.
func confine(ctx context.Context, conn *pgx.Conn, timeout time.Duration) error {
	_, err := conn.Exec(ctx, fmt.Sprintf("SET default_transaction_read_only = on; SET statement_timeout = %d; SET timezone = 'UTC'; SET datestyle = 'ISO'",
		timeout.Milliseconds()), pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		return fmt.Errorf("prepare a session for a query: %w", err)
	}
	return nil
}

// answer is what a query returned, up to its second row.
type answer struct {
	rows, columns int
	value         *string
}

// readValue runs one statement by the extended protocol, which takes no second
// one behind it, and reads no more than decides.
func readValue(ctx context.Context, conn *pgconn.PgConn, statement string) (found answer, err error) {
	result := conn.ExecParams(ctx, statement, nil, nil, nil, nil)
	for result.NextRow() {
		found.rows++
		if found.rows > 1 {
			return found, conn.CancelRequest(ctx)
		}
		values, fields := result.Values(), result.FieldDescriptions()
		found.columns = len(values)
		if len(values) == 1 && values[0] != nil {
			text := written(fields[0].DataTypeOID, string(values[0]))
			found.value = &text
		}
	}
	_, err = result.Close()
	return found, err
}

// written is a value's text; booleans are spelt out.
func written(kind uint32, text string) string {
	if kind == pgtype.BoolOID {
		return map[string]string{"t": "true", "f": "false"}[text]
	}
	return text
}

// judge compares what was found with what is expected. Only numbers and
// booleans are repeated: anything else may come from a payload.
func (q Query) judge(found answer) Check {
	check := Check{Figure: 1, Unit: "values"}
	switch {
	case found.rows != 1:
		check = fail(0, "values", 1, nil, "it must return one row, and returned %s", map[bool]string{true: "none", false: "more"}[found.rows == 0])
	case found.columns != 1:
		check = fail(0, "values", 1, nil, "it must return one column, and returned %d", found.columns)
	case found.value == nil:
		check = fail(1, "values", 1, nil, "it returned null instead of %q", q.Expect)
	case *found.value != q.Expect && plain.MatchString(*found.value):
		check = fail(1, "values", 1, nil, "it returned %s instead of %q", *found.value, q.Expect)
	case *found.value != q.Expect:
		check = fail(1, "values", 1, nil, "it returned a text of %d bytes that is not %q", len(*found.value), q.Expect)
	default:
		check.Passed = true
	}
	return check
}

var plain = regexp.MustCompile(`^(true|false|-?[0-9.]{1,30})$`)

// judgeRefusal tells why a server refused a user's statement. What is nothing
// of the statement's doing is an error of the verification.
func judgeRefusal(err error, timeout time.Duration) (Check, error) {
	const queryCanceled, readOnly = "57014", "25006"
	var refused *pgconn.PgError
	switch {
	case !errors.As(err, &refused):
		return Check{}, err
	case refused.Code == queryCanceled:
		return fail(0, "values", 1, nil, "it did not end within %s", timeout), nil
	case refused.Code == readOnly:
		return fail(0, "values", 1, nil, "it writes: %s", refused.Message), nil
	case refused.Code[:2] == "42":
		return fail(0, "values", 1, nil, "its SQL is wrong: %s (%s)", refused.Message, refused.Code), nil
	case refused.Code[:2] == "08" || refused.Code[:2] == "53" || refused.Code[:2] == "57":
		return Check{}, err
	}
	return fail(0, "values", 1, nil, "the server refused it (%s)", refused.Code), nil
}
