// Command kubectl-nawhas is a plugin of kubectl: `kubectl nawhas status` shows
// what a release is doing, and others say what people decide about it.
//
// Each command is a file of its own and only puts together what the internal
// packages do. It acts with the rights of whoever runs it, and everything it
// changes is a field or annotation that could be set by hand as well.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/nawhas/nawhas-operator/internal/buildinfo"
	"github.com/nawhas/nawhas-operator/internal/screen"
)

func main() { os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr)) }

// run is the program: it returns the exit code. An interrupt ends it.
func run(ctx context.Context, args []string, out, problems io.Writer) int {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	s := &session{now: time.Now}
	root := command(s)
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(problems)
	err := root.ExecuteContext(ctx)
	if err != nil && !s.began {
		// Cobra stopped before any command ran: the command line is wrong.
		err = &usageError{err}
	}
	return report(ctx, problems, err)
}

func command(s *session) *cobra.Command {
	root := &cobra.Command{
		Use:   "kubectl-nawhas",
		Short: "See and steer releases of Nawhas",
		Long: "See and steer releases of Nawhas. NAME may be left out where a namespace has one release.\n\n" +
			"Exit codes: 0 done (status --wait: ready), 1 failed or refused, 2 wrong usage, 3 timed out,\n" +
			"4 the cluster cannot be asked: it does not answer, lacks the operator, or refuses you.",
		Annotations:       map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl nawhas"},
		Version:           buildinfo.Operator + " (" + buildinfo.Commit + ")",
		SilenceUsage:      true,
		SilenceErrors:     true,
		PersistentPreRun:  func(*cobra.Command, []string) { s.began = true },
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: false},
	}
	s.loading = clientcmd.NewDefaultClientConfigLoadingRules()
	flags := root.PersistentFlags()
	flags.StringVar(&s.loading.ExplicitPath, "kubeconfig", "", "path of the kubeconfig file")
	names := clientcmd.RecommendedConfigOverrideFlags("")
	clientcmd.BindOverrideFlags(&s.overrides, flags, names)
	for _, rare := range rareFlags {
		if flag := flags.Lookup(rare); flag != nil {
			flag.Hidden = true
		}
	}
	root.AddCommand(statusCommand(s), planCommand(s), promoteCommand(s), abortCommand(s), rollbackCommand(s), retryCommand(s),
		suspendCommand(s), resumeCommand(s), historyCommand(s), logsCommand(s), reportCommand(s), dashboardCommand(s), installCommand(s))
	s.completeVersions(root)
	fitHelp(root)
	return root
}

// fitHelp breaks help into lines of a usual terminal.
func fitHelp(root *cobra.Command) {
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), "FlagUsages |", fmt.Sprintf("FlagUsagesWrapped %d |", usualWidth)))
	for _, cmd := range append(root.Commands(), root) {
		var lines []string
		for paragraph := range strings.SplitSeq(cmd.Long, "\n\n") {
			lines = append(lines, strings.Join(screen.Wrap(paragraph, usualWidth), "\n"))
		}
		cmd.Long = strings.Join(lines, "\n\n")
	}
}

// rareFlags work as in kubectl, and would only bury the others in help texts.
var rareFlags = []string{
	"as", "as-group", "as-uid", "as-user-extra", "certificate-authority", "client-certificate", "client-key", "cluster",
	"disable-compression", "insecure-skip-tls-verify", "password", "proxy-url", "request-timeout", "server", "tls-server-name",
	"token", "user", "username",
}
