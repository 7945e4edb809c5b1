package prerequisite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"
)

const config = "../../config"

// The tests ask a real API server, in which at first nothing is installed.
var (
	environment *envtest.Environment
	admin       *rest.Config
)

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard())
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		_ = os.Setenv("KUBEBUILDER_ASSETS", filepath.Join("..", "..", "bin", "kubernetes"))
	}
	environment = &envtest.Environment{}
	var err error
	if admin, err = environment.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "start an API server (make cluster-programs builds it):", err)
		return 1
	}
	defer func() { _ = environment.Stop() }()
	admin.QPS, admin.Burst = 1000, 1000
	return m.Run()
}

func clientsOf(t *testing.T, config *rest.Config) kubernetes.Interface {
	t.Helper()
	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return clients
}

func read(t *testing.T, file string, into any) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(config, file))
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(content, into); err != nil {
		t.Fatal(file, err)
	}
}

// A definition is installed that lacks three fields, then the one that belongs
// to this operator.
func TestTheDefinition(t *testing.T) {
	cluster, err := client.New(admin, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	served := func() error { return checkDefinition(clientsOf(t, admin).Discovery().OpenAPIV3()) }
	if err := served(); !errors.As(err, new(*AbsentError)) || !strings.Contains(err.Error(), "config/crd") {
		t.Fatalf("without a definition it says %v", err)
	}

	older := definition(t)
	drop(t, older, "spec", "retry")
	drop(t, older, "spec", "workloads", "exclusive")
	drop(t, older, "status", "versions", "progress", "remaining")
	if err := cluster.Create(t.Context(), older); err != nil {
		t.Fatal(err)
	}
	found := &OlderError{}
	eventually(t, "told as older", func() bool { return errors.As(served(), &found) })
	want := []string{"spec.retry", "spec.workloads.exclusive", "status.versions.progress.remaining"}
	if !slices.Equal(found.Fields, want) {
		t.Errorf("it lacks %v, not %v", found.Fields, want)
	}

	current := definition(t)
	eventually(t, "upgraded", func() bool {
		if err := cluster.Get(t.Context(), client.ObjectKeyFromObject(older), older); err != nil {
			t.Fatal(err)
		}
		current.SetResourceVersion(older.GetResourceVersion())
		return cluster.Update(t.Context(), current) == nil
	})
	eventually(t, "told as the operator's own", func() bool { return served() == nil })
}

func definition(t *testing.T) *unstructured.Unstructured {
	t.Helper()
	object := &unstructured.Unstructured{}
	read(t, "crd/bases/releases.nawhas.com_nawhasreleases.yaml", &object.Object)
	return object
}

// drop removes a property from a definition, through lists, and the rules beside it.
func drop(t *testing.T, definition *unstructured.Unstructured, path ...string) {
	t.Helper()
	versions, _ := at(definition.Object, "spec", "versions").([]any)
	version, _ := versions[0].(map[string]any)
	parent, _ := at(version, "schema", "openAPIV3Schema").(map[string]any)
	for _, name := range path[:len(path)-1] {
		parent, _ = at(parent, "properties", name).(map[string]any)
		if items, isList := parent["items"].(map[string]any); isList {
			parent = items
		}
	}
	last := path[len(path)-1]
	properties, _ := parent["properties"].(map[string]any)
	if properties[last] == nil {
		t.Fatalf("the definition has no %v", path)
	}
	delete(properties, last)
	required, _ := parent["required"].([]any)
	parent["required"] = slices.DeleteFunc(required, func(name any) bool { return name == last })
	delete(parent, "x-kubernetes-validations")
}

func at(object map[string]any, path ...string) any {
	var value any = object
	for _, name := range path {
		inner, _ := value.(map[string]any)
		value = inner[name]
	}
	return value
}

// TestTheRights starts with an account that has none, and gives it the operator's
// role in one namespace, and then everywhere.
func TestTheRights(t *testing.T) {
	ctx := t.Context()
	user, err := environment.AddUser(envtest.User{Name: "operator"}, admin)
	if err != nil {
		t.Fatal(err)
	}
	missing := func(namespaces ...string) []string {
		err := checkRights(ctx, clientsOf(t, user.Config()).AuthorizationV1().SelfSubjectAccessReviews(), namespaces)
		if err == nil {
			return nil
		}
		lacks := &RightsError{}
		if !errors.As(err, &lacks) {
			t.Fatal(err)
		}
		return lacks.Rights
	}
	if rights := missing(); len(rights) != 2*len(watched) || rights[0] != "list nawhasreleases in all namespaces" {
		t.Errorf("without any right it misses %v", rights)
	}

	rights := clientsOf(t, admin).RbacV1()
	role := &rbacv1.ClusterRole{}
	read(t, "rbac/role.yaml", role)
	if _, err := rights.ClusterRoles().Create(ctx, role, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	to := []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: "operator"}}
	reference := rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name}
	if _, err := rights.RoleBindings("default").Create(ctx, &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "operator"}, RoleRef: reference, Subjects: to},
		metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "allowed in its namespace", func() bool { return missing("default") == nil })
	if rights := missing("default", "kube-system"); len(rights) != 2*len(watched) || rights[0] != "list nawhasreleases in namespace kube-system" {
		t.Errorf("with rights in one of two namespaces it misses %v", rights)
	}
	if _, err := rights.ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "operator"}, RoleRef: reference, Subjects: to},
		metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "allowed everywhere", func() bool { return missing() == nil })
}

