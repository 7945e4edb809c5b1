package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/releases"
)

type logsOptions struct {
	version string
	follow  bool
	tail    int64
}

func logsCommand(s *session) *cobra.Command {
	var o logsOptions
	cmd := &cobra.Command{
		Use:   "logs STAGE|WORKLOAD [NAME]",
		Short: "Print what a stage or a workload of a version printed",
		Long: "Print what a stage (" + strings.Join(steps, ", ") + ") or a workload of a version printed.\n" +
			"Of a stage that was tried more than once it is the latest try, of a replay in rounds the latest round; of a\n" +
			"workload, its newest pod.",
		Example: "  kubectl nawhas logs replay -f\n" +
			"  kubectl nawhas logs verify nawhas --version 3.1.2\n" +
			"  kubectl nawhas logs follower nawhas --tail 50",
		Args: cobra.RangeArgs(1, 2),
		ValidArgsFunction: func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 0 {
				return steps, cobra.ShellCompDirectiveNoFileComp
			}
			return s.completeRelease(cmd, args[1:], word)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			c, release, err := s.find(cmd, args[1:])
			if err != nil {
				return err
			}
			return logs(cmd, c, release, args[0], o)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.version, "version", "", "the version; the wanted one when left out, of drained the live one")
	flags.BoolVarP(&o.follow, "follow", "f", false, "go on printing")
	flags.Int64Var(&o.tail, "tail", -1, "how many of the last lines to print; -1 is all")
	return cmd
}

// steps are the stages that have pods. A replay may be made in rounds, and drained
// waits for what the live version has yet to project.
var steps = []string{"migrate", "replay", "verify", "observe", "follower", drained}

const drained = "drained"

// labelled are the labels that a step's pods may have.
func labelled(step string) []string {
	if step == "replay" {
		return []string{step, "round"}
	}
	return []string{step}
}

func logs(cmd *cobra.Command, c *releases.Cluster, release *v1alpha1.NawhasRelease, of string, o logsOptions) error {
	label := v1alpha1.LabelStage
	if slices.ContainsFunc(release.Spec.Workloads, func(w v1alpha1.Workload) bool { return w.Name == of }) {
		label = v1alpha1.LabelWorkload
	} else if !slices.Contains(steps, of) {
		return &usageError{fmt.Errorf("%q is neither a stage nor a workload; it can be %s", of, strings.Join(namesOf(release), ", "))}
	}
	version := o.version
	if version == "" {
		version = usual(release, of)
	}
	var pods []corev1.Pod
	for _, value := range labelled(of) {
		found, err := c.Pods(cmd.Context(), release.Name, client.MatchingLabels{label: value, v1alpha1.LabelVersion: version})
		if err != nil {
			return err
		}
		pods = append(pods, found...)
	}
	if len(pods) == 0 {
		return &releases.Problem{What: fmt.Sprintf("version %s has no pod of %s", version, of),
			Advice: "It is not begun yet, or its pods are gone. `kubectl nawhas status` tells where the release is; --version names another version."}
	}
	newest := slices.MaxFunc(pods, func(a, b corev1.Pod) int { return a.CreationTimestamp.Compare(b.CreationTimestamp.Time) })
	options := &corev1.PodLogOptions{Follow: o.follow, Container: newest.Spec.Containers[0].Name}
	if o.tail >= 0 {
		options.TailLines = &o.tail
	}
	stream, err := c.Logs(cmd.Context(), newest.Name, options)
	if err != nil {
		return err
	}
	defer func() { _ = stream.Close() }()
	if _, err := io.Copy(cmd.OutOrStdout(), stream); err != nil {
		return fmt.Errorf("read the logs of pod %s: %w", newest.Name, err)
	}
	return nil
}

// usual is the version that is meant when none is named.
func usual(release *v1alpha1.NawhasRelease, of string) string {
	// What is drained is the version that a switch leaves, if there is one.
	if of == drained && release.Status.Live != "" {
		return release.Status.Live
	}
	return release.Spec.Version
}

func namesOf(release *v1alpha1.NawhasRelease) []string {
	names := slices.Clone(steps)
	for _, workload := range release.Spec.Workloads {
		names = append(names, workload.Name)
	}
	return names
}
