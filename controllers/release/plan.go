package release

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/ledger"
)

// plan is the part of a spec that belongs to a version: its image, its commands
// and its pods. It is frozen in a ControllerRevision at first sight, so that a
// version which comes back comes back as it was.
type plan struct {
	Version   string               `json:"version"`
	Image     v1alpha1.ImageSpec   `json:"image"`
	Migrate   v1alpha1.MigrateSpec `json:"migrate"`
	Replay    v1alpha1.ReplaySpec  `json:"replay"`
	Verify    v1alpha1.VerifySpec  `json:"verify"`
	Workloads []v1alpha1.Workload  `json:"workloads"`
	// Env and EnvFrom are for all containers.
	Env     []corev1.EnvVar        `json:"env,omitempty"`
	EnvFrom []corev1.EnvFromSource `json:"envFrom,omitempty"`

	// pinned is the image that built the version's database, once there is one.
	pinned string
	// frozen is the plan as it was kept, and digest tells it from others. The
	// newest one of a version has the highest revision.
	frozen   []byte
	digest   string
	revision int64
}

func planOf(spec *v1alpha1.NawhasReleaseSpec) *plan {
	spec = spec.DeepCopy()
	if spec.Replay.Strategy == v1alpha1.ReplayFollow {
		// Plans that were kept before there was another one do not name it.
		spec.Replay.Strategy = ""
	}
	return &plan{Version: spec.Version, Image: spec.Image, Migrate: spec.Migrate, Replay: spec.Replay, Verify: spec.Verify, Workloads: spec.Workloads,
		Env: spec.Env, EnvFrom: spec.EnvFrom}
}

// has reports whether the plan has a workload of that name.
func (p *plan) has(workload string) bool {
	return slices.ContainsFunc(p.Workloads, func(w v1alpha1.Workload) bool { return w.Name == workload })
}

// image is the full name of the version's image: the one that built its
// database, or the one that shall.
func (p *plan) image() string {
	if p.pinned != "" {
		return p.pinned
	}
	return p.wantedImage()
}

func (p *plan) wantedImage() string {
	tag := p.Image.Tag
	if tag == "" {
		tag = p.Version
	}
	return p.Image.Repository + ":" + tag
}

// pinImages makes every version run the image that built its database, whatever
// the spec says by now.
func (s *scope) pinImages() {
	for _, v := range s.versions {
		if p, ok := s.plans[v.Version]; ok {
			p.pinned = v.Image
		}
	}
}

// refusedImage says so when the spec asks for another image than the one that
// built the version's database. It is not obeyed.
func (s *scope) refusedImage() *outcome {
	p := s.plans[s.release.Spec.Version]
	if p == nil || p.pinned == "" || p.pinned == p.wantedImage() {
		return nil
	}
	result := atRest(blocked(v1alpha1.ReasonImageChanged, fmt.Sprintf(
		"the database of version %s is built by %s, so that %s is not used; put spec.image back, or release it as another version", p.Version, p.pinned, p.wantedImage()), 0))
	return &result
}

// loadPlans freezes the plan of spec.version and reads those of the others.
func (r *Reconciler) loadPlans(ctx context.Context, s *scope) error {
	kept, err := r.keptPlans(ctx, s)
	if err != nil {
		return err
	}
	s.plans = map[string]*plan{}
	for version, p := range kept {
		s.plans[version] = p.current(&s.release.Spec)
	}
	present, latest := planOf(&s.release.Spec), latestOf(kept)
	if kept[present.Version] != nil && s.hasBeenLive(present.Version) {
		if carried, err := present.carriedOver(latest, &s.release.Spec); carried || err != nil {
			return err
		}
	}
	s.plans[present.Version] = present
	return r.freeze(ctx, s, present, latest)
}

// keptPlans are the newest frozen plans of all versions.
func (r *Reconciler) keptPlans(ctx context.Context, s *scope) (map[string]*plan, error) {
	var frozen appsv1.ControllerRevisionList
	if err := r.Client.List(ctx, &frozen, r.own(s)...); err != nil {
		return nil, fmt.Errorf("list ControllerRevisions: %w", err)
	}
	newest := map[string]*plan{}
	for i := range frozen.Items {
		p, err := thawed(frozen.Items[i].Data.Raw)
		if err != nil {
			return nil, fmt.Errorf("read ControllerRevision %s: %w", frozen.Items[i].Name, err)
		}
		p.revision = frozen.Items[i].Revision
		if newest[p.Version] == nil || p.revision > newest[p.Version].revision {
			newest[p.Version] = p
		}
	}
	return newest, nil
}

