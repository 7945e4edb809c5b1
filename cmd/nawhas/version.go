package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/nawhas/nawhas-operator/internal/buildinfo"
	"github.com/nawhas/nawhas-operator/internal/library"
)

// ownEdition is the edition of this program. An image that is tagged with
// another version than it holds would build, or read, a database by the wrong
// rules; it is refused.
func ownEdition() (library.Edition, error) {
	if wanted := os.Getenv("NAWHAS_VERSION"); wanted != "" && wanted != buildinfo.Version {
		return library.Edition{}, usage("this image holds nawhas %s, and the release runs it as %s; correct spec.image or its tag", buildinfo.Version, wanted)
	}
	return library.EditionOf(buildinfo.Version)
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version and the commit it was built from", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "nawhas %s (%s)\n", buildinfo.Version, buildinfo.Commit)
			return err
		},
	}
}
