package release

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/eventlog"
	"github.com/nawhas/nawhas-operator/internal/ledger"
	"github.com/nawhas/nawhas-operator/internal/versiondb"
	"github.com/nawhas/nawhas-operator/internal/window"
)

// trouble is an error as a user should read it: the condition's reason and a
// message that says what to do.
type trouble struct {
	reason, message string
}

// known reports whether the cause lies outside the operator and stays, so that
// trying again at once is of no use.
func (t trouble) known() bool {
	return t.reason != v1alpha1.ReasonInternal && t.reason != v1alpha1.ReasonAPIServerUnavailable
}

// connectFailed wraps an error of talking to a server, so that the message can
// name which one.
type connectFailed struct {
	what    string
	address string
	account string
	err     error
}

func (e *connectFailed) Error() string {
	return fmt.Sprintf("%s at %s as %q: %v", e.what, e.address, e.account, e.err)
}
func (e *connectFailed) Unwrap() error { return e.err }

// explain finds the reason and the message for an error.
func explain(err error) trouble {
	if t, ok := explainTyped(err); ok {
		return t
	}
	if t, ok := explainPostgres(err); ok {
		return t
	}
	return trouble{v1alpha1.ReasonInternal, err.Error()}
}

func explainTyped(err error) (trouble, bool) {
	if e, ok := errors.AsType[*secretError](err); ok {
		return trouble{v1alpha1.ReasonSecretMissing, e.Error()}, true
	}
	if e, ok := errors.AsType[*connectionError](err); ok {
		return trouble{v1alpha1.ReasonConnectionInvalid, e.Error()}, true
	}
	if e, ok := errors.AsType[*versiondb.ForeignError](err); ok {
		return trouble{v1alpha1.ReasonForeignDatabase, e.Error()}, true
	}
	if e, ok := errors.AsType[*ledger.TakenError](err); ok {
		return trouble{v1alpha1.ReasonForeignDatabase, e.Error()}, true
	}
	if e, ok := errors.AsType[*foreignObjectError](err); ok {
		return trouble{v1alpha1.ReasonForeignObject, e.Error()}, true
	}
	if e, ok := errors.AsType[*versiondb.RightsError](err); ok {
		return trouble{v1alpha1.ReasonMissingRights, e.Error()}, true
	}
	if e, ok := errors.AsType[*eventlog.PreconditionError](err); ok {
		if e.Reason == eventlog.ReasonRights {
			return trouble{v1alpha1.ReasonMissingRights, e.Error()}, true
		}
		return trouble{v1alpha1.ReasonLogUnsuitable, e.Error()}, true
	}
	if e, ok := errors.AsType[*window.UnsuitableError](err); ok {
		return trouble{v1alpha1.ReasonLogUnsuitable, e.Error()}, true
	}
	if e, ok := errors.AsType[*eventlog.StalledError](err); ok {
		return trouble{v1alpha1.ReasonLogWriterStalled, e.Error()}, true
	}
	if e, ok := errors.AsType[*ledger.AnotherLogError](err); ok {
		return trouble{v1alpha1.ReasonLogChanged, e.Error()}, true
	}
	if e, ok := errors.AsType[*ledger.ForeignError](err); ok {
		return trouble{v1alpha1.ReasonLedgerForeign, e.Error()}, true
	}
	if errors.Is(err, ledger.ErrSuperseded) {
		return trouble{v1alpha1.ReasonSuperseded, err.Error() + "; if that one is of this cluster and gone, this one goes on by itself within minutes; otherwise let only one look after it"}, true
	}
	if errors.Is(err, ledger.ErrNewer) {
		return trouble{v1alpha1.ReasonLedgerIncompatible, err.Error()}, true
	}
	return explainAPIServer(err)
}

// explainPostgres goes by SQLSTATE. Connection errors of pgx name user, host
// and database, never the password.
func explainPostgres(err error) (trouble, bool) {
	where := "the server"
	failed, isConnect := errors.AsType[*connectFailed](err)
	if isConnect {
		where = fmt.Sprintf("%s at %s", failed.what, failed.address)
	}
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch {
		case strings.HasPrefix(pgErr.Code, "28"):
			account := ""
			if isConnect {
				account = fmt.Sprintf(" %q", failed.account)
			}
			return trouble{v1alpha1.ReasonWrongCredentials, fmt.Sprintf("%s refuses the account%s: %s; correct the user and password in the Secret", where, account, pgErr.Message)}, true
		case pgErr.Code == "3D000":
			return trouble{v1alpha1.ReasonConnectionInvalid, fmt.Sprintf("%s: %s; correct the database in the Secret, or create it", where, pgErr.Message)}, true
		case pgErr.Code == "42501":
			return trouble{v1alpha1.ReasonMissingRights, fmt.Sprintf("%s: %v", where, err)}, true
		}
		return trouble{v1alpha1.ReasonDatabaseError, fmt.Sprintf("%s: %v", where, err)}, true
	}
	var netErr net.Error
	if isConnect && (errors.As(err, &netErr) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, errNoAnswer) || isConnectError(err)) {
		return trouble{v1alpha1.ReasonUnreachable, fmt.Sprintf("%s cannot be reached: %v; what is live goes on, and this release goes on by itself when the server answers", where, rootCause(err))}, true
	}
	return trouble{}, false
}

func isConnectError(err error) bool {
	_, ok := errors.AsType[*pgconn.ConnectError](err)
	return ok
}

func rootCause(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		err = next
	}
}
