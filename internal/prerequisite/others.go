package prerequisite

import (
	"context"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apps "k8s.io/client-go/kubernetes/typed/apps/v1"
)

const (
	labelName  = "app.kubernetes.io/name"
	labelPart  = "app.kubernetes.io/part-of"
	operators  = "nawhas-operator"
	watchFlag  = "--watch-namespace="
	ofTheChart = "watchNamespaces"
)

// SecondError says that another operator, which was there before, looks after
// the same releases.
type SecondError struct {
	// Deployment is the other one's namespace and name.
	Deployment string
}

func (e *SecondError) Error() string {
	return fmt.Sprintf("Deployment %s is an operator that looks after the same namespaces, and was there before: two would take each release from one another. "+
		"Uninstall one of them, or give each its own namespaces (--watch-namespace, with Helm %s)", e.Deployment, ofTheChart)
}

// checkOthers looks for operators that were there before, where this one may
// look. The first one goes on, whenever the two are restarted.
func checkOthers(ctx context.Context, clients apps.DeploymentsGetter, o Operator) error {
	namespaces := o.Watched
	if len(namespaces) == 0 {
		namespaces = []string{metav1.NamespaceAll}
	}
	var found []appsv1.Deployment
	for _, namespace := range namespaces {
		list, err := clients.Deployments(namespace).List(ctx, metav1.ListOptions{LabelSelector: labelName})
		if apierrors.IsForbidden(err) {
			continue // that right is missed elsewhere
		}
		if err != nil {
			return fmt.Errorf("look for other operators: %w", err)
		}
		found = append(found, list.Items...)
	}
	return second(found, o)
}

// second decides whether an operator is the second one among Deployments.
func second(deployments []appsv1.Deployment, o Operator) error {
	ours, named := own(deployments, o)
	for i := range deployments {
		other := &deployments[i]
		if i == ours || !isOperator(other) || !named && other.Namespace == o.Namespace || !overlap(watchedBy(other), o.Watched) {
			continue
		}
		if ours < 0 || before(other, &deployments[ours]) {
			return &SecondError{Deployment: other.Namespace + "/" + other.Name}
		}
	}
	return nil
}

// own is the operator's Deployment, -1 if it is none of these, and whether its
// pod's name told. Without that, those in its namespace are not told apart.
func own(deployments []appsv1.Deployment, o Operator) (ours int, named bool) {
	ours = -1
	for i := range deployments {
		d := &deployments[i]
		if isOperator(d) && d.Namespace == o.Namespace && strings.HasPrefix(o.Pod, d.Name+"-") && (ours < 0 || len(d.Name) > len(deployments[ours].Name)) {
			ours = i
		}
	}
	if ours >= 0 {
		return ours, true
	}
	return slices.IndexFunc(deployments, func(d appsv1.Deployment) bool { return isOperator(&d) && d.Namespace == o.Namespace }), false
}

// isOperator goes by the label that all ways of installing give, or by the name of
// one that is older than that label, and by replicas: one that is scaled to none
// does nothing.
func isOperator(d *appsv1.Deployment) bool {
	return (d.Labels[labelPart] == operators || strings.Contains(d.Labels[labelName], operators)) && (d.Spec.Replicas == nil || *d.Spec.Replicas > 0)
}

// watchedBy reads an operator's flags.
func watchedBy(d *appsv1.Deployment) []string {
	var namespaces []string
	for _, container := range d.Spec.Template.Spec.Containers {
		for _, argument := range container.Args {
			if list, found := strings.CutPrefix(argument, watchFlag); found {
				namespaces = append(namespaces, strings.Split(list, ",")...)
			}
		}
	}
	return namespaces
}

// overlap reports whether two sets have a namespace in common; an empty one is all.
func overlap(a, b []string) bool {
	return len(a) == 0 || len(b) == 0 || slices.ContainsFunc(a, func(namespace string) bool { return slices.Contains(b, namespace) })
}

// before orders Deployments by age, and those of one second by their names.
func before(a, b *appsv1.Deployment) bool {
	if !a.CreationTimestamp.Equal(&b.CreationTimestamp) {
		return a.CreationTimestamp.Before(&b.CreationTimestamp)
	}
	return a.Namespace+"/"+a.Name < b.Namespace+"/"+b.Name
}
