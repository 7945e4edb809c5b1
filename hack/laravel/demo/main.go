// Command demo releases the stand-in of a stock Laravel application on a real
// cluster: 7.2.1 from nothing to live, then 7.2.2 and back while clients write,
// and compares the log with both databases. It leaves everything running, writes
// bin/demo/laravel.json, and ends with 1 when anything was found.
//
// The application's own commands build its databases; the operator is given
// nothing but config/samples/laravel has.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/hack/cluster"
)

const (
	namespace = "laravel"
	release   = "nawhas"
	service   = "api"

	first = "7.2.1"
	next  = "7.2.2"

	goLive = 10 * time.Minute
	settle = 3 * time.Minute
	look   = 200 * time.Millisecond
	// between is how long clients write before each change.
	between = 10 * time.Second
	// longestPause is what the last round may keep writers waiting.
	longestPause = 10 * time.Second
)

var errFindings = errors.New("the release was noticed: an event was lost, doubled, out of order or wrong, a request failed, or writes waited for too long")

func main() {
	events := flag.Int("events", 20_000, "events in the log")
	writes := flag.Float64("writes", 50, "writes per second")
	kill := flag.Bool("kill", false, "kill the first round of 7.2.2 half way")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *events, *writes, *kill)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, events int, writes float64, kill bool) error {
	root, err := os.Getwd()
	if err != nil {
		return fmt.Errorf("find the repository: %w", err)
	}
	c, err := cluster.Connect(root)
	if err != nil {
		return err
	}
	s := &summary{Seconds: map[string]float64{}, Rounds: map[string]int64{}, began: time.Now()}
	if kill {
		s.killed = 1
	}
	if err := beginAnew(ctx, c); err != nil {
		return err
	}
	if err := fillLog(ctx, c, events); err != nil {
		return err
	}
	if err := c.InstallOperator(ctx); err != nil {
		return err
	}
	if err := prepare(ctx, c); err != nil {
		return err
	}
	if _, err := c.Kubectl(ctx, "-n", namespace, "apply", "-f", filepath.Join("hack", "laravel", "release.yaml")); err != nil {
		return fmt.Errorf("apply the release: %w", err)
	}
	if err := s.goes(ctx, c, first, "7.2.1"); err != nil {
		return err
	}
	if err := s.underLoad(ctx, c, writes, kill); err != nil {
		return err
	}
	return s.conclude(ctx, c)
}

// underLoad goes to the next version and back while clients write.
func (s *summary) underLoad(ctx context.Context, c *cluster.Cluster, rate float64, kill bool) error {
	address, err := c.Address(ctx, namespace, service)
	if err != nil {
		return err
	}
	fmt.Printf("clients begin to write, %.0f times a second\n", rate)
	running := startLoad(ctx, address, rate)
	time.Sleep(between)
	killed := make(chan error, 1)
	if kill {
		go func() { killed <- killRound(ctx, c) }()
	} else {
		killed <- nil
	}
	err = errors.Join(s.goes(ctx, c, next, "to 7.2.2"), <-killed)
	if err == nil {
		time.Sleep(between)
		err = s.goes(ctx, c, first, "back to 7.2.1")
	}
	time.Sleep(between)
	noticed := running.stop()
	s.created = noticed.created
	s.Acknowledged, s.Failed, s.Refused, s.PauseMillis, s.WriteRate = noticed.acknowledged, noticed.failed, noticed.refused, noticed.pause.Milliseconds(), noticed.rate()
	for _, failure := range noticed.failures {
		fmt.Println("  failed:", failure)
	}
	return err
}

