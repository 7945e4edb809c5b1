package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5"
	"sigs.k8s.io/yaml"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

// Log is a log of events in a database of its own.
type Log struct {
	// URL is the connection string of the log's owner.
	URL string
	// Database is its name.
	Database string

	cluster *Cluster
}

// MakeLog makes a database with an empty log. Drop removes it.
func (c *Cluster) MakeLog(ctx context.Context, database string) (*Log, error) {
	u, err := url.Parse(c.SourceURL)
	if err != nil {
		return nil, errors.New("the source's connection string is not a URL")
	}
	u.Path = "/" + database
	l := &Log{URL: u.String(), Database: database, cluster: c}
	if err := c.execute(ctx, fmt.Sprintf("CREATE DATABASE %s OWNER nawhas_source", pgx.Identifier{database}.Sanitize())); err != nil {
		return nil, fmt.Errorf("make the log's database: %w", err)
	}
	if err := l.nawhas(ctx, "source", "init"); err != nil {
		return nil, errors.Join(fmt.Errorf("make the log: %w", err), l.Drop(ctx))
	}
	return l, nil
}

// Append generates events at the end of the log.
func (l *Log) Append(ctx context.Context, events, seed int) error {
	return l.nawhas(ctx, "generate", "--events", fmt.Sprint(events), "--seed", fmt.Sprint(seed))
}

// Drop removes the log and its database, whoever is connected.
func (l *Log) Drop(ctx context.Context) error {
	return l.cluster.execute(ctx, fmt.Sprintf("DROP DATABASE %s WITH (FORCE)", pgx.Identifier{l.Database}.Sanitize()))
}

func (l *Log) nawhas(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, filepath.Join(l.cluster.Root, "bin", "linux", "nawhas"), args...)
	cmd.Env = append(os.Environ(), "NAWHAS_SOURCE_URL="+l.URL)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("nawhas %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

func (c *Cluster) execute(ctx context.Context, statement string) error {
	conn, err := pgx.Connect(ctx, c.AuditURL)
	if err != nil {
		return fmt.Errorf("connect to the server: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	_, err = conn.Exec(ctx, statement)
	return err
}

// Sample is the release of config/samples, for a namespace and with a prefix of
// its own. Its databases go with it when it is deleted.
func (c *Cluster) Sample(namespace, prefix string) (*v1alpha1.NawhasRelease, error) {
	content, err := os.ReadFile(filepath.Join(c.Root, "config", "samples", "nawhasrelease.yaml"))
	if err != nil {
		return nil, fmt.Errorf("read the sample: %w", err)
	}
	var release v1alpha1.NawhasRelease
	if err := yaml.UnmarshalStrict(content, &release); err != nil {
		return nil, fmt.Errorf("understand the sample: %w", err)
	}
	release.Namespace = namespace
	release.Spec.Databases.Prefix = prefix
	release.Spec.DeletionPolicy = v1alpha1.DeletionDelete
	return &release, nil
}
