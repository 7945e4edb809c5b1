package server

import (
	"bytes"
	_ "embed" // the page's template
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

//go:embed documents.html
var documentsPage string

// registerDocuments serves the OpenAPI document and a page made from it. Both
// are made once: the page has no script and loads nothing, so it also works
// where there is no internet.
func (s *Server) registerDocuments(mux *http.ServeMux) error {
	document := s.api.OpenAPI()
	openAnswers(document)
	asJSON, err := json.Marshal(document)
	if err != nil {
		return fmt.Errorf("write the OpenAPI document: %w", err)
	}
	asYAML, err := document.YAML()
	if err != nil {
		return fmt.Errorf("write the OpenAPI document as YAML: %w", err)
	}
	page, err := template.New("documents").Parse(documentsPage)
	if err != nil {
		return fmt.Errorf("read the template of the API's page: %w", err)
	}
	var rendered bytes.Buffer
	if err := page.Execute(&rendered, pageOf(document)); err != nil {
		return fmt.Errorf("render the API's page: %w", err)
	}
	mux.HandleFunc("GET /openapi.json", static("application/openapi+json", asJSON))
	mux.HandleFunc("GET /openapi.yaml", static("application/openapi+yaml", asYAML))
	mux.HandleFunc("GET /docs", static("text/html; charset=utf-8", rendered.Bytes()))
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/docs", http.StatusFound) })
	return nil
}

// openAnswers lets answers have more attributes than the document names, because
// the next version's will: clients that check what they read must not break.
func openAnswers(document *huma.OpenAPI) {
	for name, schema := range document.Components.Schemas.Map() {
		if !strings.HasSuffix(name, "Body") {
			schema.AdditionalProperties = nil
		}
	}
}

func static(contentType string, body []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		_, _ = w.Write(body)
	}
}

// page is what the template shows.
type page struct {
	Title, Version string
	Paragraphs     []string
	Groups         []pageGroup
}

type pageGroup struct {
	Name       string
	Operations []pageOperation
}

type pageOperation struct {
	ID, Method, Path, Summary, Description string
	Parameters, Body, Answer               []pageField
	BodyKinds                              []string
	Statuses                               []string
}

type pageField struct {
	Name, Where, Type, Description string
	Required                       bool
}

func pageOf(document *huma.OpenAPI) page {
	p := page{Title: document.Info.Title, Version: document.Info.Version, Paragraphs: strings.Split(document.Info.Description, "\n\n")}
	groups := map[string][]pageOperation{}
	for _, path := range slices.Sorted(maps.Keys(document.Paths)) {
		item := document.Paths[path]
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Put, item.Patch, item.Delete} {
			if op != nil {
				groups[op.Tags[0]] = append(groups[op.Tags[0]], operationOf(document, op))
			}
		}
	}
	for _, name := range []string{"Reciters", "Albums", "Revisions", "Uploads"} {
		p.Groups = append(p.Groups, pageGroup{name, groups[name]})
	}
	return p
}

func operationOf(document *huma.OpenAPI, op *huma.Operation) pageOperation {
	shown := pageOperation{ID: op.OperationID, Method: op.Method, Path: op.Path, Summary: op.Summary, Description: op.Description}
	for _, parameter := range op.Parameters {
		shown.Parameters = append(shown.Parameters, pageField{Name: parameter.Name, Where: parameter.In, Type: typeOf(parameter.Schema),
			Description: parameter.Description, Required: parameter.Required})
	}
	if op.RequestBody != nil {
		shown.BodyKinds = slices.Sorted(maps.Keys(op.RequestBody.Content))
		if content := op.RequestBody.Content["application/json"]; content != nil {
			shown.Body = fieldsOf(document, content.Schema)
		}
	}
	for _, status := range slices.Sorted(maps.Keys(op.Responses)) {
		response := op.Responses[status]
		shown.Statuses = append(shown.Statuses, strings.TrimSpace(status+" "+response.Description))
		if content := response.Content["application/json"]; content != nil {
			shown.Answer = fieldsOf(document, content.Schema)
		}
	}
	return shown
}

func fieldsOf(document *huma.OpenAPI, schema *huma.Schema) []pageField {
	schema = resolved(document, schema)
	var fields []pageField
	for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
		property := schema.Properties[name]
		field := pageField{Name: name, Type: typeOf(property), Description: property.Description, Required: slices.Contains(schema.Required, name)}
		fields = append(fields, field)
		if property.Items != nil {
			for _, inner := range fieldsOf(document, property.Items) {
				inner.Name = name + "[]." + inner.Name
				fields = append(fields, inner)
			}
		}
	}
	return fields
}

func resolved(document *huma.OpenAPI, schema *huma.Schema) *huma.Schema {
	if schema.Ref != "" {
		return document.Components.Schemas.SchemaFromRef(schema.Ref)
	}
	return schema
}

func typeOf(schema *huma.Schema) string {
	if schema == nil {
		return ""
	}
	name := schema.Type
	switch {
	case schema.Format == "uuid" || schema.Format == "date-time":
		name = schema.Format
	case schema.Items != nil:
		name = "list"
	case name == "":
		name = "JSON"
	}
	if schema.Nullable {
		name += " or null"
	}
	return name
}
