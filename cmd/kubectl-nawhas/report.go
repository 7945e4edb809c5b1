package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/nawhas/nawhas-operator/internal/support"
)

func reportCommand(s *session) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "report [NAME]",
		Short: "Write a bundle for those whom you ask for help",
		Long: "Write a compressed tar with the release, what belongs to it, Events, the logs of its Jobs and followers, and\n" +
			"the operator's Deployment. Secrets are not read; passwords, values of your own variables and payloads of\n" +
			"events are taken out. Look into it before you send it on.",
		Example:           "  kubectl nawhas report nawhas --file nawhas-report.tar.gz",
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: s.completeRelease,
		RunE:              func(cmd *cobra.Command, args []string) error { return writeReport(cmd, args, s, file) },
	}
	cmd.Flags().StringVar(&file, "file", "", "where to write it; nawhas-report-NAME.tar.gz when left out. An existing file is left as it is")
	return cmd
}

func writeReport(cmd *cobra.Command, args []string, s *session, file string) (err error) {
	c, release, err := s.find(cmd, args)
	if err != nil {
		return err
	}
	if file == "" {
		file = "nawhas-report-" + release.Name + ".tar.gz"
	}
	out, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return &usageError{fmt.Errorf("the report cannot be written: %w; name another with --file", err)}
	}
	missing, err := support.Write(cmd.Context(), c, release, out, s.now())
	if err := errors.Join(err, out.Close()); err != nil {
		_ = os.Remove(file)
		return err
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), "wrote "+file)
	for _, what := range missing {
		_, _ = fmt.Fprintln(cmd.ErrOrStderr(), "not read: "+what)
	}
	return err
}
