// Package manifests renders what the operator can be installed from: the chart
// and the folders of kustomize. It uses Helm's and kustomize's own libraries and
// asks no cluster.
package manifests

import (
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// Namespace and Release are where and under what name the chart is rendered.
const (
	Namespace = "nawhas-operator"
	Release   = "nawhas-operator"
)

// Object is a manifest, as it is written.
type Object map[string]any

// Name is the object's kind, namespace and name, which are its own in a cluster.
func (o Object) Name() string {
	metadata, _ := o["metadata"].(map[string]any)
	namespace, _ := metadata["namespace"].(string)
	name, _ := metadata["name"].(string)
	kind, _ := o["kind"].(string)
	return path.Join(kind, namespace, name)
}

// Chart renders the chart in a folder with values. Values that its schema
// refuses are an error.
func Chart(folder string, values map[string]any) ([]Object, error) {
	return ChartAs(Release, folder, values)
}

// ChartAs is [Chart] for a Helm release of another name.
func ChartAs(release, folder string, values map[string]any) ([]Object, error) {
	chart, err := loader.Load(folder)
	if err != nil {
		return nil, fmt.Errorf("load the chart: %w", err)
	}
	options := common.ReleaseOptions{Name: release, Namespace: Namespace, Revision: 1, IsInstall: true}
	all, err := util.ToRenderValues(chart, values, options, common.DefaultCapabilities)
	if err != nil {
		return nil, fmt.Errorf("check the values: %w", err)
	}
	rendered, err := engine.Render(chart, all)
	if err != nil {
		return nil, fmt.Errorf("render the chart: %w", err)
	}
	var objects []Object
	for _, name := range slices.Sorted(maps.Keys(rendered)) {
		if path.Ext(name) != ".yaml" {
			continue
		}
		found, err := split(rendered[name])
		if err != nil {
			return nil, fmt.Errorf("read what %s renders: %w", name, err)
		}
		objects = append(objects, found...)
	}
	return objects, nil
}

// Kustomize builds a folder, and components with it. All paths are relative to root.
func Kustomize(root, folder string, components ...string) ([]Object, error) {
	files := filesys.MakeFsOnDisk()
	target := path.Join(root, folder)
	if len(components) > 0 {
		overlay, err := overlayOf(root, folder, components)
		if err != nil {
			return nil, err
		}
		defer func() { _ = files.RemoveAll(overlay) }()
		target = overlay
	}
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(files, target)
	if err != nil {
		return nil, fmt.Errorf("build %s: %w", folder, err)
	}
	content, err := built.AsYaml()
	if err != nil {
		return nil, fmt.Errorf("write what %s builds: %w", folder, err)
	}
	return split(string(content))
}

var separator = regexp.MustCompile(`(?m)^---\s*$`)

func split(content string) ([]Object, error) {
	var objects []Object
	for _, document := range separator.Split(content, -1) {
		var object Object
		if err := yaml.Unmarshal([]byte(document), &object); err != nil {
			return nil, fmt.Errorf("read a document: %w", err)
		}
		if len(object) > 0 {
			objects = append(objects, object)
		}
	}
	return objects, nil
}

// YAML writes objects as one file, ordered by their names.
func YAML(objects []Object) (string, error) {
	ordered := slices.Clone(objects)
	slices.SortFunc(ordered, func(a, b Object) int { return strings.Compare(a.Name(), b.Name()) })
	var text strings.Builder
	for _, object := range ordered {
		content, err := yaml.Marshal(object)
		if err != nil {
			return "", fmt.Errorf("write %s: %w", object.Name(), err)
		}
		text.WriteString("---\n")
		text.Write(content)
	}
	return text.String(), nil
}
