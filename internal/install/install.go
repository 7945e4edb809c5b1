package install

import (
	"context"
	"errors"
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/nawhas/nawhas-operator/internal/releases"
)

// Installation is one way to install the operator.
type Installation struct {
	Client client.Client
	// Namespace and Image of the operator.
	Namespace, Image string
	// Upgrade lets it replace a definition or a Deployment that differs.
	Upgrade bool
	// Force takes over fields that others have set.
	Force bool
}

// Step is what was done to one object, or would be.
type Step struct{ Object, Done string }

const unchanged = "unchanged"

// Run installs the operator, or with try says what it would do. What the server
// refuses it mostly refuses at once, and then nothing was changed; an error that
// comes later tells what was.
func (i *Installation) Run(ctx context.Context, try bool) ([]Step, error) {
	objects, err := Manifests(i.Namespace, i.Image)
	if err != nil {
		return nil, err
	}
	before, err := i.look(ctx, objects)
	if err != nil {
		return nil, err
	}
	// Everything is tried before anything is done.
	steps, err := i.apply(ctx, objects, before, true)
	if err != nil || try {
		return steps, err
	}
	steps, err = i.apply(ctx, objects, before, false)
	if err == nil {
		err = i.established(ctx, objects)
	}
	if err != nil {
		return nil, stopped(err, steps)
	}
	return steps, nil
}

// stopped says of an error in the midst of it what was done before.
func stopped(err error, steps []Step) error {
	problem := releases.Problem{What: err.Error(), Advice: "See to the cause and run it again: it goes on with what is there."}
	if known, ok := errors.AsType[*releases.Problem](err); ok {
		problem = *known
	}
	var done []string
	for _, step := range steps {
		if step.Done != unchanged {
			done = append(done, step.Done+" "+step.Object)
		}
	}
	if len(done) == 0 {
		done = append(done, "nothing was changed")
	}
	problem.What += "; before that: " + strings.Join(done, ", ")
	return &problem
}

// look reads what is there, and refuses what must not be replaced.
func (i *Installation) look(ctx context.Context, objects []*unstructured.Unstructured) ([]*unstructured.Unstructured, error) {
	if err := i.elsewhere(ctx); err != nil {
		return nil, err
	}
	before := make([]*unstructured.Unstructured, len(objects))
	for n, object := range objects {
		if err := i.mayApply(ctx, object); err != nil {
			return nil, err
		}
		there := &unstructured.Unstructured{}
		there.SetGroupVersionKind(object.GroupVersionKind())
		err := i.Client.Get(ctx, client.ObjectKeyFromObject(object), there)
		switch {
		case apierrors.IsNotFound(err):
			continue
		case err != nil:
			return nil, fmt.Errorf("read %s: %w", nameOf(object), err)
		}
		before[n] = there
		if err := i.mayReplace(there, object); err != nil {
			return nil, err
		}
	}
	return before, nil
}

// elsewhere refuses a second operator: both would look after the same releases.
// Who may not look has to know it.
func (i *Installation) elsewhere(ctx context.Context) error {
	var operators appsv1.DeploymentList
	err := i.Client.List(ctx, &operators, releases.Operators)
	if err != nil && !apierrors.IsForbidden(err) {
		return fmt.Errorf("look for operators: %w", err)
	}
	for n := range operators.Items {
		other := &operators.Items[n]
		if other.Namespace == i.Namespace && other.Name != operator {
			return &releases.Problem{What: fmt.Sprintf("an operator runs in namespace %q already, as Deployment %s", other.Namespace, other.Name),
				Advice: "Upgrade it the way it was installed (`helm upgrade`), or uninstall it first."}
		}
		if other.Namespace != i.Namespace {
			return &releases.Problem{What: fmt.Sprintf("an operator runs in namespace %q already", other.Namespace),
				Advice: "To upgrade it: `kubectl nawhas install --upgrade -n " + other.Namespace + "`. Operators for some namespaces each are installed with Helm or kustomize (docs/install.md)."}
		}
	}
	return nil
}

// mayApply asks whether the user may write the object, before anything is written.
func (i *Installation) mayApply(ctx context.Context, object *unstructured.Unstructured) error {
	mapping, err := i.Client.RESTMapper().RESTMapping(object.GroupVersionKind().GroupKind(), object.GroupVersionKind().Version)
	if err != nil {
		return fmt.Errorf("find out about %s: %w", nameOf(object), err)
	}
	for _, verb := range []string{"get", "patch", "create"} {
		review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
			ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: verb, Group: mapping.Resource.Group, Resource: mapping.Resource.Resource,
				Namespace: object.GetNamespace(), Name: object.GetName()}}}
		if err := i.Client.Create(ctx, review); err != nil {
			return fmt.Errorf("ask for your rights: %w", err)
		}
		if !review.Status.Allowed {
			return lacking(fmt.Sprintf("you may not %s %s; nothing was changed", verb, nameOf(object)))
		}
	}
	return nil
}

// lacking says what somebody can do who may not install.
func lacking(what string) error {
	return &releases.Problem{Unread: true, What: what,
		Advice: "Installing needs the rights of a cluster's administrator. Give them this: `kubectl nawhas install --print > operator.yaml`."}
}

