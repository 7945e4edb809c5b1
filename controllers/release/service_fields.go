package release

import (
	"encoding/json"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// How a Service is reached is taken back when the spec no longer says it, or a
// Service would stay open to the world. What an adopted Service had before, and
// what others wrote into one, is theirs and stays. The API server remembers who
// wrote a field last, so that this is known of Services of earlier operators too.

// writtenFields are the fields of a Service's spec that this operator wrote last.
type writtenFields map[string]json.RawMessage

// fieldsWritten reads what the API server remembers of this operator. What cannot
// be read was not written by it.
func fieldsWritten(service *corev1.Service) writtenFields {
	all := writtenFields{}
	for _, entry := range ownEntries(service.ManagedFields) {
		var fields struct {
			Spec map[string]json.RawMessage `json:"f:spec"`
		}
		if entry.FieldsV1 == nil || json.Unmarshal(entry.FieldsV1.GetRawBytes(), &fields) != nil {
			continue
		}
		for name, inner := range fields.Spec {
			all[name] = inner
		}
	}
	return all
}

func (f writtenFields) has(name string) bool {
	_, written := f["f:"+name]
	return written
}

// ownEntries are those of this operator, without what it wrote into the status.
func ownEntries(entries []metav1.ManagedFieldsEntry) []metav1.ManagedFieldsEntry {
	var own []metav1.ManagedFieldsEntry
	for i := range entries {
		if entries[i].Manager == FieldManager && entries[i].Subresource == "" {
			own = append(own, entries[i])
		}
	}
	return own
}

// expose writes how the Service is reached. What the spec does not speak of gets
// Kubernetes' default where this operator wrote it, and stays as it is elsewhere.
func expose(spec, wanted *corev1.ServiceSpec, written writtenFields) {
	spec.Type = exposed(spec.Type, wanted.Type, corev1.ServiceTypeClusterIP, written.has("type"))
	spec.SessionAffinity = exposed(spec.SessionAffinity, wanted.SessionAffinity, corev1.ServiceAffinityNone, written.has("sessionAffinity"))
	if spec.SessionAffinity != corev1.ServiceAffinityClientIP {
		spec.SessionAffinityConfig = nil
	}
	if internal := exposed(ptr.Deref(spec.InternalTrafficPolicy, ""), ptr.Deref(wanted.InternalTrafficPolicy, ""),
		corev1.ServiceInternalTrafficPolicyCluster, written.has("internalTrafficPolicy")); internal != "" {
		spec.InternalTrafficPolicy = ptr.To(internal)
	}
	exposeOutside(spec, wanted, written)
}

// exposeOutside writes what only a type that is reached from outside has. The API
// server itself takes the policy and the class from a Service that no longer is.
func exposeOutside(spec, wanted *corev1.ServiceSpec, written writtenFields) {
	if fromOutside(spec.Type) {
		spec.ExternalTrafficPolicy = exposed(spec.ExternalTrafficPolicy, wanted.ExternalTrafficPolicy,
			corev1.ServiceExternalTrafficPolicyCluster, written.has("externalTrafficPolicy"))
	}
	if wanted.LoadBalancerClass != nil {
		spec.LoadBalancerClass = wanted.LoadBalancerClass
	}
	if len(wanted.LoadBalancerSourceRanges) > 0 || written.has("loadBalancerSourceRanges") || spec.Type != corev1.ServiceTypeLoadBalancer {
		spec.LoadBalancerSourceRanges = wanted.LoadBalancerSourceRanges
	}
}

// exposed is what a field gets: what the spec says, or else the default if it was
// this operator that wrote the field, or else what it has.
func exposed[T ~string](had, wanted, byDefault T, written bool) T {
	switch {
	case wanted != "":
		return wanted
	case written:
		return byDefault
	}
	return had
}

// fromOutside reports whether a type of Service has ports on nodes.
func fromOutside(of corev1.ServiceType) bool {
	return of == corev1.ServiceTypeNodePort || of == corev1.ServiceTypeLoadBalancer
}
