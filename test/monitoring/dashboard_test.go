//go:build monitoring

package monitoring

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nawhas/nawhas-operator/test/node"
)

// board is what a Grafana dashboard asks Prometheus.
type board struct {
	Panels []struct {
		Title   string `json:"title"`
		Targets []struct {
			Expr string `json:"expr"`
		} `json:"targets"`
	} `json:"panels"`
	Annotations struct {
		List []struct {
			Name string `json:"name"`
			Expr string `json:"expr"`
		} `json:"list"`
	} `json:"annotations"`
}

// asksTheDashboard wants every query of the dashboard to find something in what
// was seen of the release.
func (w *world) asksTheDashboard(t *testing.T) {
	content, err := os.ReadFile(filepath.Join(shared.Root, "config", "grafana", "releases.json"))
	if err != nil {
		t.Fatal(err)
	}
	var b board
	if err := json.Unmarshal(content, &b); err != nil {
		t.Fatal(err)
	}
	queries := 0
	for _, panel := range b.Panels {
		for _, target := range panel.Targets {
			queries++
			t.Run(panel.Title, func(t *testing.T) { w.findsSomething(t, target.Expr) })
		}
	}
	for _, annotation := range b.Annotations.List {
		t.Run(annotation.Name, func(t *testing.T) { w.findsSomething(t, annotation.Expr) })
	}
	if queries < 10 || len(b.Annotations.List) == 0 {
		t.Errorf("the dashboard has only %d queries and %d annotations", queries, len(b.Annotations.List))
	}
}

func (w *world) findsSomething(t *testing.T, expression string) {
	query := strings.NewReplacer("$namespace", w.Namespace, "$release", "nawhas", "$__rate_interval", "30s", "$__range", "1h").Replace(expression)
	if strings.Contains(query, "$") {
		t.Fatalf("a variable is not known here: %s", query)
	}
	node.Until(t, "answered: "+query, func(ctx context.Context) bool {
		found, err := w.history(ctx, query)
		if err != nil {
			t.Fatal(err)
		}
		return len(found) > 0
	})
}
