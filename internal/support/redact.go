package support

import (
	"regexp"
	"slices"
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
	if people := object.GetKind(); people == "NawhasRelease" || people == "ControllerRevision" {
		redactTree(object.Object, nil)
		return
	}
	redactTree(object.Object, given)
}

// given are the variables with a literal value that the operator gives its pods,
// whatever people call theirs. What a release holds, and the plans that are kept
// of it, people wrote.
var given = []string{
	"NAWHAS_RELEASE", "NAWHAS_VERSION", "NAWHAS_BUILD", "NAWHAS_LOG",
	"NAWHAS_SKIP_EVENTS", "NAWHAS_UNKNOWN_EVENTS", "NAWHAS_MAX_EVENTS_PER_SECOND", "NAWHAS_REPLAY_FROM", "NAWHAS_REPLAY_UNTIL",
	"NAWHAS_VERIFY", "NAWHAS_LIVE_VERSION", "NAWHAS_LIVE_DATABASE_URL",
	// Rounds are shown a window instead of the log that the Secret names.
	"NAWHAS_SOURCE_NAME", "NAWHAS_SOURCE_URL",
}

// redactTree leaves only the values of those variables that it is told to keep.
func redactTree(node any, keep []string) {
	switch typed := node.(type) {
	case map[string]any:
		for key, value := range typed {
			if key == "env" {
				redactVariables(value, keep)
			}
			if text, isText := value.(string); isText {
				typed[key] = Redact(text)
				continue
			}
			redactTree(value, keep)
		}
	case []any:
		for i, value := range typed {
			if text, isText := value.(string); isText {
				typed[i] = Redact(text)
				continue
			}
			redactTree(value, keep)
		}
	}
}

// redactVariables keeps the names of variables, and the values of some.
func redactVariables(list any, keep []string) {
	variables, _ := list.([]any)
	for _, entry := range variables {
		variable, isMap := entry.(map[string]any)
		if !isMap {
			continue
		}
		name, _ := variable["name"].(string)
		if _, has := variable["value"]; has && !slices.Contains(keep, name) {
			variable["value"] = redacted
		}
	}
}
