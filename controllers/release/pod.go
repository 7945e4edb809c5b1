package release

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/ledger"
)

// connectionVariables are the variables of the contract that come from the
// version's Secret, in the order in which pods get them.
var connectionVariables = []string{
	"NAWHAS_DATABASE_HOST", "NAWHAS_DATABASE_PORT", "NAWHAS_DATABASE_NAME", "NAWHAS_DATABASE_USER", "NAWHAS_DATABASE_PASSWORD", "NAWHAS_DATABASE_URL",
	"NAWHAS_SOURCE_HOST", "NAWHAS_SOURCE_PORT", "NAWHAS_SOURCE_NAME", "NAWHAS_SOURCE_USER", "NAWHAS_SOURCE_PASSWORD", "NAWHAS_SOURCE_URL",
}

const certificatesVolume = "nawhas-tls"

// environment is what every container of a version gets, in front of its own
// variables, so that these can refer to it as $(NAWHAS_DATABASE_NAME).
func environment(s *scope, v *ledger.Version, c *credentials) []corev1.EnvVar {
	env := []corev1.EnvVar{
		{Name: "NAWHAS_RELEASE", Value: s.key()},
		{Name: "NAWHAS_VERSION", Value: v.Version},
		{Name: "NAWHAS_BUILD", Value: v.Build.String()},
	}
	for _, name := range connectionVariables {
		env = append(env, corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{
			SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: c.secret}, Key: name},
		}})
	}
	return append(env, s.described()...)
}

// Variables that replays and followers get only when there is something to
// say, so that pods of releases which say nothing stay as they are.
const (
	skipEventsVariable    = "NAWHAS_SKIP_EVENTS"
	unknownEventsVariable = "NAWHAS_UNKNOWN_EVENTS"
	maxRateVariable       = "NAWHAS_MAX_EVENTS_PER_SECOND"
)

// maxRate is how fast a version is replayed at most, empty for as fast as it goes.
func maxRate(p *plan) string {
	if p.Replay.MaxEventsPerSecond == 0 {
		return ""
	}
	return strconv.FormatInt(p.Replay.MaxEventsPerSecond, 10)
}

// pacing is what a replay gets besides the events that it skips.
func pacing(p *plan) []corev1.EnvVar {
	limit := maxRate(p)
	if limit == "" {
		return nil
	}
	return []corev1.EnvVar{{Name: maxRateVariable, Value: limit}}
}

// skipping names the events that a version passes over.
func skipping(p *plan) []corev1.EnvVar {
	if len(p.Replay.SkipEvents) == 0 {
		return nil
	}
	return []corev1.EnvVar{{Name: skipEventsVariable, Value: strings.Join(p.Replay.SkipEvents, ",")}}
}

// equip completes a pod template: variables, images, pull Secrets, certificates
// and labels. What the template says itself stays.
func equip(template *corev1.PodTemplateSpec, s *scope, v *ledger.Version, p *plan, c *credentials, labels map[string]string) {
	for i := range template.Spec.InitContainers {
		equipContainer(&template.Spec.InitContainers[i], s, v, p, c)
	}
	for i := range template.Spec.Containers {
		equipContainer(&template.Spec.Containers[i], s, v, p, c)
	}
	for _, secret := range p.Image.PullSecrets {
		reference := corev1.LocalObjectReference{Name: secret.Name}
		if !slices.Contains(template.Spec.ImagePullSecrets, reference) {
			template.Spec.ImagePullSecrets = append(template.Spec.ImagePullSecrets, reference)
		}
	}
	if s.hasCertificates() {
		template.Spec.Volumes = append(template.Spec.Volumes, corev1.Volume{Name: certificatesVolume, VolumeSource: corev1.VolumeSource{
			Secret: &corev1.SecretVolumeSource{SecretName: c.secret, Items: s.certificateItems()},
		}})
	}
	template.Labels = merged(template.Labels, labels)
	template.Annotations = merged(template.Annotations, map[string]string{
		v1alpha1.AnnotationBuild: v.Build.String(), v1alpha1.AnnotationCredentials: c.digest(),
	})
}

