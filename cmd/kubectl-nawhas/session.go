package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/releases"
	"github.com/nawhas/nawhas-operator/internal/screen"
)

// session is one run of the program: which cluster it is about, and the clock.
type session struct {
	// began tells that the command line was in order.
	began     bool
	loading   *clientcmd.ClientConfigLoadingRules
	overrides clientcmd.ConfigOverrides
	now       func() time.Time
}

func (s *session) open() (*releases.Cluster, error) {
	connection, namespace, err := s.connection()
	if err != nil {
		return nil, err
	}
	return releases.Open(connection, namespace)
}

// connection is how to reach the cluster, and the namespace that is meant.
func (s *session) connection() (*rest.Config, string, error) {
	config := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(s.loading, &s.overrides)
	namespace, _, err := config.Namespace()
	if err != nil {
		return nil, "", noCluster(err)
	}
	connection, err := config.ClientConfig()
	if err != nil {
		return nil, "", noCluster(err)
	}
	connection.UserAgent = rest.DefaultKubernetesUserAgent() + " kubectl-nawhas"
	// Warnings are about the cluster's own versions, and would tear a live screen apart.
	connection.WarningHandler = rest.NoWarnings{}
	// The API server has limits of its own, and is asked once a second at most.
	connection.QPS = -1
	return connection, namespace, nil
}

func noCluster(err error) error {
	return &releases.Problem{Unread: true, What: "no cluster can be found: " + err.Error(), Advice: "Set KUBECONFIG, or use --kubeconfig and --context."}
}

// find opens the cluster and reads the release that the arguments name.
func (s *session) find(cmd *cobra.Command, args []string) (*releases.Cluster, *v1alpha1.NawhasRelease, error) {
	c, err := s.open()
	if err != nil {
		return nil, nil, err
	}
	name := ""
	if len(args) > 0 {
		name = args[0]
	}
	release, err := c.Find(cmd.Context(), name)
	return c, release, err
}

// completeRelease offers the names of the namespace's releases.
func (s *session) completeRelease(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	c, err := s.open()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	all, err := c.All(cmd.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var names []string
	for i := range all {
		names = append(names, all[i].Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// change is how the commands go that change one thing: decide, apply, tell.
func (s *session) change(cmd *cobra.Command, args []string, try bool, decide func(*v1alpha1.NawhasRelease) (releases.Change, error)) error {
	c, release, err := s.find(cmd, args)
	if err != nil {
		return err
	}
	change, err := decide(release)
	if err != nil {
		return err
	}
	if err := c.Apply(cmd.Context(), release, change, try); err != nil {
		return err
	}
	return tell(cmd, release, change.Say, try)
}

func tell(cmd *cobra.Command, release *v1alpha1.NawhasRelease, what string, try bool) error {
	if try {
		what += " (tried on the server, nothing was changed)"
	}
	return printLines(cmd.OutOrStdout(), []string{release.Name + ": " + what})
}

func tryFlag(cmd *cobra.Command, try *bool) {
	cmd.Flags().BoolVar(try, "dry-run", false, "let the API server check the change, and change nothing")
}

// terminal is the file behind a writer if somebody looks at it.
func terminal(out io.Writer) (*os.File, bool) {
	file, isFile := out.(*os.File)
	return file, isFile && term.IsTerminal(int(file.Fd())) && os.Getenv("TERM") != "dumb"
}

// colored reports whether colours are welcome (https://no-color.org).
func colored(out io.Writer) bool {
	_, seen := terminal(out)
	return seen && os.Getenv("NO_COLOR") == ""
}

// printLines prints what people read: on a terminal no line is wider than that,
// and in a pipe each line is whole.
func printLines(out io.Writer, lines []string) error {
	if _, seen := terminal(out); seen {
		lines = screen.Fold(lines, widthOf(out))
	}
	_, err := fmt.Fprintln(out, strings.Join(lines, "\n"))
	return err
}

// A terminal that does not tell its size.
const (
	usualWidth  = 80
	usualHeight = 24
)

// heightOf is how many lines a terminal has.
func heightOf(out io.Writer) int {
	if file, seen := terminal(out); seen {
		if _, height, err := term.GetSize(int(file.Fd())); err == nil && height > 1 {
			return height
		}
	}
	return usualHeight
}

// widthOf is how many characters a line may have.
func widthOf(out io.Writer) int {
	if file, seen := terminal(out); seen {
		if width, _, err := term.GetSize(int(file.Fd())); err == nil && width > 0 {
			return width
		}
	}
	if width, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && width > 0 {
		return width
	}
	return usualWidth
}
