package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/nawhas/nawhas-operator/internal/buildinfo"
)

// connection is a connection string from a flag or the environment. The
// environment is not the flag's default, because help shows defaults and a
// connection string holds a password.
type connection struct{ flag, variable, value string }

func databaseFlag(cmd *cobra.Command) *connection {
	return connectionFlag(cmd, "database-url", "NAWHAS_DATABASE_URL", "the version's database")
}

func sourceFlag(cmd *cobra.Command) *connection {
	return connectionFlag(cmd, "source-url", "NAWHAS_SOURCE_URL", "the database of the log")
}

func connectionFlag(cmd *cobra.Command, flag, variable, what string) *connection {
	c := &connection{flag: flag, variable: variable}
	cmd.Flags().StringVar(&c.value, flag, "", fmt.Sprintf("connection string of %s (default $%s)", what, variable))
	return c
}

// given tells whether there is a connection string at all.
func (c *connection) given() bool { return c.value != "" || os.Getenv(c.variable) != "" }

// url is the connection string, checked for its form and with the program's
// name for those who look at the server's sessions.
func (c *connection) url() (string, error) {
	value := c.value
	if value == "" {
		value = os.Getenv(c.variable)
	}
	if value == "" {
		return "", usage("no connection string: set --%s or %s", c.flag, c.variable)
	}
	if _, err := pgx.ParseConfig(value); err != nil {
		return "", usage("--%s (or %s) is not a connection string such as postgres://role:password@host:5432/database: %w", c.flag, c.variable, err)
	}
	return value, nil
}

// pool opens no connection by itself, so that a server starts while its
// database is away.
func (c *connection) pool(ctx context.Context, program string, limit int32) (*pgxpool.Pool, error) {
	url, err := c.url()
	if err != nil {
		return nil, err
	}
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, usage("--%s (or %s): %w", c.flag, c.variable, err)
	}
	config.MaxConns = limit
	config.MaxConnIdleTime = 5 * time.Minute
	config.MaxConnLifetime = time.Hour
	config.MaxConnLifetimeJitter = 5 * time.Minute
	config.HealthCheckPeriod = 15 * time.Second
	config.ConnConfig.ConnectTimeout = 5 * time.Second
	config.ConnConfig.RuntimeParams["application_name"] = "nawhas " + program + " " + buildinfo.Version
	return pgxpool.NewWithConfig(ctx, config)
}

func (c *connection) connect(ctx context.Context, program string) (*pgx.Conn, error) {
	url, err := c.url()
	if err != nil {
		return nil, err
	}
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, usage("--%s (or %s): %w", c.flag, c.variable, err)
	}
	config.RuntimeParams["application_name"] = "nawhas " + program + " " + buildinfo.Version
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connect to the server of --%s (or %s): %w", c.flag, c.variable, err)
	}
	return conn, nil
}

// closing ends a session in an orderly way even when the command's context has
// ended.
func closing(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = conn.Close(ctx)
}