// goes asks for a version and waits until it is live and the others are fenced.
func (s *summary) goes(ctx context.Context, c *cluster.Cluster, version, what string) error {
	ctx, cancel := context.WithTimeout(ctx, goLive)
	defer cancel()
	started := time.Now()
	patch := fmt.Sprintf(`{"spec":{"version":%q}}`, version)
	if _, err := c.Kubectl(ctx, "-n", namespace, "patch", "nawhasrelease", release, "--type", "merge", "-p", patch); err != nil {
		return fmt.Errorf("ask for version %s: %w", version, err)
	}
	said := ""
	var nr v1alpha1.NawhasRelease
	err := cluster.Until(ctx, look, func() (bool, error) {
		if err := c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: release}, &nr); err != nil {
			return false, fmt.Errorf("read the release: %w", err)
		}
		if ready := meta.FindStatusCondition(nr.Status.Conditions, v1alpha1.ConditionReady); ready != nil && ready.Reason+ready.Message != said {
			said = ready.Reason + ready.Message
			fmt.Printf("  %-6s %s: %s\n", version, ready.Reason, ready.Message)
		}
		return nr.Status.Live == version && nr.Status.ObservedGeneration == nr.Generation &&
			meta.IsStatusConditionTrue(nr.Status.Conditions, v1alpha1.ConditionReady) &&
			meta.IsStatusConditionTrue(nr.Status.Conditions, v1alpha1.ConditionFenced), nil
	})
	if err != nil {
		description, _ := c.Kubectl(context.WithoutCancel(ctx), "-n", namespace, "describe", "nawhasrelease", release)
		return fmt.Errorf("%s did not go live: %w\n%s", version, err, description)
	}
	s.Live, s.Seconds[what] = version, time.Since(started).Round(100*time.Millisecond).Seconds()
	fmt.Printf("%s: %.1f s\n", what, s.Seconds[what])
	return nil
}

// settled waits until the queue is empty and the warm version has every event.
func settled(ctx context.Context, c *cluster.Cluster, source *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, settle)
	defer cancel()
	queue, err := pgx.Connect(ctx, named(c.DatabasesURL, queueDatabase))
	if err != nil {
		return fmt.Errorf("connect to the queue: %w", err)
	}
	defer func() { _ = queue.Close(context.WithoutCancel(ctx)) }()
	err = cluster.Until(ctx, look, func() (bool, error) {
		var jobs, behind int64
		if err := queue.QueryRow(ctx, "SELECT count(*) FROM jobs").Scan(&jobs); err != nil {
			return false, fmt.Errorf("look into the queue: %w", err)
		}
		err := source.QueryRow(ctx, `SELECT count(*) FROM nawhas_ledger.versions v JOIN nawhas_ledger.checkpoints c ON c.role = v.owner_role
			WHERE v.release = $1 AND v.role = 'Warm' AND c.position < (SELECT max(id) FROM stored_events)`, namespace+"/"+release).Scan(&behind)
		return jobs == 0 && behind == 0, err
	})
	if err != nil {
		return fmt.Errorf("wait until the warm version has every event: %w", err)
	}
	return nil
}

// prepare makes what the release expects in its namespace: the Secrets, and the
// queue that stands for Redis.
func prepare(ctx context.Context, c *cluster.Cluster) error {
	if _, err := c.Kubectl(ctx, "get", "namespace", namespace); err != nil {
		if err := c.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace, Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}}}); err != nil {
			return fmt.Errorf("make the namespace: %w", err)
		}
	}
	queue, err := url.Parse(c.DatabasesURL)
	if err != nil {
		return errors.New("the connection string of the databases is no URL")
	}
	password, _ := queue.User.Password()
	for name, data := range map[string]map[string]string{
		cluster.SourceSecret:    {cluster.SecretKey: c.SourceURL},
		cluster.DatabasesSecret: {cluster.SecretKey: c.DatabasesURL},
		"api.env": {"QUEUE_DB_HOST": queue.Hostname(), "QUEUE_DB_PORT": queue.Port(), "QUEUE_DB_DATABASE": queueDatabase,
			"QUEUE_DB_USERNAME": queue.User.Username(), "QUEUE_DB_PASSWORD": password},
	} {
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, StringData: data}
		if err := client.IgnoreAlreadyExists(c.Create(ctx, secret)); err != nil {
			return fmt.Errorf("make Secret %s: %w", name, err)
		}
	}
	return makeQueue(ctx, c)
}

// named is a connection string to another database of the server.
func named(connection, database string) string {
	u, err := url.Parse(connection)
	if err != nil {
		return connection
	}
	u.Path = "/" + database
	return u.String()
}

// onDatabase is one connection string, to the database of another.
func onDatabase(connection, other string) string {
	u, err := url.Parse(other)
	if err != nil {
		return connection
	}
	return named(connection, u.Path[1:])
}
