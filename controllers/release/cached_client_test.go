package release

import (
	"context"
	"fmt"
	"reflect"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// cachedClient reads what the manager's cache would have: objects without what
// the cache drops, selected by what it keeps.
type cachedClient struct{ client.Client }

var transforms = func() map[reflect.Type]toolscache.TransformFunc {
	all := map[reflect.Type]toolscache.TransformFunc{}
	for object, options := range CacheOptions(nil).ByObject {
		all[reflect.TypeOf(object)] = options.Transform
	}
	return all
}()

func keptOf(object runtime.Object) error {
	transform := transforms[reflect.TypeOf(object)]
	if transform == nil {
		transform = CacheOptions(nil).DefaultTransform
	}
	_, err := transform(object) // which it changes in place
	return err
}

func (c *cachedClient) Get(ctx context.Context, key client.ObjectKey, object client.Object, opts ...client.GetOption) error {
	if err := c.Client.Get(ctx, key, object, opts...); err != nil {
		return err
	}
	return keptOf(object)
}

func (c *cachedClient) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	if err := c.Client.List(ctx, list, opts...); err != nil {
		return err
	}
	asked := (&client.ListOptions{}).ApplyOptions(opts)
	var kept []runtime.Object
	err := meta.EachListItem(list, func(item runtime.Object) error {
		if err := keptOf(item); err != nil {
			return err
		}
		known, err := meta.Accessor(item)
		if err == nil && (asked.LabelSelector == nil || asked.LabelSelector.Matches(labels.Set(known.GetLabels()))) {
			kept = append(kept, item)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("keep of a list what the cache keeps: %w", err)
	}
	return meta.SetList(list, kept)
}
