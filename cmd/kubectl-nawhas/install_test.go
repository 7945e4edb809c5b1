package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"

	"github.com/nawhas/nawhas-operator/internal/install"
)

// bare is an API server that has never heard of releases.
type bare struct {
	t      *testing.T
	server *envtest.Environment
	client client.Client
	config string
}

func newBare(t *testing.T) *bare {
	t.Helper()
	b := &bare{t: t, server: &envtest.Environment{}}
	config, err := b.server.Start()
	b.must(err)
	t.Cleanup(func() { _ = b.server.Stop() })
	b.config = filepath.Join(t.TempDir(), "config")
	b.must(os.WriteFile(b.config, b.server.KubeConfig, 0o600))
	b.client, err = client.New(config, client.Options{Scheme: cluster.Scheme()})
	b.must(err)
	return b
}

func (b *bare) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bare) run(args ...string) result {
	b.t.Helper()
	return runWith(b.t.Context(), append(args, "--kubeconfig", b.config)...)
}

func (b *bare) deployment() *appsv1.Deployment {
	b.t.Helper()
	deployment := &appsv1.Deployment{}
	b.must(b.client.Get(b.t.Context(), client.ObjectKey{Namespace: install.Namespace, Name: "nawhas-operator"}, deployment))
	return deployment
}

// change alters what is installed.
func (b *bare) change(object client.Object, how func()) {
	b.t.Helper()
	b.must(b.client.Get(b.t.Context(), client.ObjectKeyFromObject(object), object))
	how()
	b.must(b.client.Update(b.t.Context(), object))
}

