{{- /* Two operators for all namespaces would take every release over from each
other for ever. The rights of another one are found in the cluster; rendering
without a cluster finds none. */}}
{{- define "nawhas-operator.refuseASecond" -}}
{{- $mine := include "nawhas-operator.name" . -}}
{{- range (lookup "rbac.authorization.k8s.io/v1" "ClusterRoleBinding" "" "").items -}}
{{- $labels := .metadata.labels | default dict -}}
{{- $chart := index $labels "helm.sh/chart" | default "" -}}
{{- if and (hasPrefix "nawhas-operator-" $chart) (eq .roleRef.name .metadata.name) (not (hasSuffix "-metrics-auth" .metadata.name)) -}}
{{- $other := first .subjects -}}
{{- if or (ne .metadata.name $mine) (ne $other.namespace $.Release.Namespace) -}}
{{- fail (printf "an operator for all namespaces is installed already, in namespace %s: upgrade or uninstall that one, or give this one its namespaces with --set watchNamespaces={…} (and that one others)" $other.namespace) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