// mayReplace decides by what is there.
func (i *Installation) mayReplace(there, object *unstructured.Unstructured) error {
	if there.GetLabels()["app.kubernetes.io/managed-by"] == "Helm" {
		return &releases.Problem{What: nameOf(there) + " was installed with Helm", Advice: "Upgrade it with `helm upgrade`, so that Helm knows of it."}
	}
	switch object.GetKind() {
	case "CustomResourceDefinition":
		return i.mayReplaceDefinition(there, object)
	case "Deployment":
		if image := imageOf(there); image != i.Image && !i.Upgrade {
			return &releases.Problem{What: fmt.Sprintf("operator %s is installed in namespace %q", image, i.Namespace),
				Advice: "To replace it by " + i.Image + ": --upgrade."}
		}
	}
	return nil
}

func (i *Installation) mayReplaceDefinition(there, ours *unstructured.Unstructured) error {
	if lost := unknownTo(ours, there); len(lost) > 0 {
		return &releases.Problem{What: "the cluster's definition of NawhasRelease is newer than this program: releases would lose " + some(lost),
			Advice: "Use the kubectl-nawhas that came with that operator, or a newer one."}
	}
	if missing := unknownTo(there, ours); len(missing) > 0 && !i.Upgrade {
		return &releases.Problem{What: "the cluster's definition of NawhasRelease is older than this program: it lacks " + some(missing),
			Advice: "To upgrade it with the operator: --upgrade. Releases keep what they have; no Job is made and no pod of theirs is replaced."}
	}
	return nil
}

// some names the first of many fields.
func some(fields []string) string {
	const enough = 3
	if len(fields) > enough {
		return fmt.Sprintf("%s and %d more", strings.Join(fields[:enough], ", "), len(fields)-enough)
	}
	return strings.Join(fields, ", ")
}

func imageOf(deployment *unstructured.Unstructured) string {
	containers, _, _ := unstructured.NestedSlice(deployment.Object, "spec", "template", "spec", "containers")
	if len(containers) == 0 {
		return ""
	}
	container, _ := containers[0].(map[string]any)
	image, _, _ := unstructured.NestedString(container, "image")
	return image
}

// apply applies the objects in their order, and returns what it did also when
// one is refused. A try leaves out what needs a namespace that is not there yet.
func (i *Installation) apply(ctx context.Context, objects, before []*unstructured.Unstructured, try bool) ([]Step, error) {
	steps := make([]Step, 0, len(objects))
	namespace := true
	for n, object := range objects {
		if object.GetKind() == "Namespace" {
			namespace = before[n] != nil || !try
		}
		done := "created"
		if object.GetNamespace() == "" || namespace {
			after, err := i.applyOne(ctx, object, try)
			if err != nil {
				return steps, err
			}
			done = changeOf(before[n], after)
		}
		steps = append(steps, Step{Object: nameOf(object), Done: done})
	}
	return steps, nil
}

func (i *Installation) applyOne(ctx context.Context, object *unstructured.Unstructured, try bool) (*unstructured.Unstructured, error) {
	after := object.DeepCopy()
	options := []client.ApplyOption{client.FieldOwner(releases.FieldManager)}
	if i.Force {
		options = append(options, client.ForceOwnership)
	}
	if try {
		options = append(options, client.DryRunAll)
	}
	if err := i.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(after), options...); err != nil {
		return nil, refused(object, err, try)
	}
	return after, nil
}

// refused says why an object cannot be applied, and what to do.
func refused(object *unstructured.Unstructured, err error, try bool) error {
	nothing := ""
	if try {
		nothing = "; nothing was changed"
	}
	switch {
	case apierrors.IsConflict(err):
		return &releases.Problem{What: fmt.Sprintf("others have set fields of %s that this would change: %v%s", nameOf(object), err, nothing),
			Advice: "Install it the way it was installed before, or take the fields over with --force-conflicts."}
	case apierrors.IsForbidden(err) && aboutRights(err):
		return lacking(err.Error() + nothing)
	case apierrors.IsForbidden(err):
		return &releases.Problem{What: fmt.Sprintf("the cluster does not let %s in: %v%s", nameOf(object), err, nothing),
			Advice: "It is no matter of your rights: a quota, an admission policy or the state of the namespace forbids it. See to that, and run it again."}
	}
	return fmt.Errorf("apply %s: %w", nameOf(object), err)
}

// aboutRights reports whether somebody may not do it who asks, rather than
// nobody may. Roles are written only by who has the rights in them.
func aboutRights(err error) bool {
	return strings.Contains(err.Error(), " cannot ") || strings.Contains(err.Error(), "attempting to grant RBAC permissions")
}

// changeOf says what became of an object. A try does not count versions, so the
// contents are compared.
func changeOf(before, after *unstructured.Unstructured) string {
	switch {
	case before == nil:
		return "created"
	case same(before, after):
		return unchanged
	}
	return "changed"
}

// same compares what people set: not the books that the server keeps.
func same(a, b *unstructured.Unstructured) bool {
	a, b = a.DeepCopy(), b.DeepCopy()
	for _, object := range []*unstructured.Unstructured{a, b} {
		object.SetManagedFields(nil)
		object.SetResourceVersion("")
		object.SetGeneration(0)
		delete(object.Object, "status")
	}
	return equality.Semantic.DeepEqual(a.Object, b.Object)
}

func nameOf(object *unstructured.Unstructured) string {
	name := object.GetKind() + " " + object.GetName()
	if namespace := object.GetNamespace(); namespace != "" {
		name += " in namespace " + namespace
	}
	return name
}
