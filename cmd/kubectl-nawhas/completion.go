package main

import (
	"github.com/spf13/cobra"
)

// versionFlags are those whose value is a version of the release.
var versionFlags = []string{"version", "to"}

// completeVersions lets the shell offer versions wherever a command takes one.
func (s *session) completeVersions(root *cobra.Command) {
	for _, cmd := range root.Commands() {
		for _, name := range versionFlags {
			if cmd.Flags().Lookup(name) != nil {
				// It fails for a flag that is not there only.
				_ = cmd.RegisterFlagCompletionFunc(name, s.offerVersions)
			}
		}
	}
}

// offerVersions are those that the release has a database of, with their roles.
func (s *session) offerVersions(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if cmd.Name() == "logs" && len(args) > 0 {
		args = args[1:] // The first one is a stage.
	}
	_, release, err := s.find(cmd, args)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var offered []string
	for _, v := range release.Status.Versions {
		offered = append(offered, cobra.CompletionWithDesc(v.Version, string(v.Role)))
	}
	return offered, cobra.ShellCompDirectiveNoFileComp
}