// latestOf is the plan that the spec asked for last, nil when there is none.
func latestOf(plans map[string]*plan) *plan {
	var latest *plan
	for _, p := range plans {
		if latest == nil || p.revision > latest.revision || p.revision == latest.revision && p.Version > latest.Version {
			latest = p
		}
	}
	return latest
}

// carriedOver reports whether a plan is another version's, which the spec asked
// for last, but for the version: only spec.version was changed, and a version that
// was there before keeps its own.
func (p *plan) carriedOver(latest *plan, spec *v1alpha1.NawhasReleaseSpec) (bool, error) {
	if latest == nil || latest.Version == p.Version {
		return false, nil
	}
	other, own := latest.current(spec), p.current(spec)
	// What is run before a version makes way is no version's own.
	other.Version, other.Replay.Drained = own.Version, own.Replay.Drained
	asOther, err := other.encode()
	if err != nil {
		return false, err
	}
	asOwn, err := own.encode()
	return asOther == asOwn, err
}

func (p *plan) encode() (string, error) {
	data, err := json.Marshal(p)
	if err != nil {
		return "", fmt.Errorf("encode the plan of version %s: %w", p.Version, err)
	}
	return string(data), nil
}

// hasBeenLive reports whether the status has the version as one that is or was
// live. One that is full leaves out old versions only.
func (s *scope) hasBeenLive(version string) bool {
	versions := s.release.Status.Versions
	for i := range versions {
		if versions[i].Version == version {
			return versions[i].Role == v1alpha1.RoleLive || versions[i].Role == v1alpha1.RoleWarm
		}
	}
	return len(versions) >= maxVersions
}

// freeze keeps the plan in a ControllerRevision named after its content. What
// it holds cannot be changed: a corrected plan is another, newer revision, and one
// that is taken back to what it was becomes the newest again.
func (r *Reconciler) freeze(ctx context.Context, s *scope, p, latest *plan) error {
	data, err := p.encode()
	if err != nil {
		return err
	}
	p.frozen, p.digest = []byte(data), digestOf([]byte(data))
	name := objectName(s.release.Name, p.Version, "plan", p.digest)
	existing := &appsv1.ControllerRevision{}
	err = r.Client.Get(ctx, client.ObjectKey{Namespace: s.release.Namespace, Name: name}, existing)
	if err == nil && (latest == nil || existing.Revision >= latest.revision) {
		return nil
	}
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("read ControllerRevision %s: %w", name, err)
	}
	revision := &appsv1.ControllerRevision{
		TypeMeta:   metav1.TypeMeta{APIVersion: "apps/v1", Kind: "ControllerRevision"},
		ObjectMeta: s.objectMeta(name, map[string]string{v1alpha1.LabelVersion: p.Version}),
		Data:       runtime.RawExtension{Raw: p.frozen},
		Revision:   s.release.Generation,
	}
	return r.apply(ctx, s, revision)
}

func thawed(data []byte) (*plan, error) {
	p := &plan{frozen: data, digest: digestOf(data)}
	if err := json.Unmarshal(data, p); err != nil {
		return nil, err
	}
	return p, nil
}

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:4])
}

// keepPlans records in the ledger what the versions run, and brings back from
// there what the cluster has lost: a version that is live stays so, and comes
// back as it was, although all objects were deleted.
func (r *Reconciler) keepPlans(ctx context.Context, s *scope) error {
	for _, v := range s.versions {
		p, ok := s.plans[v.Version]
		if !ok {
			if err := r.restorePlan(ctx, s, v); err != nil {
				return err
			}
			continue
		}
		if v.PlanDigest == p.digest || v.PlanDigest != "" && v.Version != s.release.Spec.Version {
			continue
		}
		if err := s.ledger.KeepPlan(ctx, v, p.digest, p.frozen); err != nil {
			return err
		}
		v.PlanDigest = p.digest
	}
	return nil
}

func (r *Reconciler) restorePlan(ctx context.Context, s *scope, v *ledger.Version) error {
	data, err := s.ledger.Plan(ctx, v)
	if err != nil {
		return s.onSource(err)
	}
	if data == nil {
		return nil
	}
	p, err := thawed(data)
	if err != nil {
		return fmt.Errorf("read the plan of version %s in the ledger: %w", v.Version, err)
	}
	if err := r.freeze(ctx, s, p, nil); err != nil {
		return err
	}
	p = p.current(&s.release.Spec)
	p.pinned = v.Image
	s.plans[v.Version] = p
	return nil
}