func equipContainer(container *corev1.Container, s *scope, v *ledger.Version, p *plan, c *credentials) {
	container.Env = named(slices.Concat(environment(s, v, c), p.Env, container.Env))
	container.EnvFrom = append(slices.Clone(p.EnvFrom), container.EnvFrom...)
	if container.Image == "" {
		container.Image = p.image()
		if container.ImagePullPolicy == "" {
			container.ImagePullPolicy = p.Image.PullPolicy
		}
	}
	if s.hasCertificates() {
		container.VolumeMounts = append(container.VolumeMounts, corev1.VolumeMount{Name: certificatesVolume, MountPath: certificatesDir, ReadOnly: true})
	}
}

// named has each variable once, as an apply demands: the last of a name counts,
// as it does in a container. It takes the first one's place, so that those which
// refer to it can, unless it refers to others itself.
func named(variables []corev1.EnvVar) []corev1.EnvVar {
	places := map[string]int{}
	var all []corev1.EnvVar
	for _, variable := range variables {
		place, twice := places[variable.Name]
		switch {
		case twice && !strings.Contains(variable.Value, "$("):
			all[place] = variable
			continue
		case twice:
			all = slices.Delete(all, place, place+1)
			for name, at := range places {
				if at > place {
					places[name] = at - 1
				}
			}
		}
		places[variable.Name] = len(all)
		all = append(all, variable)
	}
	return all
}

func (s *scope) hasCertificates() bool { return len(s.source.ca)+len(s.databases.ca) > 0 }

func (s *scope) certificateItems() []corev1.KeyToPath {
	var items []corev1.KeyToPath
	if len(s.source.ca) > 0 {
		items = append(items, corev1.KeyToPath{Key: sourceCAKey, Path: sourceCAKey})
	}
	if len(s.databases.ca) > 0 {
		items = append(items, corev1.KeyToPath{Key: databasesCAKey, Path: databasesCAKey})
	}
	return items
}

// stepTemplate is the pod of a Job or of the follower: one container with a
// command. Where it may run and as whom is taken from the first workload, whose
// image it shares; what that leaves open is restricted.
func stepTemplate(p *plan, command []string, resources v1alpha1.ResourceRequirements) corev1.PodTemplateSpec {
	model := p.Workloads[0].Template.Spec
	security, podSecurity := stepSecurity(&model)
	return corev1.PodTemplateSpec{Spec: corev1.PodSpec{
		Containers: []corev1.Container{{
			Name: "nawhas", Command: command, SecurityContext: security,
			Resources: corev1.ResourceRequirements{Limits: resources.Limits, Requests: resources.Requests},
		}},
		SecurityContext:              podSecurity,
		AutomountServiceAccountToken: ptr.To(false),
		EnableServiceLinks:           ptr.To(false),
		ServiceAccountName:           model.ServiceAccountName,
		ImagePullSecrets:             append([]corev1.LocalObjectReference(nil), model.ImagePullSecrets...),
		NodeSelector:                 maps.Clone(model.NodeSelector),
		Tolerations:                  append([]corev1.Toleration(nil), model.Tolerations...),
		Affinity:                     model.Affinity.DeepCopy(),
	}}
}

// stepSecurity is as whom a step runs: as the first container of the first workload
// does, in its container's words or its pod's.
func stepSecurity(model *corev1.PodSpec) (*corev1.SecurityContext, *corev1.PodSecurityContext) {
	step := &corev1.SecurityContext{
		AllowPrivilegeEscalation: ptr.To(false),
		ReadOnlyRootFilesystem:   ptr.To(true),
		Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
	}
	asRoot := false
	if own := model.Containers[0].SecurityContext.DeepCopy(); own != nil {
		step.RunAsUser, step.RunAsGroup, step.RunAsNonRoot, step.SeccompProfile = own.RunAsUser, own.RunAsGroup, own.RunAsNonRoot, own.SeccompProfile
		if own.ReadOnlyRootFilesystem != nil {
			step.ReadOnlyRootFilesystem = own.ReadOnlyRootFilesystem
		}
		asRoot = own.RunAsUser != nil && *own.RunAsUser == 0
	}
	pod := model.SecurityContext.DeepCopy()
	if pod == nil {
		pod = &corev1.PodSecurityContext{RunAsNonRoot: ptr.To(!asRoot), SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}}
	}
	return step, pod
}

func merged(base, over map[string]string) map[string]string {
	all := maps.Clone(base)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, over)
	return all
}

func labelsOf(s *scope, v *ledger.Version) map[string]string {
	return map[string]string{v1alpha1.LabelRelease: s.release.Name, v1alpha1.LabelVersion: v.Version}
}

func selector(labels map[string]string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: labels}
}
