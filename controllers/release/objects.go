package release

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

// FieldManager owns the fields that the operator applies.
const FieldManager = "nawhas-operator"

// releaseKind is the kind of a release.
const releaseKind = "NawhasRelease"

// maxObjectName leaves room for what Jobs and ReplicaSets add to the names of
// their pods, within the 63 characters of a label.
const maxObjectName = 52

// objectName joins the parts of a name. Versions lose their dots; names that
// would be too long end in a digest instead.
func objectName(parts ...string) string {
	name := strings.ReplaceAll(strings.Join(parts, "-"), ".", "-")
	if len(name) <= maxObjectName {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return strings.TrimRight(name[:maxObjectName-9], "-") + "-" + hex.EncodeToString(sum[:4])
}

// objectMeta is the metadata of everything that the operator makes in the
// cluster: labelled, and owned by the release, so that it goes with it.
func (s *scope) objectMeta(name string, labels map[string]string) metav1.ObjectMeta {
	all := map[string]string{"app.kubernetes.io/managed-by": FieldManager, v1alpha1.LabelRelease: s.release.Name}
	maps.Copy(all, labels)
	return metav1.ObjectMeta{Namespace: s.release.Namespace, Name: name, Labels: all, OwnerReferences: []metav1.OwnerReference{s.owner()}}
}

// foreignObjectError says that an object of the wanted name is not the
// release's. It is left as it is.
type foreignObjectError struct{ kind, name, remedy string }

func (e *foreignObjectError) Error() string {
	return fmt.Sprintf("a %s %q exists and was not made for this release; it is left as it is. %s", e.kind, e.name,
		firstOf(e.remedy, "Delete or rename it, or choose another name in the spec"))
}

// owns reports whether an object was made for this release: it is controlled by
// it, by an earlier object of its name, or carries its labels and has lost its
// owner, as a deletion that orphans leaves it.
func (s *scope) owns(object client.Object) bool {
	owner := metav1.GetControllerOf(object)
	if owner != nil {
		return owner.UID == s.release.UID || owner.Kind == releaseKind && owner.Name == s.release.Name
	}
	labels := object.GetLabels()
	return labels["app.kubernetes.io/managed-by"] == FieldManager && labels[v1alpha1.LabelRelease] == s.release.Name
}

// converge applies the object unless the cluster has it just so: in steady
// state nothing is sent. What another made under that name is not touched.
func (r *Reconciler) converge(ctx context.Context, s *scope, wanted, existing client.Object) error {
	if err := stampInputs(wanted); err != nil {
		return err
	}
	err := r.find(ctx, client.ObjectKeyFromObject(wanted), existing)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("read %s: %w", describe(wanted), err)
	}
	if err == nil {
		if !s.owns(existing) {
			return &foreignObjectError{kind: wanted.GetObjectKind().GroupVersionKind().Kind, name: wanted.GetName()}
		}
		if asApplied(wanted, existing) {
			return nil
		}
	}
	return r.apply(ctx, s, wanted)
}

// find reads an object from the cache, which knows the release's own. What it
// does not know may exist all the same, made by another or without its labels,
// and must not be taken for something that can be made.
func (r *Reconciler) find(ctx context.Context, key client.ObjectKey, object client.Object) error {
	err := r.Client.Get(ctx, key, object)
	if r.Live == nil || !apierrors.IsNotFound(err) {
		return err
	}
	return r.Live.Get(ctx, key, object)
}

// asApplied reports whether everything that is wanted is there, as it was
// stamped. Defaults that the API server filled in do not count as differences.
func asApplied(wanted, existing client.Object) bool {
	if existing.GetAnnotations()[v1alpha1.AnnotationInputs] != wanted.GetAnnotations()[v1alpha1.AnnotationInputs] {
		return false
	}
	want, err := runtime.DefaultUnstructuredConverter.ToUnstructured(wanted)
	if err != nil {
		return false
	}
	have, err := runtime.DefaultUnstructuredConverter.ToUnstructured(existing)
	if err != nil {
		return false
	}
	for _, part := range []string{"spec", "data", "stringData"} {
		if !equality.Semantic.DeepDerivative(want[part], have[part]) {
			return false
		}
	}
	if !equality.Semantic.DeepEqual(metav1.GetControllerOf(wanted), metav1.GetControllerOf(existing)) {
		return false
	}
	for key, value := range wanted.GetLabels() {
		if existing.GetLabels()[key] != value {
			return false
		}
	}
	return true
}

// stampInputs writes a digest of the object into it, so that a field which is
// no longer wanted is noticed too.
func stampInputs(object client.Object) error {
	data, err := json.Marshal(object)
	if err != nil {
		return fmt.Errorf("encode %s: %w", describe(object), err)
	}
	sum := sha256.Sum256(data)
	annotations := maps.Clone(object.GetAnnotations())
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[v1alpha1.AnnotationInputs] = hex.EncodeToString(sum[:8])
	object.SetAnnotations(annotations)
	return nil
}

// apply sends the object by server-side apply. It goes as what it is, not as an
// apply configuration without a type: the client would keep all objects of that
// kind a second time, in order to know that one was written, and would not know it
// of those that are read.
func (r *Reconciler) apply(ctx context.Context, s *scope, object client.Object, options ...client.PatchOption) error {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		return fmt.Errorf("convert %s: %w", describe(object), err)
	}
	unstructured.RemoveNestedField(content, "status")
	unstructured.RemoveNestedField(content, "metadata", "creationTimestamp")
	unstructured.RemoveNestedField(content, "spec", "template", "metadata", "creationTimestamp")
	data, err := json.Marshal(content)
	if err != nil {
		return fmt.Errorf("encode %s: %w", describe(object), err)
	}
	answer, ok := object.DeepCopyObject().(client.Object)
	if !ok {
		return fmt.Errorf("copy %s: it is no object of the API", describe(object))
	}
	err = r.Client.Patch(ctx, answer, client.RawPatch(types.ApplyPatchType, data), append(options, client.FieldOwner(FieldManager), client.ForceOwnership)...)
	if err != nil {
		return fmt.Errorf("apply %s of release %s: %w", describe(object), s.release.Name, err)
	}
	return nil
}

func describe(object client.Object) string {
	return object.GetObjectKind().GroupVersionKind().Kind + " " + object.GetName()
}
