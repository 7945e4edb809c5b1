package main

import (
	"fmt"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/nawhas/nawhas-operator/internal/install"
)

type installOptions struct {
	image                      string
	try, print, upgrade, force bool
}

func installCommand(s *session) *cobra.Command {
	var o installOptions
	cmd := &cobra.Command{
		Use:   "install",
		Short: "Install the operator, or upgrade it",
		Long: "Install the operator that belongs to this program: its definitions, its rights and its Deployment, by\n" +
			"server-side apply. Everything that can be is tried on the server first, and when it refuses that nothing was\n" +
			"changed; what belongs into a namespace that is not there yet cannot be. An error says what was applied before it.\n\n" +
			"It installs into namespace " + install.Namespace + " unless -n names another one. It needs the rights of a cluster's\n" +
			"administrator; for somebody who has them, or for a repository, --print writes what it would apply.",
		Example: "  kubectl nawhas install\n" +
			"  kubectl nawhas install --image registry.example.com/nawhas-operator:v0.1.0\n" +
			"  kubectl nawhas install --upgrade --dry-run\n" +
			"  kubectl nawhas install --print > operator.yaml",
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, _ []string) error { return installOperator(cmd, s, o) },
	}
	flags := cmd.Flags()
	flags.StringVar(&o.image, "image", install.Image(), "the operator's image")
	flags.BoolVar(&o.upgrade, "upgrade", false, "replace an operator of another version, and an older definition")
	flags.BoolVar(&o.force, "force-conflicts", false, "take over fields that others have set")
	flags.BoolVar(&o.print, "print", false, "print the manifests, and ask no cluster")
	tryFlag(cmd, &o.try)
	return cmd
}

func installOperator(cmd *cobra.Command, s *session, o installOptions) error {
	namespace := install.Namespace
	if given := s.overrides.Context.Namespace; given != "" {
		namespace = given
	}
	if o.print {
		return printManifests(cmd, namespace, o.image)
	}
	connection, _, err := s.connection()
	if err != nil {
		return err
	}
	cluster, err := client.New(connection, client.Options{})
	if err != nil {
		return fmt.Errorf("set up the client: %w", err)
	}
	installation := &install.Installation{Client: cluster, Namespace: namespace, Image: o.image, Upgrade: o.upgrade, Force: o.force}
	steps, err := installation.Run(cmd.Context(), o.try)
	if err != nil {
		return err
	}
	return tellSteps(cmd, steps, namespace, o.try)
}

func printManifests(cmd *cobra.Command, namespace, image string) error {
	objects, err := install.Manifests(namespace, image)
	if err != nil {
		return err
	}
	text, err := install.Print(objects)
	if err != nil {
		return err
	}
	_, err = cmd.OutOrStdout().Write(text)
	return err
}

func tellSteps(cmd *cobra.Command, steps []install.Step, namespace string, try bool) error {
	var lines []string
	for _, step := range steps {
		lines = append(lines, fmt.Sprintf("%-9s  %s", step.Done, step.Object))
	}
	if try {
		lines = append(lines, "Tried on the server: nothing was changed.")
	} else {
		lines = append(lines, "To see it start:", "  kubectl -n "+namespace+" rollout status deployment nawhas-operator")
	}
	return printLines(cmd.OutOrStdout(), lines)
}
