package testbed

import (
	"context"
	"strconv"
)

// Nawhas is the program that is measured, on a server.
type Nawhas struct {
	Path   string
	Server *Server
}

// Run runs a command of the program on a log and a version's database, and
// measures it.
func (n Nawhas) Run(ctx context.Context, source, database string, args ...string) (Usage, error) {
	return Run(ctx, n.Environment(source, database), n.Path, args...)
}

// Environment tells the program where its two databases are.
func (n Nawhas) Environment(source, database string) []string {
	return []string{"NAWHAS_SOURCE_URL=" + n.Server.URL(source), "NAWHAS_DATABASE_URL=" + n.Server.URL(database)}
}

// Generate makes a log of so many events in a new database.
func (n Nawhas) Generate(ctx context.Context, source string, events int) error {
	if err := n.Server.Create(ctx, source); err != nil {
		return err
	}
	if _, err := n.Run(ctx, source, "", "source", "init"); err != nil {
		return err
	}
	if _, err := n.Run(ctx, source, "", "generate", "--events", strconv.Itoa(events)); err != nil {
		return err
	}
	// A log that has been in use for a while has statistics and has been vacuumed.
	return n.Server.Execute(ctx, source, "VACUUM ANALYZE")
}

// Migrate makes an empty database with the version's tables.
func (n Nawhas) Migrate(ctx context.Context, source, database string) error {
	if err := n.Server.Create(ctx, database); err != nil {
		return err
	}
	_, err := n.Run(ctx, source, database, "migrate")
	return err
}

// Replay builds a new database from a log and measures that.
func (n Nawhas) Replay(ctx context.Context, source, database string, args ...string) (Usage, error) {
	if err := n.Migrate(ctx, source, database); err != nil {
		return Usage{}, err
	}
	if err := n.Server.Settle(ctx); err != nil {
		return Usage{}, err
	}
	return n.Run(ctx, source, database, append([]string{"replay"}, args...)...)
}
