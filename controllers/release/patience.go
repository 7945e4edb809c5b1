package release

import (
	"context"
	"fmt"
	"reflect"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/fields"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// cachePatience is how long the cache may take to show an own write. A watch
	// delivers it in milliseconds.
	cachePatience = 5 * time.Second
	// latePatience is that time for a kind that was waited for in vain.
	latePatience = 50 * time.Millisecond
)

// patientClient reads from a cache that shows own writes, and for a bounded time
// waits until it does.
//
// The wait of controller-runtime has no bound, and there are writes that no watch
// ever shows: the answer to the deletion of a Service tells the revision of the
// deletion, and where the API server is started anew before that event is sent, the
// list that follows shows only that the Service is gone. The truth is then asked of
// the API server, which is always as new as the cache has to be.
//
// It is safe for concurrent use as client.Client is.
type patientClient struct {
	client.Client
	live client.Reader
	// patience and latePatience bound a read's wait.
	patience, latePatience time.Duration

	// late has the kinds whose cache did not show a write in time, by type.
	late sync.Map
}

func newPatientClient(cached client.Client, live client.Reader) *patientClient {
	return &patientClient{Client: cached, live: live, patience: cachePatience, latePatience: latePatience}
}

// Get reads an object as client.Reader says.
func (c *patientClient) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	kind := reflect.TypeOf(object)
	return c.read(ctx, kind,
		func(ctx context.Context) error { return c.Client.Get(ctx, key, object, options...) },
		func() error { return c.live.Get(ctx, key, object, options...) })
}

// List reads objects as client.Reader says. A selector of fields is taken for an
// index of the cache, which the API server does not have: what it selects is to be
// said by labels as well.
func (c *patientClient) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	kind := reflect.TypeOf(list)
	return c.read(ctx, kind,
		func(ctx context.Context) error { return c.Client.List(ctx, list, options...) },
		func() error {
			return c.live.List(ctx, list, append(options[:len(options):len(options)], withoutFields{})...)
		})
}

// read takes the cache's answer if it comes in time, and the API server's if not.
func (c *patientClient) read(ctx context.Context, kind reflect.Type, cached func(context.Context) error, live func() error) error {
	patience := c.patience
	_, wasLate := c.late.Load(kind)
	if wasLate {
		patience = c.latePatience
	}
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := cached(waiting)
	if ctx.Err() != nil {
		return err
	}
	if err == nil || waiting.Err() == nil {
		if wasLate {
			c.late.Delete(kind)
		}
		return err
	}
	if _, known := c.late.LoadOrStore(kind, true); !known {
		ctrl.LoggerFrom(ctx).Info("the cache does not show what was written; reading from the API server until it does",
			"kind", kind.Elem().Name(), "waited", patience.String())
	}
	if err := live(); err != nil {
		return fmt.Errorf("read past the cache: %w", err)
	}
	return nil
}

// withoutFields drops the selector of fields.
type withoutFields struct{}

// ApplyToList makes it a client.ListOption.
func (withoutFields) ApplyToList(options *client.ListOptions) {
	options.FieldSelector = fields.Everything()
}
