package release

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

var errCrash = errors.New("the operator ended here")

// crash ends the operator at a side effect, right before it or right after it,
// the first time that it comes to this one: in the cluster, or on a server.
// From then on the process does nothing any more.
type crash struct {
	// survived are the side effects at which an operator has ended already.
	survived map[string]bool
	after    moment
	// among are those at which one may end, nil for all.
	among *regexp.Regexp
	dead  bool
	// statements are what the transactions under way have done.
	statements map[*pgx.Conn][]string
}

// at reports whether this side effect is the last, and whether it is still done.
func (c *crash) at(effect string) (last, done bool) {
	if c.survived[effect] || c.among != nil && !c.among.MatchString(effect) {
		return false, true
	}
	done = c.after(len(c.survived))
	c.survived[effect], c.dead = true, true
	return true, done
}

func (c *crash) write(effect string, do func() error) error {
	if c.dead {
		return errCrash
	}
	last, done := c.at(effect)
	if !last {
		return do()
	}
	if done {
		_ = do()
	}
	return errCrash
}

// TraceQueryStart ends the process at a statement that changes something. What
// a transaction does counts when it is committed.
func (c *crash) TraceQueryStart(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	gone, cancel := context.WithCancel(ctx)
	cancel()
	if c.dead {
		return gone
	}
	effect := describeStatement(data)
	if conn.PgConn().TxStatus() != 'I' {
		switch effect {
		case "commit":
			effect = strings.Join(c.statements[conn], "; ")
			delete(c.statements, conn)
		case "rollback":
			delete(c.statements, conn)
			return ctx
		default:
			if changes(effect) {
				c.statements[conn] = append(c.statements[conn], effect)
			}
			return ctx
		}
	}
	if !changes(effect) {
		return ctx
	}
	if _, done := c.at(effect); !done {
		return gone
	}
	return ctx
}

// TraceQueryEnd has nothing to do: what follows finds the process dead.
func (c *crash) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// changes reports whether a statement changes something that outlives its
// session.
func changes(statement string) bool {
	for _, harmless := range []string{"select", "begin", "set", "lock", "savepoint", "release", "rollback", "-- ping"} {
		if strings.HasPrefix(statement, harmless) {
			return strings.Contains(statement, "pg_terminate_backend")
		}
	}
	return statement != ""
}

var (
	secrets = regexp.MustCompile(`(?i)(password '|password=).*`)
	word    = regexp.MustCompile(`^[A-Za-z]+$`)
)

// describeStatement is a statement with those of its arguments that are words,
// which tell the ledger's transitions apart.
func describeStatement(data pgx.TraceQueryStartData) string {
	text := secrets.ReplaceAllString(strings.ToLower(strings.TrimSpace(data.SQL)), "password")
	for _, argument := range data.Args {
		if value, ok := argument.(string); ok && word.MatchString(value) {
			text += " " + value
		}
	}
	return text
}

type crashingClient struct {
	client.Client
	*crash
}

func (c *crashingClient) Create(ctx context.Context, obj client.Object, opts ...client.CreateOption) error {
	if len((&client.CreateOptions{}).ApplyOptions(opts).DryRun) > 0 {
		return c.Client.Create(ctx, obj, opts...)
	}
	return c.write(fmt.Sprintf("create %T %s", obj, obj.GetName()), func() error { return c.Client.Create(ctx, obj, opts...) })
}

func (c *crashingClient) Apply(ctx context.Context, obj runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
	return c.write("apply "+nameOf(obj), func() error { return c.Client.Apply(ctx, obj, opts...) })
}

func (c *crashingClient) Patch(ctx context.Context, obj client.Object, patch client.Patch, opts ...client.PatchOption) error {
	if len((&client.PatchOptions{}).ApplyOptions(opts).DryRun) > 0 {
		return c.Client.Patch(ctx, obj, patch, opts...)
	}
	return c.write(fmt.Sprintf("patch %T %s", obj, obj.GetName()), func() error { return c.Client.Patch(ctx, obj, patch, opts...) })
}

func (c *crashingClient) Delete(ctx context.Context, obj client.Object, opts ...client.DeleteOption) error {
	return c.write(fmt.Sprintf("delete %T %s", obj, obj.GetName()), func() error { return c.Client.Delete(ctx, obj, opts...) })
}

func nameOf(applied runtime.ApplyConfiguration) string {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(applied)
	if err != nil {
		return err.Error()
	}
	object := unstructured.Unstructured{Object: content}
	return object.GetKind() + " " + object.GetName()
}

func (c *crashingClient) Status() client.SubResourceWriter {
	return &crashingStatus{c.Client.Status(), c.crash}
}

type crashingStatus struct {
	client.SubResourceWriter
	crash *crash
}

func (s *crashingStatus) Patch(ctx context.Context, obj client.Object, patch client.Patch, opts ...client.SubResourcePatchOption) error {
	return s.crash.write("patch the status", func() error { return s.SubResourceWriter.Patch(ctx, obj, patch, opts...) })
}
