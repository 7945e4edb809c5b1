// Package dashboard_test looks at the dashboard of config/grafana as Grafana
// reads it. Whether its queries find anything is for test/monitoring.
package dashboard_test

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
)

const (
	file    = "../../../config/grafana/releases.json"
	columns = 24
)

type source struct {
	Type string `json:"type"`
	UID  string `json:"uid"`
}

type panel struct {
	ID          int    `json:"id"`
	Type        string `json:"type"`
	Title       string `json:"title"`
	Description string `json:"description"`
	Source      source `json:"datasource"`
	Place       struct {
		X, Y, W, H int
	} `json:"gridPos"`
	Targets []struct {
		Ref    string `json:"refId"`
		Expr   string `json:"expr"`
		Source source `json:"datasource"`
	} `json:"targets"`
}

type board struct {
	UID        string  `json:"uid"`
	Title      string  `json:"title"`
	Panels     []panel `json:"panels"`
	Templating struct {
		List []struct {
			Name string `json:"name"`
		} `json:"list"`
	} `json:"templating"`
	ID *int `json:"id"`
}

func read(t *testing.T) (board, []byte) {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var b board
	if err := json.Unmarshal(content, &b); err != nil {
		t.Fatal(err)
	}
	return b, content
}

func TestEveryPanelSaysWhatItShows(t *testing.T) {
	b, _ := read(t)
	if b.UID == "" || b.Title == "" || b.ID != nil {
		t.Errorf("uid %q, title %q, id %v: Grafana finds it by its uid and gives the id itself", b.UID, b.Title, b.ID)
	}
	ids := map[int]bool{}
	for _, p := range b.Panels {
		if ids[p.ID] || p.ID == 0 {
			t.Errorf("panel %q has no id of its own: %d", p.Title, p.ID)
		}
		ids[p.ID] = true
		if p.Type == "row" {
			continue
		}
		if p.Title == "" || !strings.HasSuffix(p.Description, ".") || len(p.Targets) == 0 {
			t.Errorf("panel %q says %q and asks %d queries", p.Title, p.Description, len(p.Targets))
		}
		refs := map[string]bool{}
		for _, target := range p.Targets {
			if refs[target.Ref] || target.Expr == "" {
				t.Errorf("panel %q has query %q twice, or empty", p.Title, target.Ref)
			}
			refs[target.Ref] = true
		}
	}
}

// TestThePrometheusIsChosenByTheReader wants no source by name: it would be
// another one in each Grafana.
func TestThePrometheusIsChosenByTheReader(t *testing.T) {
	b, content := read(t)
	chosen := source{"prometheus", "${datasource}"}
	for _, p := range b.Panels {
		if p.Type != "row" && p.Source != chosen {
			t.Errorf("panel %q reads from %v", p.Title, p.Source)
		}
		for _, target := range p.Targets {
			if target.Source != chosen {
				t.Errorf("panel %q reads from %v", p.Title, target.Source)
			}
		}
	}
	known := map[string]bool{"__rate_interval": true, "__range": true, "__all": true}
	for _, v := range b.Templating.List {
		known[v.Name] = true
	}
	for _, used := range regexp.MustCompile(`\$\{?(\w+)`).FindAllSubmatch(content, -1) {
		if !known[string(used[1])] {
			t.Errorf("the variable %s is not declared", used[1])
		}
	}
}

func TestNoPanelCoversAnother(t *testing.T) {
	b, _ := read(t)
	taken := map[[2]int]string{}
	for _, p := range b.Panels {
		if p.Place.W < 1 || p.Place.H < 1 || p.Place.X+p.Place.W > columns {
			t.Errorf("panel %q is at %+v", p.Title, p.Place)
		}
		for x := p.Place.X; x < p.Place.X+p.Place.W; x++ {
			for y := p.Place.Y; y < p.Place.Y+p.Place.H; y++ {
				if other, covered := taken[[2]int{x, y}]; covered {
					t.Fatalf("panels %q and %q are both at column %d, row %d", p.Title, other, x, y)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
	}
}

// TestItIsWrittenAsGrafanaExportsIt keeps changes of it readable.
func TestItIsWrittenAsGrafanaExportsIt(t *testing.T) {
	_, content := read(t)
	var written bytes.Buffer
	if err := json.Indent(&written, content, "", "  "); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(bytes.TrimSpace(written.Bytes()), bytes.TrimSpace(content)) {
		t.Error("it is not indented by two blanks")
	}
}
