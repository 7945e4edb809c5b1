package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/spf13/cobra"

	"github.com/nawhas/nawhas-operator/internal/library"
)

func migrateCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "migrate", Short: "Make the tables of the version's database", Args: cobra.NoArgs,
		Long: "migrate brings the version's database to this version's edition. Migrations that were applied before are left alone."}
	database := databaseFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		edition, err := ownEdition()
		if err != nil {
			return err
		}
		conn, err := database.connect(cmd.Context(), "migrate")
		if err != nil {
			return err
		}
		defer closing(conn)
		before, err := migrations(cmd.Context(), conn)
		if err != nil {
			return err
		}
		if err := library.Migrate(cmd.Context(), conn, edition); err != nil {
			return err
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "edition %s: %d migrations applied, %d in all\n",
			edition.Version, max(edition.Migrations-before, 0), edition.Migrations)
		return err
	}
	return cmd
}

// migrations is how many the database has; none when it was never migrated.
func migrations(ctx context.Context, conn *pgx.Conn) (int32, error) {
	const undefinedTable = "42P01"
	var applied int32
	err := conn.QueryRow(ctx, "SELECT version FROM public.schema_version").Scan(&applied)
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Code == undefinedTable {
		return 0, nil
	}
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return 0, fmt.Errorf("count the migrations of the database: %w", err)
	}
	return applied, nil
}
