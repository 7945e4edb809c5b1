package support

import (
	"regexp"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// redacted stands where something was taken out.
const redacted = "REDACTED"

var (
	// credentials are those of a URL: scheme://user:password@host.
	credentials = regexp.MustCompile(`([a-z][a-z0-9+.-]*://)[^/\s@"']+@`)
	// password is one in a connection string of keywords, a query or JSON.
	password = regexp.MustCompile(`(?i)((?:password|passwd|secret|token)["']?\s*[=:]\s*)("(?:[^"\\]|\\.)*"|'[^']*'|[^\s,;&"'}]+)`)
	// bearer is an Authorization header's value.
	bearer = regexp.MustCompile(`(?i)(bearer\s+)\S+`)
	// payload is where the content of an event begins.
	payload = regexp.MustCompile(`(?i)\\?"?\b(?:payload|attributes)\b\\?"?\s*[=:]\s*`)
	// row is a row of a table, as Postgres tells it with an error.
	row = regexp.MustCompile(`(Failing row contains|Key) \(.*\)`)
)

// Redact takes passwords and events' payloads out of a text, line by line. A
// line is cut where a payload begins, because nobody can say where it ends.
func Redact(text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		out.WriteString(redactLine(line))
	}
	return out.String()
}

func redactLine(line string) string {
	if at := payload.FindStringIndex(line); at != nil {
		end := ""
		if strings.HasSuffix(line, "\n") {
			end = "\n"
		}
		line = line[:at[1]] + redacted + end
	}
	line = credentials.ReplaceAllString(line, "${1}"+redacted+"@")
	line = bearer.ReplaceAllString(line, "${1}"+redacted)
	line = password.ReplaceAllString(line, "${1}"+redacted)
	return row.ReplaceAllString(line, "$1 ("+redacted+")")
}

// redactObject takes out of a manifest what people wrote into variables, what
// kubectl remembers of it, and everything that Redact finds in its texts.
func redactObject(object *unstructured.Unstructured) {
	object.SetManagedFields(nil)
	annotations := object.GetAnnotations()
	delete(annotations, "kubectl.kubernetes.io/last-applied-configuration")
	object.SetAnnotations(annotations)
	redactTree(object.Object)
}

func redactTree(node any) {
	switch typed := node.(type) {
	case map[string]any:
		for key, value := range typed {
			if key == "env" {
				redactVariables(value)
			}
			if text, isText := value.(string); isText {
				typed[key] = Redact(text)
				continue
			}
			redactTree(value)
		}
	case []any:
		for i, value := range typed {
			if text, isText := value.(string); isText {
				typed[i] = Redact(text)
				continue
			}
			redactTree(value)
		}
	}
}

// redactVariables keeps the names of variables, and the values of those that
// the operator gives.
func redactVariables(list any) {
	variables, _ := list.([]any)
	for _, entry := range variables {
		variable, isMap := entry.(map[string]any)
		if !isMap {
			continue
		}
		name, _ := variable["name"].(string)
		if _, has := variable["value"]; has && !strings.HasPrefix(name, "NAWHAS_") {
			variable["value"] = redacted
		}
	}
}