// TestWhatIsWatchedIsWhatTheRoleLetsWatch keeps the list of kinds true.
func TestWhatIsWatchedIsWhatTheRoleLetsWatch(t *testing.T) {
	role := &rbacv1.ClusterRole{}
	read(t, "rbac/role.yaml", role)
	var allowed, asked []string
	for _, rule := range role.Rules {
		for _, resource := range rule.Resources {
			if slices.Contains(rule.Verbs, "watch") {
				allowed = append(allowed, rule.APIGroups[0]+"/"+resource)
			}
		}
	}
	for _, kind := range watched {
		asked = append(asked, kind.group+"/"+kind.resource)
	}
	slices.Sort(allowed)
	slices.Sort(asked)
	if !slices.Equal(allowed, asked) {
		t.Errorf("the role lets it watch %v; it asks for %v", allowed, asked)
	}
}

// TestASecondOperator installs two, as Deployments.
func TestASecondOperator(t *testing.T) {
	ctx := t.Context()
	clients := clientsOf(t, admin)
	for _, namespace := range []string{"one", "two"} {
		if _, err := clients.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		if _, err := clients.AppsV1().Deployments(namespace).Create(ctx, deployment(namespace, time.Time{}), metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := checkOthers(ctx, clients.AppsV1(), Operator{Namespace: "one"}); err != nil {
		t.Errorf("the first one is refused: %v", err)
	}
	err := checkOthers(ctx, clients.AppsV1(), Operator{Namespace: "two"})
	if found := (&SecondError{}); !errors.As(err, &found) || found.Deployment != "one/nawhas-operator" {
		t.Errorf("the second one is told %v", err)
	}
}

func TestWhoIsTheSecond(t *testing.T) {
	long, short := time.Now().Add(-time.Hour), time.Now()
	none := deployment("other", long)
	none.Spec.Replicas = new(int32)
	foreign := deployment("other", long)
	foreign.Labels[labelName] = "postgres"
	renamed := deployment("other", long)
	renamed.Labels = map[string]string{labelName: "a-name-so-long-that-nothing-is-left", labelPart: operators}
	for name, test := range map[string]struct {
		other   *appsv1.Deployment
		watched []string
		second  bool
	}{
		"an older one for all":                {deployment("other", long), nil, true},
		"an older one for all, this for some": {deployment("other", long), []string{"a"}, true},
		"an older one for the same namespace": {deployment("other", long, "a", "b"), []string{"b"}, true},
		"an older one for other namespaces":   {deployment("other", long, "a", "b"), []string{"c"}, false},
		"a younger one":                       {deployment("other", short.Add(time.Hour)), nil, false},
		"one that is scaled to none":          {none, nil, false},
		"another program":                     {foreign, nil, false},
		"one of another name":                 {renamed, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			err := second([]appsv1.Deployment{*test.other, *deployment("own", short, test.watched...)}, Operator{Namespace: "own", Watched: test.watched})
			if (err != nil) != test.second {
				t.Errorf("it says %v", err)
			}
		})
	}
}

func deployment(namespace string, created time.Time, watches ...string) *appsv1.Deployment {
	labels := map[string]string{labelName: operators}
	container := corev1.Container{Name: "manager", Image: "operator"}
	if len(watches) > 0 {
		container.Args = []string{watchFlag + strings.Join(watches, ",")}
	}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: operators, Labels: labels, CreationTimestamp: metav1.NewTime(created)},
		Spec: appsv1.DeploymentSpec{Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{container}}}},
	}
}

// TestAwaitGivesUpWithWhatIsMissing asks as somebody without rights.
func TestAwaitGivesUpWithWhatIsMissing(t *testing.T) {
	user, err := environment.AddUser(envtest.User{Name: "nobody"}, admin)
	if err != nil {
		t.Fatal(err)
	}
	err = Await(t.Context(), user.Config(), Operator{Watched: []string{"default"}}, 100*time.Millisecond)
	if lacks := (&RightsError{}); !errors.As(err, &lacks) {
		t.Errorf("it says %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Await(ended, user.Config(), Operator{}, time.Minute); err == nil {
		t.Error("it is content")
	}
}

func eventually(t *testing.T, what string, check func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if check() {
			return
		}
	}
	t.Fatalf("not %s after 30 s", what)
}
