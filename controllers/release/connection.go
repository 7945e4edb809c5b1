package release

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/eventlog"
)

// connection is a connection string of a Secret, taken apart so that it can be
// put together again for another role or database. It holds a password and is
// never printed.
type connection struct {
	url    *url.URL
	ca     []byte
	config *pgx.ConnConfig
	// said is a digest of url and ca.
	said string
	// log is the log that is looked after there, nil where there is none.
	log *eventlog.Log
}

// secretError says that a Secret or a key that the spec names is not there.
type secretError struct{ message string }

func (e *secretError) Error() string { return e.message }

// connectionError says that a connection string cannot be used.
type connectionError struct{ message string }

func (e *connectionError) Error() string { return e.message }

func (r *Reconciler) readConnection(ctx context.Context, namespace, field string, spec v1alpha1.ConnectionSpec) (*connection, error) {
	text, err := r.readSecretKey(ctx, namespace, field+".connection.secretKeyRef", spec.SecretKeyRef)
	if err != nil {
		return nil, err
	}
	var ca []byte
	if spec.CASecretKeyRef != nil {
		if ca, err = r.readSecretKey(ctx, namespace, field+".connection.caSecretKeyRef", *spec.CASecretKeyRef); err != nil {
			return nil, err
		}
	}
	conn, err := r.Secrets.connection(client.ObjectKey{Namespace: namespace, Name: spec.SecretKeyRef.Name}, string(text), ca)
	if err != nil {
		return nil, &connectionError{fmt.Sprintf("key %q of Secret %q (%s.connection) %v", spec.SecretKeyRef.Key, spec.SecretKeyRef.Name, field, err)}
	}
	return conn, nil
}

func (r *Reconciler) readSecretKey(ctx context.Context, namespace, field string, ref v1alpha1.SecretKeyReference) ([]byte, error) {
	secret, err := r.Secrets.Named(ctx, client.ObjectKey{Namespace: namespace, Name: ref.Name})
	if apierrors.IsNotFound(err) {
		return nil, &secretError{fmt.Sprintf("Secret %q (spec.%s) does not exist in namespace %q; create it with key %q", ref.Name, field, namespace, ref.Key)}
	}
	if err != nil {
		return nil, fmt.Errorf("read Secret %q: %w", ref.Name, err)
	}
	value, ok := secret.Data[ref.Key]
	if !ok || len(value) == 0 {
		return nil, &secretError{fmt.Sprintf("Secret %q has no key %q (spec.%s); add it", ref.Name, ref.Key, field)}
	}
	return value, nil
}

// parseConnection never repeats the string in an error: it holds a password.
func parseConnection(text string, ca []byte) (*connection, error) {
	parsed, err := url.Parse(text)
	if err != nil || (parsed.Scheme != "postgres" && parsed.Scheme != "postgresql") || parsed.Hostname() == "" {
		return nil, errors.New("is not a connection URL; write postgres://user:password@host:port/database?sslmode=…")
	}
	query := parsed.Query()
	if err := checkOptions(query); err != nil {
		return nil, err
	}
	if len(ca) > 0 && !query.Has("sslmode") {
		query.Set("sslmode", "verify-full")
	}
	parsed.RawQuery = encoded(query)
	config, err := pgx.ParseConfig(verifying(*parsed, ca))
	if err != nil {
		return nil, errors.New("is not a connection URL that Postgres understands; write postgres://user:password@host:port/database?sslmode=…")
	}
	if config.User == "" || config.Database == "" {
		return nil, errors.New("names no user or no database; write postgres://user:password@host:port/database")
	}
	if len(ca) > 0 {
		if mode := query.Get("sslmode"); mode == "prefer" || mode == "allow" {
			return nil, fmt.Errorf("goes on without TLS when it must (sslmode=%s) although caSecretKeyRef is set; write sslmode=verify-full", mode)
		}
		if config.TLSConfig == nil {
			return nil, errors.New("turns TLS off (sslmode=disable) although caSecretKeyRef is set; remove one of them")
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(ca) {
			return nil, errors.New("comes with a caSecretKeyRef that holds no certificate in PEM")
		}
		config.TLSConfig.RootCAs = roots
	}
	// A server that does not answer must not hold up a pass for long.
	config.ConnectTimeout = connectTimeout
	said := sha256.Sum256(append([]byte(parsed.String()+"\x00"), ca...))
	return &connection{url: parsed, ca: ca, config: config, said: hex.EncodeToString(said[:])}, nil
}

// copied is the connection for one that adds to it: a tracer, the log.
func (c *connection) copied() *connection {
	own, config := *c, *c.config
	own.config = &config
	return &own
}

// verifying is the URL with which the certificate is checked when there is an
// authority for it: as in libpq, sslmode=require means verify-ca then.
func verifying(u url.URL, ca []byte) string {
	if query := u.Query(); len(ca) > 0 && query.Get("sslmode") == "require" {
		query.Set("sslmode", "verify-ca")
		u.RawQuery = encoded(query)
	}
	return u.String()
}

// encoded is a query as every driver reads it: libpq takes a + for itself, not for
// a space.
func encoded(query url.Values) string { return strings.ReplaceAll(query.Encode(), "+", "%20") }

// as is the connection of another role, to the given database or the same one.
func (c *connection) as(role, password, database string) *pgx.ConnConfig {
	config := c.config.Copy()
	config.User, config.Password, config.Database = role, password, database
	return config
}

// podURL is what pods of a role connect with. Certificates are mounted there.
func (c *connection) podURL(role, password, database, caFile string) string {
	u := c.inPods(database, caFile)
	u.User = url.UserPassword(role, password)
	return u.String()
}

// expandedURL is what a container connects with to another database on the
// databases server: Kubernetes puts the user and the password in, which the
// container has as variables. Neither has a character that a URL would escape.
func (c *connection) expandedURL(database, caFile string) string {
	u := c.inPods(database, caFile)
	u.User = nil
	return strings.Replace(literal(u.String()), "://", "://$(NAWHAS_DATABASE_USER):$(NAWHAS_DATABASE_PASSWORD)@", 1)
}

// literal keeps Kubernetes from expanding variables in a text.
func literal(text string) string { return strings.ReplaceAll(text, "$", "$$") }

func (c *connection) inPods(database, caFile string) *url.URL {
	u := *c.url
	u.Path = "/" + database
	if len(c.ca) > 0 {
		query := u.Query()
		query.Set("sslrootcert", caFile)
		u.RawQuery = encoded(query)
	}
	return &u
}

func (c *connection) account() string  { return c.config.User }
func (c *connection) database() string { return c.config.Database }
func (c *connection) host() string     { return c.config.Host }
func (c *connection) port() string     { return strconv.Itoa(int(c.config.Port)) }

// address names the server in messages.
func (c *connection) address() string { return net.JoinHostPort(c.host(), c.port()) }

// digest tells connections apart without revealing them, and logs at one end.
func (c *connection) digest() string {
	if c.log == nil || c.log == defaultLog {
		return c.said
	}
	sum := sha256.Sum256([]byte(c.said + describeLog(c.log.Table())))
	return hex.EncodeToString(sum[:])
}
