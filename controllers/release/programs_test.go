package release

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/ledger"
)

// The programs in the pods, as far as the servers notice them. Each connects
// with the very credentials of its pod.

// program does what nawhas would do in a Job's pod.
func (k *kubelet) program(stage string, template corev1.PodTemplateSpec) {
	k.t.Helper()
	switch stage {
	case "migrate":
		conn := k.dial(template, "NAWHAS_DATABASE_URL")
		defer func() { _ = conn.Close(context.Background()) }()
		_, err := conn.Exec(k.t.Context(), "CREATE TABLE IF NOT EXISTS reciters (id uuid PRIMARY KEY); CREATE TABLE IF NOT EXISTS applied (position bigint NOT NULL, n bigserial)")
		k.must(err)
	case "replay":
		conn := k.dial(template, "NAWHAS_SOURCE_URL")
		defer func() { _ = conn.Close(context.Background()) }()
		k.must(k.report(conn, template, 0))
	}
}

// follower is a program that runs for as long as its pod does.
type follower struct {
	generation int64
	conn       *pgx.Conn
}

// follow has a Deployment's follower report. A pod that was replaced, or whose
// session was ended, connects anew.
func (k *kubelet) follow(d *appsv1.Deployment) {
	k.t.Helper()
	running := k.followers[d.UID]
	if running != nil && running.generation == d.Generation && k.report(running.conn, d.Spec.Template, k.behind) == nil {
		return
	}
	if running != nil {
		_ = running.conn.Close(context.Background())
	}
	running = &follower{generation: d.Generation, conn: k.dial(d.Spec.Template, "NAWHAS_SOURCE_URL")}
	k.must(k.report(running.conn, d.Spec.Template, k.behind))
	if k.followers == nil {
		k.followers = map[types.UID]*follower{}
	}
	k.followers[d.UID] = running
}

// report writes the version's checkpoint as its own process does.
func (k *kubelet) report(conn *pgx.Conn, template corev1.PodTemplateSpec, behind int64) error {
	var head int64
	if err := conn.QueryRow(k.t.Context(), k.log.HeadQuery()).Scan(&head); err != nil {
		return err
	}
	problem := k.stuck[template.Labels[v1alpha1.LabelVersion]]
	if problem != nil && problem.Kind == ledger.KindUnknown && k.variable(template, unknownEventsVariable) != "" {
		problem = nil
	}
	if problem != nil {
		head = problem.Position - 1
	}
	return ledger.NewReporter(conn).Report(k.t.Context(), ledger.Progress{Stage: "complete", Position: max(0, head-behind), Target: head, Problem: problem})
}

// append writes events as a version's pods would.
func (k *kubelet) append(version string, n int) error {
	d := &appsv1.Deployment{}
	k.must(cluster.Get(k.t.Context(), types.NamespacedName{Namespace: k.namespace, Name: "nawhas-api-" + strings.ReplaceAll(version, ".", "-")}, d))
	conn := k.dial(d.Spec.Template, "NAWHAS_SOURCE_URL")
	defer func() { _ = conn.Close(context.Background()) }()
	for range n {
		if _, err := conn.Exec(k.t.Context(), k.appends); err != nil {
			return fmt.Errorf("append as version %s: %w", version, err)
		}
	}
	return nil
}

// audit reports as a follower does that found right what it applied.
func (k *kubelet) audit(template corev1.PodTemplateSpec) {
	k.t.Helper()
	if k.audits == nil {
		return
	}
	conn := k.dial(template, "NAWHAS_SOURCE_URL")
	defer func() { _ = conn.Close(context.Background()) }()
	reporter := ledger.NewReporter(conn)
	evidence, _, err := reporter.Proofs(k.t.Context())
	k.must(err)
	verification, verified := reportOf(evidence)
	if !verified {
		return
	}
	said := report{Version: k.variable(template, "NAWHAS_VERSION"), Build: k.variable(template, "NAWHAS_BUILD"), Passed: true, After: verification.Position}
	k.must(conn.QueryRow(k.t.Context(), "SELECT coalesce(max(position), 0) FROM events").Scan(&said.Position))
	k.audits(&said)
	encoded, err := json.Marshal(said)
	k.must(err)
	k.must(reporter.Audit(k.t.Context(), encoded, evidence))
}

// dial connects with a variable of the pod's first container. The test's end
// closes it.
func (k *kubelet) dial(template corev1.PodTemplateSpec, variable string) *pgx.Conn {
	k.t.Helper()
	conn, err := pgx.Connect(k.t.Context(), k.variable(template, variable))
	k.must(err)
	k.t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func (k *kubelet) variable(template corev1.PodTemplateSpec, name string) string {
	k.t.Helper()
	for _, env := range template.Spec.Containers[0].Env {
		if env.Name != name {
			continue
		}
		if env.ValueFrom == nil {
			return k.expand(template, env.Value)
		}
		secret := &corev1.Secret{}
		ref := env.ValueFrom.SecretKeyRef
		k.must(cluster.Get(k.t.Context(), client.ObjectKey{Namespace: k.namespace, Name: ref.Name}, secret))
		return string(secret.Data[ref.Key])
	}
	return ""
}

var reference = regexp.MustCompile(`\$\$|\$\([A-Z_]+\)`)

// expand does to a variable's value what a kubelet does.
func (k *kubelet) expand(template corev1.PodTemplateSpec, value string) string {
	return reference.ReplaceAllStringFunc(value, func(found string) string {
		if found == "$$" {
			return "$"
		}
		return k.variable(template, found[2:len(found)-1])
	})
}
