{{- define "gvList" -}}
# NawhasRelease, field by field

Generated from [`api/v1alpha1`](../api/v1alpha1) by `make generate`: `kubectl explain nr.spec` has the same words. What the controls do is
told in [controls.md](controls.md), what a release says of itself in [troubleshooting.md](troubleshooting.md).
{{ range . }}
{{ template "gvDetails" . }}
{{- end }}
{{- end -}}
