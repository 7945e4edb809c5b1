{{- define "type_members" -}}
{{- $field := . -}}
{{- if eq $field.Name "metadata" -}}
the [metadata](https://kubernetes.io/docs/reference/using-api/api-concepts/) that every object has
{{- else -}}
{{ markdownRenderFieldDoc (regexReplaceAll "\\s+" $field.Doc " ") }}
{{- range $rule := $field.Validation }}{{ if or (hasPrefix "Enum:" $rule) (hasPrefix "Minimum:" $rule) (hasPrefix "Maximum:" $rule) }} {{ markdownRenderFieldDoc $rule }}.{{ end }}{{ end }}
{{- end -}}
{{- end -}}
