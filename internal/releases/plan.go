package releases

import (
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
)

// Plan says step by step what releasing a version would do, by what the release
// says of itself. An empty version is spec.version.
func Plan(release *v1alpha1.NawhasRelease, version string) []string {
	if version == "" {
		version = release.Spec.Version
	}
	live := release.Status.Live
	if version == live {
		return []string{"Version " + version + " is live: nothing would be done."}
	}
	kept := versionOf(release, version)
	if kept != nil && kept.Role == v1alpha1.RoleWarm {
		return planReturn(release, kept)
	}
	lines := []string{fmt.Sprintf("Releasing version %s of %s:", version, release.Name)}
	for i, step := range slices.Concat(planBuild(release, version, kept), planSwitch(release, version)) {
		lines = append(lines, fmt.Sprintf("  %d. %s", i+1, step))
	}
	return append(lines, planCosts(release, version)...)
}

// planCosts says what building takes: by the operator's own plan, if spec.dryRun
// asked for one, and otherwise by what the live version took.
func planCosts(release *v1alpha1.NawhasRelease, version string) []string {
	if plan := release.Status.Plan; plan != nil && plan.Version == version {
		for _, condition := range release.Status.Conditions {
			if condition.Type == v1alpha1.ConditionDatabaseReady && condition.Reason == v1alpha1.ReasonDryRun {
				return []string{"The operator says: " + condition.Message + "."}
			}
		}
	}
	lines := []string{planDuration(release)}
	live := versionOf(release, release.Status.Live)
	if live == nil || live.Checkpoint == nil {
		return lines
	}
	events := *live.Checkpoint + ptr.Deref(live.Lag, 0)
	text := fmt.Sprintf("The log has at most %d events", events)
	if took := stageDuration(live, v1alpha1.ConditionReplayed); took > 0 && live.Verification != nil && live.Verification.Events > 0 {
		rate := max(1, int64(float64(live.Verification.Events)/took.Seconds()))
		if limit := release.Spec.Replay.MaxEventsPerSecond; limit > 0 {
			rate = min(rate, limit)
		}
		text += fmt.Sprintf("; at %d events/s, as version %s was replayed, step 3 takes about %s", rate, live.Version,
			duration(time.Duration(float64(events)/float64(rate)*float64(time.Second)).Round(time.Second)))
	}
	return append(lines, text+".", "With spec.dryRun: true beside the version, the operator says what disk and connections it would take, and does not begin.")
}

func stageDuration(v *v1alpha1.VersionStatus, name string) time.Duration {
	for _, stage := range v.Stages {
		if stage.Name == name {
			return stage.Duration.Duration
		}
	}
	return 0
}

func planBuild(release *v1alpha1.NawhasRelease, version string, kept *v1alpha1.VersionStatus) []string {
	spec := &release.Spec
	database := or(spec.Databases.Prefix, "nawhas_v") + strings.NewReplacer(".", "_", "-", "_").Replace(version)
	first := "create database " + database + " and the version's two roles"
	image := spec.Image.Repository + ":" + or(spec.Image.Tag, version)
	if kept != nil {
		first = "go on with database " + kept.Database
		image = or(kept.Image, image)
	}
	return []string{
		first,
		fmt.Sprintf("migrate it: %s in %s", strings.Join(spec.Migrate.Command, " "), image),
		"replay all events into it: " + strings.Join(spec.Replay.Command, " "),
		"verify it: " + strings.Join(spec.Verify.Command, " ") + comparing(release),
	}
}

func comparing(release *v1alpha1.NawhasRelease) string {
	if release.Status.Live == "" || release.Spec.Verify.Compare == v1alpha1.CompareOff {
		return ""
	}
	return fmt.Sprintf(", compared with version %s (%s)", release.Status.Live, release.Spec.Verify.Compare)
}

func planSwitch(release *v1alpha1.NawhasRelease, version string) []string {
	spec := &release.Spec
	var pods, services []string
	for _, workload := range spec.Workloads {
		pods = append(pods, fmt.Sprintf("%d × %s", ptr.Deref(workload.Replicas, 1), workload.Name))
		if workload.Service != nil {
			services = append(services, workload.Service.Name)
		}
	}
	steps := []string{"start its pods (" + strings.Join(pods, ", ") + ") and wait until it is at most " +
		fmt.Sprint(ptr.Deref(spec.Cutover.MaxLag, 0)) + " events behind"}
	if spec.Promotion.Mode == v1alpha1.PromotionManual && spec.Promotion.Approved != version {
		steps = append(steps, "wait for `kubectl nawhas promote "+release.Name+"`")
	}
	switched := fmt.Sprintf("switch %s to it (%s)", strings.Join(services, ", "), spec.Cutover.Mode)
	if len(services) == 0 {
		switched = "make it the live version; no workload has a Service"
	}
	steps = append(steps, switched)
	if live := release.Status.Live; live != "" {
		steps = append(steps, fmt.Sprintf("take version %s's right to append when it has drained, and keep its database current for %s",
			live, duration(ptr.Deref(spec.Rollback.Window, metav1.Duration{}).Duration)))
	}
	return steps
}

func planReturn(release *v1alpha1.NawhasRelease, kept *v1alpha1.VersionStatus) []string {
	lines := []string{fmt.Sprintf("Version %s was live before and has its database %s: releasing it is going back.", kept.Version, kept.Database),
		"Nothing is built; the Services are switched as soon as its pods are ready."}
	for _, condition := range release.Status.Conditions {
		if condition.Type == v1alpha1.ConditionRollbackReady && kept == latestWarm(release) {
			lines = append(lines, "The operator says: "+condition.Message)
		}
	}
	return lines
}

// planDuration goes by what the latest version took. It is no promise: the log
// has grown since.
func planDuration(release *v1alpha1.NawhasRelease) string {
	live := versionOf(release, release.Status.Live)
	if live == nil {
		return "Nothing was built before, so that nobody knows how long it takes."
	}
	var total time.Duration
	for _, stage := range live.Stages {
		if slices.Contains(v1alpha1.Stages()[:buildingStages], stage.Name) {
			total += stage.Duration.Duration
		}
	}
	return fmt.Sprintf("Steps 1 to %d took %s for version %s. Nothing that serves is touched before the switch.", buildingStages, duration(total), live.Version)
}

// buildingStages is the number of stages that build a database.
const buildingStages = 4

func duration(d time.Duration) string {
	if d >= time.Second {
		d = d.Round(time.Second)
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

func versionOf(release *v1alpha1.NawhasRelease, version string) *v1alpha1.VersionStatus {
	for i := range release.Status.Versions {
		if release.Status.Versions[i].Version == version {
			return &release.Status.Versions[i]
		}
	}
	return nil
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
