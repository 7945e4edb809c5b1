package release

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

// captured are releases as the operator tells of them, for the tests of what
// reads them: Argo CD's Lua, Flux' expressions, kstatus.
const captured = "../../hack/platform/testdata/releases"

// TestCapturedReleases brings releases into the states of the captured ones and
// compares what the operator says. CAPTURE=1 writes them anew.
func TestCapturedReleases(t *testing.T) {
	for name, arrive := range map[string]func(*testing.T) *world{
		"building": func(t *testing.T) *world {
			w := newWorld(t)
			w.newRelease()
			w.kubelet.idle = true
			w.until("migrating", readyFor(v1alpha1.ReasonMigrating))
			return w
		},
		"live": func(t *testing.T) *world { return atTheFirst(t) },
		"candidate": func(t *testing.T) *world {
			w := atTheFirst(t)
			w.kubelet.idle = true
			w.release("3.2.0")
			w.until("migrating", readyFor(v1alpha1.ReasonMigrating))
			return w
		},
		"awaiting-approval": func(t *testing.T) *world {
			w := atTheFirst(t, func(r *v1alpha1.NawhasRelease) {
				r.Spec.Promotion.Mode = v1alpha1.PromotionManual
				r.Spec.Promotion.Approved = "3.1.2"
			})
			w.release("3.2.0")
			w.until("awaiting approval", readyFor(v1alpha1.ReasonAwaitingApproval))
			return w
		},
		"held": func(t *testing.T) *world {
			w := atTheFirst(t)
			w.update(func(r *v1alpha1.NawhasRelease) {
				r.Annotations = map[string]string{v1alpha1.AnnotationHold: "3.1.2"}
				r.Spec.Version = "3.2.0"
			})
			w.until("held", stalledFor(v1alpha1.ReasonHeld))
			return w
		},
		"sent-back": func(t *testing.T) *world {
			w := twoVersions(t)
			w.fails("3.2.0")
			w.until("sent back", isHeldAt("3.1.2"))
			return w
		},
		"secret-missing": func(t *testing.T) *world {
			w := newWorld(t)
			w.deleteSecret("nawhas-source")
			w.newRelease()
			w.until("stalled", stalledFor(v1alpha1.ReasonSecretMissing))
			return w
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := arrive(t)
			file := filepath.Join(captured, name+".yaml")
			if os.Getenv("CAPTURE") != "" {
				w.capture(file)
			}
			w.saysAs(file)
		})
	}
}

func atTheFirst(t *testing.T, change ...func(*v1alpha1.NawhasRelease)) *world {
	t.Helper()
	w := newWorld(t)
	w.newRelease(change...)
	w.until("live", isLive("3.1.2"))
	w.kubelet.wait(5 * time.Second)
	return w
}

func readyFor(reason string) func(*v1alpha1.NawhasRelease) bool {
	return func(r *v1alpha1.NawhasRelease) bool { return conditionOf(r, v1alpha1.ConditionReady).Reason == reason }
}

func stalledFor(reason string) func(*v1alpha1.NawhasRelease) bool {
	return func(r *v1alpha1.NawhasRelease) bool {
		return isTrue(r, v1alpha1.ConditionStalled) && conditionOf(r, v1alpha1.ConditionStalled).Reason == reason
	}
}

// capture writes the release without what no reader looks at.
func (w *world) capture(file string) {
	w.t.Helper()
	release := w.get()
	release.TypeMeta = metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "NawhasRelease"}
	release.ObjectMeta = metav1.ObjectMeta{Namespace: w.namespace, Name: release.Name, Generation: release.Generation, Annotations: release.Annotations}
	content, err := yaml.Marshal(release)
	w.must(err)
	text := strings.NewReplacer(w.prefix, "nawhas_v", w.namespace, "nawhas", w.source, "nawhas", w.databases, "nawhas").Replace(string(content))
	w.must(os.WriteFile(file, []byte(text), 0o644))
}

// said is what readers judge a release by.
type said struct {
	Conditions map[string]string
	Live       string
	Observed   bool
	Roles      map[string]v1alpha1.VersionRole
}

func (w *world) saysAs(file string) {
	w.t.Helper()
	content, err := os.ReadFile(file)
	w.must(err)
	var before v1alpha1.NawhasRelease
	w.must(yaml.Unmarshal(content, &before))
	if now, then := sayingOf(w.get()), sayingOf(&before); !reflect.DeepEqual(now, then) {
		w.t.Errorf("the operator says\n%+v\nand in %s\n%+v\nrun with CAPTURE=1 if it is right, and the tests of hack/platform", now, file, then)
	}
}

func sayingOf(release *v1alpha1.NawhasRelease) said {
	told := said{Conditions: map[string]string{}, Live: release.Status.Live, Roles: map[string]v1alpha1.VersionRole{},
		Observed: release.Status.ObservedGeneration == release.Generation}
	for _, c := range release.Status.Conditions {
		told.Conditions[c.Type] = string(c.Status) + " " + c.Reason
	}
	for _, v := range release.Status.Versions {
		told.Roles[v.Version] = v.Role
	}
	return told
}
