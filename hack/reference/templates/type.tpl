{{- define "type" -}}
{{- $type := . -}}
{{- if markdownShouldRenderType $type }}
## {{ $type.Name }}

{{ markdownRenderFieldDoc (regexReplaceAll "\\s+" $type.Doc " ") }}
{{ if $type.References }}
Found in {{ range $i, $reference := $type.SortedReferences }}{{ if $i }}, {{ end }}{{ markdownRenderTypeLink $reference }}{{ end }}.
{{ end }}
{{- if $type.Members }}
| field | is | says | default |
|---|---|---|---|
{{ range $type.Members -}}
| `{{ .Name }}` | {{ markdownRenderType .Type }} | {{ template "type_members" . }} | {{ if and .Default (not (hasPrefix "{" .Default)) }}`{{ .Default }}`{{ end }} |
{{ end -}}
{{ end -}}
{{- if $type.EnumValues }}
| value | says |
|---|---|
{{ range $type.EnumValues -}}
| `{{ .Name }}` | {{ markdownRenderFieldDoc (regexReplaceAll "\\s+" .Doc " ") }} |
{{ end -}}
{{ end -}}
{{- end -}}
{{- end -}}
