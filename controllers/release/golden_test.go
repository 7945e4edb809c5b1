package release

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

var update = flag.Bool("update", false, "write the golden files anew")

// rendered are the kinds of everything that the operator makes in the cluster.
var rendered = map[string]schema.GroupVersionKind{
	"deployments":              {Group: "apps", Version: "v1", Kind: "Deployment"},
	"controllerrevisions":      {Group: "apps", Version: "v1", Kind: "ControllerRevision"},
	"jobs":                     {Group: "batch", Version: "v1", Kind: "Job"},
	"services":                 {Version: "v1", Kind: "Service"},
	"secrets":                  {Version: "v1", Kind: "Secret"},
	"horizontalpodautoscalers": {Group: "autoscaling", Version: "v2", Kind: "HorizontalPodAutoscaler"},
	"poddisruptionbudgets":     {Group: "policy", Version: "v1", Kind: "PodDisruptionBudget"},
}

// Whatever differs here differs in the clusters of those who upgrade the
// operator: a changed pod template rolls pods, a changed Job or plan is made
// anew. Run with -update only when that is meant, and tell users.
func TestAnUpgradeOfTheOperatorChangesNoObject(t *testing.T) {
	w := newWorld(t)
	w.newRelease(usesEverything)
	w.until("live", isLive("3.1.2"))
	w.update(func(r *v1alpha1.NawhasRelease) {
		r.Spec.Version, r.Spec.Promotion.Mode = "3.2.0", v1alpha1.PromotionManual
	})
	w.until("waiting", readyFor(v1alpha1.ReasonAwaitingApproval))
	w.settle()
	for name, kind := range rendered {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join("testdata", "golden", name+".yaml")
			got := w.render(kind)
			if *update {
				w.must(os.MkdirAll(filepath.Dir(file), 0o755))
				w.must(os.WriteFile(file, []byte(got), 0o644))
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("an upgrade would change these objects. Run go test with -update and look at the difference.\n%s", firstDifference(string(want), got))
			}
		})
	}
}

func usesEverything(r *v1alpha1.NawhasRelease) {
	r.Spec.Replay.SkipEvents = []string{"018f3c2e-7b1a-7c3d-9e55-0242ac120002"}
	r.Spec.Replay.MaxEventsPerSecond = 5000
	r.Spec.Verify.Queries = []v1alpha1.VerifyQuery{{Name: "no-empty-titles", Query: "SELECT 0", Expect: ptr.To("0")}}
	r.Spec.Image.PullSecrets = []v1alpha1.SecretReference{{Name: "registry"}}
	api := &r.Spec.Workloads[0]
	api.Autoscaling = &v1alpha1.Autoscaling{MinReplicas: ptr.To(int32(2)), MaxReplicas: 6, Behavior: &autoscalingv2.HorizontalPodAutoscalerBehavior{
		ScaleDown: &autoscalingv2.HPAScalingRules{StabilizationWindowSeconds: ptr.To(int32(60))}}}
	api.DisruptionBudget = &v1alpha1.DisruptionBudget{MinAvailable: ptr.To(intstr.FromInt32(1))}
	api.Service.Labels, api.Service.Annotations = map[string]v1alpha1.LabelValue{"team": "library"}, map[string]string{"example.com/hostname": "api.example.com"}
	api.Service.Type = corev1.ServiceTypeNodePort
	api.Template.Spec.InitContainers = []corev1.Container{{Name: "wait", Image: "ghcr.io/nawhas/wait:1"}}
	api.Template.Spec.NodeSelector = map[string]string{"disk": "fast"}
	r.Spec.Workloads = append(r.Spec.Workloads, v1alpha1.Workload{Name: "queue", Exclusive: true, Replicas: ptr.To(int32(2)),
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"team": "library"}},
			Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "queue", Args: []string{"work"}}}}}})
}

// render writes all objects of a kind as the operator would make them in any
// cluster: without what each cluster, build and password is told by.
func (w *world) render(kind schema.GroupVersionKind) string {
	w.t.Helper()
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(kind)
	w.must(cluster.List(w.t.Context(), list, client.InNamespace(w.namespace), client.MatchingLabels{v1alpha1.LabelRelease: "nawhas"}))
	var documents []string
	for i := range list.Items {
		item := list.Items[i].Object
		delete(item, "status")
		metadata, _ := item["metadata"].(map[string]any)
		for _, field := range []string{"managedFields", "uid", "creationTimestamp", "resourceVersion", "generation"} {
			delete(metadata, field)
		}
		hideData(item)
		content, err := yaml.Marshal(item)
		w.must(err)
		documents = append(documents, w.anonymous(string(content)))
	}
	slices.Sort(documents)
	return strings.Join(documents, "---\n")
}

// hideData keeps the names of a Secret's keys, and takes away what is chosen by
// the cluster for a Service and a Job.
func hideData(item map[string]any) {
	if data, found := item["data"].(map[string]any); found && item["kind"] == "Secret" {
		item["data"] = slices.Sorted(maps.Keys(data))
	}
	spec, _ := item["spec"].(map[string]any)
	for _, field := range []string{"clusterIP", "clusterIPs"} {
		delete(spec, field)
	}
	ports, _ := spec["ports"].([]any)
	for _, port := range ports {
		if port, isPort := port.(map[string]any); isPort {
			delete(port, "nodePort")
		}
	}
}

var volatile = []struct {
	found *regexp.Regexp
	told  string
}{
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}`), "UUID"},
	{regexp.MustCompile(`(migrate|replay|verify|observe)-([0-9]+-[0-9]+-[0-9]+)-[0-9a-f]{8}-`), "$1-$2-BUILD-"},
	{regexp.MustCompile(`releases\.nawhas\.com/(credentials|inputs|epoch): .*`), "releases.nawhas.com/$1: DIFFERS"},
	{regexp.MustCompile(`@[0-9.]+:[0-9]+/`), "@SERVER/"},
}

func (w *world) anonymous(text string) string {
	text = strings.NewReplacer(w.prefix, "nawhas_v", w.namespace, "library").Replace(text)
	for _, v := range volatile {
		text = v.found.ReplaceAllString(text, v.told)
	}
	return text
}

func firstDifference(want, got string) string {
	wanted, had := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range max(len(wanted), len(had)) {
		a, b := "(end)", "(end)"
		if i < len(wanted) {
			a = wanted[i]
		}
		if i < len(had) {
			b = had[i]
		}
		if a != b {
			return fmt.Sprintf("line %d was\n%s\nand would be\n%s", i+1, a, b)
		}
	}
	return "there is none"
}
