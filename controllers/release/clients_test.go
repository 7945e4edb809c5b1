package release

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// countingClient notes every write.
type countingClient struct {
	client.Client
	writes []string
}

func (c *countingClient) note(verb string, object any) {
	c.writes = append(c.writes, fmt.Sprintf("%s %T", verb, object))
}

func (c *countingClient) Apply(ctx context.Context, obj runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
	c.note("apply", obj)
	return c.Client.Apply(ctx, obj, opts...)
}

func (c *countingClient) Patch(ctx context.Context, obj client.Object, patch client.Patch, opts ...client.PatchOption) error {
	c.note("patch", obj)
	return c.Client.Patch(ctx, obj, patch, opts...)
}

func (c *countingClient) Delete(ctx context.Context, obj client.Object, opts ...client.DeleteOption) error {
	c.note("delete", obj)
	return c.Client.Delete(ctx, obj, opts...)
}

func (c *countingClient) Status() client.SubResourceWriter {
	return &countingStatus{c.Client.Status(), c}
}

type countingStatus struct {
	client.SubResourceWriter
	counter *countingClient
}

func (s *countingStatus) Patch(ctx context.Context, obj client.Object, patch client.Patch, opts ...client.SubResourcePatchOption) error {
	s.counter.note("patch status of", obj)
	return s.SubResourceWriter.Patch(ctx, obj, patch, opts...)
}

var errCrash = errors.New("the operator ended here")

// crashingClient lets a number of writes pass and then none, as if the process
// had ended: right before the write, or right after it.
type crashingClient struct {
	client.Client
	left  int
	after bool
	dead  bool
}

func (c *crashingClient) write(do func() error) error {
	if c.dead {
		return errCrash
	}
	if c.left--; c.left >= 0 {
		return do()
	}
	c.dead = true
	if c.after {
		_ = do()
	}
	return errCrash
}

func (c *crashingClient) Apply(ctx context.Context, obj runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
	return c.write(func() error { return c.Client.Apply(ctx, obj, opts...) })
}

func (c *crashingClient) Patch(ctx context.Context, obj client.Object, patch client.Patch, opts ...client.PatchOption) error {
	return c.write(func() error { return c.Client.Patch(ctx, obj, patch, opts...) })
}

func (c *crashingClient) Delete(ctx context.Context, obj client.Object, opts ...client.DeleteOption) error {
	return c.write(func() error { return c.Client.Delete(ctx, obj, opts...) })
}

func (c *crashingClient) Status() client.SubResourceWriter {
	return &crashingStatus{c.Client.Status(), c}
}

type crashingStatus struct {
	client.SubResourceWriter
	crash *crashingClient
}

func (s *crashingStatus) Patch(ctx context.Context, obj client.Object, patch client.Patch, opts ...client.SubResourcePatchOption) error {
	return s.crash.write(func() error { return s.SubResourceWriter.Patch(ctx, obj, patch, opts...) })
}