// definition is the one that the cluster has, as it is.
func (b *bare) definition() *unstructured.Unstructured {
	definition := &unstructured.Unstructured{}
	definition.SetGroupVersionKind(schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"})
	definition.SetName("nawhasreleases.releases.nawhas.com")
	return definition
}

// specOf are the fields of spec in a definition.
func specOf(definition *unstructured.Unstructured) map[string]any {
	versions, _, _ := unstructured.NestedFieldNoCopy(definition.Object, "spec", "versions")
	version := versions.([]any)[0].(map[string]any)
	fields, _, _ := unstructured.NestedFieldNoCopy(version, "schema", "openAPIV3Schema", "properties", "spec", "properties")
	return fields.(map[string]any)
}

func TestInstall(t *testing.T) {
	b := newBare(t)

	b.run("install", "--dry-run").expect(t, 0, "created    CustomResourceDefinition nawhasreleases", "created    Deployment nawhas-operator in namespace nawhas-operator", "nothing was changed")
	if err := b.client.Get(t.Context(), client.ObjectKey{Name: install.Namespace}, &corev1.Namespace{}); !apierrors.IsNotFound(err) {
		t.Fatalf("a dry run has made the namespace: %v", err)
	}

	b.run("install").expect(t, 0, "created    Deployment nawhas-operator", "kubectl -n nawhas-operator rollout status deployment nawhas-operator")
	if image := b.deployment().Spec.Template.Spec.Containers[0].Image; image != "ghcr.io/nawhas/nawhas-operator:dev" {
		t.Errorf("it runs %s", image)
	}
	b.run("status").expect(t, exitUsage, "there is no NawhasRelease")

	again := b.run("install")
	again.expect(t, 0, "unchanged  Deployment nawhas-operator")
	if strings.Contains(again.out, "created") || strings.Contains(again.out, "changed   ") && !strings.Contains(again.out, "unchanged") {
		t.Errorf("a second time it did\n%s", again.out)
	}

	const newer = "registry.example.com/nawhas-operator:v0.2.0"
	b.run("install", "--image", newer).expect(t, exitFailed, "operator ghcr.io/nawhas/nawhas-operator:dev is installed", "--upgrade")
	b.run("install", "--image", newer, "--upgrade").expect(t, 0, "changed    Deployment nawhas-operator", "unchanged  CustomResourceDefinition")
	if image := b.deployment().Spec.Template.Spec.Containers[0].Image; image != newer {
		t.Errorf("after the upgrade it runs %s", image)
	}
	b.run("install", "-n", "elsewhere").expect(t, exitFailed, `an operator runs in namespace "nawhas-operator" already`)
	if err := b.client.Get(t.Context(), client.ObjectKey{Name: "elsewhere"}, &corev1.Namespace{}); !apierrors.IsNotFound(err) {
		t.Errorf("it has made the namespace of an operator that it refused: %v", err)
	}

	t.Run("beside one of another name", func(t *testing.T) {
		labels := map[string]string{"app.kubernetes.io/name": "prod-nawhas-operator", "app.kubernetes.io/part-of": "nawhas-operator"}
		other := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: install.Namespace, Name: "prod-nawhas-operator", Labels: labels},
			Spec: appsv1.DeploymentSpec{Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: template(labels)}}
		b.must(b.client.Create(t.Context(), other))
		b.run("install", "--image", newer).expect(t, exitFailed, `an operator runs in namespace "nawhas-operator" already, as Deployment prod-nawhas-operator`, "helm upgrade")
		b.must(b.client.Delete(t.Context(), other))
	})
	t.Run("over an older definition", func(t *testing.T) {
		definition := b.definition()
		b.change(definition, func() { delete(specOf(definition), "retry") })
		b.run("install", "--image", newer).expect(t, exitFailed, "definition of NawhasRelease is older", "v1alpha1.spec.retry", "--upgrade")
		b.run("install", "--image", newer, "--upgrade", "--force-conflicts").expect(t, 0, "changed    CustomResourceDefinition")
		b.must(b.client.Get(t.Context(), client.ObjectKeyFromObject(definition), definition))
		if _, known := specOf(definition)["retry"]; !known {
			t.Error("the definition is as old as before")
		}
	})
	t.Run("over a newer definition", func(t *testing.T) {
		definition := b.definition()
		b.change(definition, func() { specOf(definition)["future"] = map[string]any{"type": "string"} })
		b.run("install", "--image", newer, "--upgrade").expect(t, exitFailed, "is newer than this program", "v1alpha1.spec.future")
		b.change(definition, func() { delete(specOf(definition), "future") })
	})
	t.Run("over what others have set", func(t *testing.T) {
		deployment := b.deployment()
		b.change(deployment, func() { deployment.Spec.Template.Spec.Containers[0].Args = []string{"--leader-elect", "--other"} })
		b.run("install", "--image", newer).expect(t, exitFailed, "others have set fields of Deployment nawhas-operator", "--force-conflicts")
		b.run("install", "--image", newer, "--force-conflicts").expect(t, 0, "changed    Deployment")
	})
	t.Run("over Helm's", func(t *testing.T) {
		deployment := b.deployment()
		b.change(deployment, func() { deployment.Labels["app.kubernetes.io/managed-by"] = "Helm" })
		b.run("install", "--image", newer, "--upgrade").expect(t, exitFailed, "was installed with Helm", "helm upgrade")
		b.change(deployment, func() { delete(deployment.Labels, "app.kubernetes.io/managed-by") })
	})
	t.Run("without rights", func(t *testing.T) {
		user, err := b.server.AddUser(envtest.User{Name: "reader"}, nil)
		b.must(err)
		b.must(b.client.Create(t.Context(), &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "reader"},
			RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "view"},
			Subjects: []rbacv1.Subject{{Kind: "User", Name: "reader", APIGroup: rbacv1.GroupName}}}))
		content, err := user.KubeConfig()
		b.must(err)
		file := filepath.Join(t.TempDir(), "config")
		b.must(os.WriteFile(file, content, 0o600))
		runWith(t.Context(), "install", "--kubeconfig", file).expect(t, exitUnread, "you may not get CustomResourceDefinition", "nothing was changed", "install --print")
	})
}

