{{- /* The name of everything: nawhas-operator for a release of that name. */}}
{{- define "nawhas-operator.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" }}
{{- end -}}
{{- end -}}

{{- define "nawhas-operator.selector" -}}
app.kubernetes.io/name: {{ include "nawhas-operator.name" . }}
{{- end -}}

{{- /* By which the operator is found, whatever the release is called. It is no part
of the selector, which cannot be changed. */}}
{{- define "nawhas-operator.partOf" -}}
app.kubernetes.io/part-of: nawhas-operator
{{- end -}}

{{- define "nawhas-operator.labels" -}}
{{ include "nawhas-operator.selector" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- /* The lease is the operator's own by its name; one of the chart's name has the
program's, as ever. */}}
{{- define "nawhas-operator.lease" -}}
{{- $name := include "nawhas-operator.name" . -}}
{{- if ne $name .Chart.Name -}}
{{ $name }}.releases.nawhas.com
{{- end -}}
{{- end -}}

{{- define "nawhas-operator.leaseNamespace" -}}
{{ index (.Values.flags | default dict) "leader-elect-namespace" | default .Release.Namespace }}
{{- end -}}

{{- define "nawhas-operator.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "nawhas-operator.subjects" -}}
- kind: ServiceAccount
  name: {{ include "nawhas-operator.name" . }}
  namespace: {{ .Release.Namespace }}
{{- end -}}
