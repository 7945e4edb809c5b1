package prerequisite

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"k8s.io/client-go/openapi"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

// howToDefine ends each message about the definition.
const howToDefine = "install the one that belongs to this operator: `kubectl apply --server-side -f dist/install.yaml` or `-k config/crd`, with Helm `crds.install=true`"

// AbsentError says that the cluster has no definition of NawhasRelease.
type AbsentError struct{}

func (*AbsentError) Error() string {
	return "the cluster does not know " + v1alpha1.GroupVersion.String() + " NawhasRelease: " + howToDefine
}

// OlderError says that the cluster's definition is older than the operator: the
// API server would drop what users write into these fields, and what the
// operator reports in them.
type OlderError struct {
	// Fields are the paths that the definition lacks.
	Fields []string
}

func (e *OlderError) Error() string {
	const shown = 3
	told := strings.Join(e.Fields[:min(shown, len(e.Fields))], ", ")
	if more := len(e.Fields) - shown; more > 0 {
		told += fmt.Sprintf(" and %d more", more)
	}
	return fmt.Sprintf("the cluster's definition of NawhasRelease is older than this operator, it lacks %s: %s", told, howToDefine)
}

// checkDefinition compares what the API server serves with the API's types. It
// needs no right that not everybody has.
func checkDefinition(served openapi.Client) error {
	paths, err := served.Paths()
	if err != nil {
		return fmt.Errorf("ask which kinds the API server has: %w", err)
	}
	group, found := paths["apis/"+v1alpha1.GroupVersion.String()]
	if !found {
		return &AbsentError{}
	}
	content, err := group.Schema("application/json")
	if err != nil {
		return fmt.Errorf("read the definition of NawhasRelease: %w", err)
	}
	var document struct {
		Components struct {
			Schemas map[string]schema `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal(content, &document); err != nil {
		return fmt.Errorf("understand the definition of NawhasRelease: %w", err)
	}
	for name, definition := range document.Components.Schemas {
		if strings.HasSuffix(name, ".NawhasRelease") {
			if fields := lacking(definition, reflect.TypeFor[v1alpha1.NawhasRelease](), ""); len(fields) > 0 {
				return &OlderError{Fields: fields}
			}
			return nil
		}
	}
	return &AbsentError{}
}

// schema is what matters here of a JSON schema.
type schema struct {
	Properties map[string]schema `json:"properties"`
	Items      *schema           `json:"items"`
}

// lacking lists the fields of a type of this API, by their paths, that a schema
// does not have.
func lacking(definition schema, of reflect.Type, path string) []string {
	var fields []string
	for i := range of.NumField() {
		field := of.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "" || name == "-" || name == "metadata" {
			continue
		}
		property, known := definition.Properties[name]
		if !known {
			fields = append(fields, path+name)
			continue
		}
		if inner, ours := structOf(field.Type); ours {
			if property.Items != nil {
				property = *property.Items
			}
			fields = append(fields, lacking(property, inner, path+name+".")...)
		}
	}
	slices.Sort(fields)
	return fields
}

// structOf finds a struct of this API in a field, through pointers and lists.
func structOf(t reflect.Type) (reflect.Type, bool) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	return t, t.Kind() == reflect.Struct && t.PkgPath() == reflect.TypeFor[v1alpha1.NawhasRelease]().PkgPath()
}