// What belongs into a new namespace cannot be tried: it is refused when other
// things are there already.
func TestInstallThatIsRefusedHalfWay(t *testing.T) {
	b := newBare(t)
	policy := &admissionv1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: "frozen"}, Spec: admissionv1.ValidatingAdmissionPolicySpec{
		MatchConstraints: &admissionv1.MatchResources{ResourceRules: []admissionv1.NamedRuleWithOperations{{RuleWithOperations: admissionv1.RuleWithOperations{
			Operations: []admissionv1.OperationType{admissionv1.Create},
			Rule:       admissionv1.Rule{APIGroups: []string{"apps"}, APIVersions: []string{"v1"}, Resources: []string{"deployments"}}}}}},
		Validations: []admissionv1.Validation{{Expression: "false", Message: "no Deployments on Fridays", Reason: ptr.To(metav1.StatusReasonForbidden)}}}}
	b.must(b.client.Create(t.Context(), policy))
	b.must(b.client.Create(t.Context(), &admissionv1.ValidatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: "frozen"},
		Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{PolicyName: "frozen", ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny}}}))
	labels := map[string]string{"app": "x"}
	trial := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "x"},
		Spec: appsv1.DeploymentSpec{Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: template(labels)}}
	b.must(wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		return apierrors.IsForbidden(b.client.Create(ctx, trial.DeepCopy(), client.DryRunAll)), nil
	}))

	got := b.run("install")
	got.expect(t, exitFailed, "the cluster does not let Deployment nawhas-operator in", "no Deployments on Fridays", "created Namespace nawhas-operator, ", "run it again")
	for _, untrue := range []string{"nothing was changed", "administrator"} {
		if strings.Contains(got.problem, untrue) {
			t.Errorf("it says %q:\n%s", untrue, got.problem)
		}
	}
	// Now that the namespace is there, everything is tried.
	b.run("install").expect(t, exitFailed, "no Deployments on Fridays", "nothing was changed")

	b.must(b.client.Delete(t.Context(), policy))
	b.must(wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		return b.client.Create(ctx, trial.DeepCopy(), client.DryRunAll) == nil, nil
	}))
	b.run("install").expect(t, 0, "unchanged  Namespace nawhas-operator", "created    Deployment nawhas-operator")
}

// What is printed installs the same, elsewhere too.
func TestInstallPrints(t *testing.T) {
	got := runWith(t.Context(), "install", "--print", "--image", "registry.example.com/operator:1", "-n", "platform", "--kubeconfig", "/nowhere")
	got.expect(t, 0, "image: registry.example.com/operator:1")
	// On the Deployment and its pods; a selector cannot be changed.
	if n := strings.Count(got.out, "app.kubernetes.io/part-of: nawhas-operator"); n != 2 {
		t.Errorf("the label that it is found by is there %d times", n)
	}
	kinds := map[string]int{}
	for document := range strings.SplitSeq(got.out, "\n---\n") {
		object := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(document), &object.Object); err != nil {
			t.Fatal(err)
		}
		kinds[object.GetKind()]++
		if namespace := object.GetNamespace(); namespace != "" && namespace != "platform" {
			t.Errorf("%s %s is in namespace %s", object.GetKind(), object.GetName(), namespace)
		}
		subjects, _, _ := unstructured.NestedSlice(object.Object, "subjects")
		for _, subject := range subjects {
			if subject.(map[string]any)["namespace"] != "platform" {
				t.Errorf("%s %s is about %v", object.GetKind(), object.GetName(), subject)
			}
		}
	}
	if kinds["CustomResourceDefinition"] != 1 || kinds["Namespace"] != 1 || kinds["Deployment"] != 1 || kinds["ServiceAccount"] != 1 || kinds["ClusterRole"] < 2 {
		t.Errorf("it prints %v", kinds)
	}
}
