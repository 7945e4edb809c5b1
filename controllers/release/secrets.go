package release

import (
	"context"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Secrets reads Secrets without holding those that are nobody's business: of those
// without a release's label only the metadata is watched, and the contents of one
// are read when a release names it.
type Secrets struct {
	// Cached knows the Secrets with a release's label, which are the operator's own,
	// Metadata knows that others exist, and Live is the API server.
	Cached, Metadata, Live client.Reader

	mu   sync.Mutex
	read map[types.NamespacedName]*readSecret
}

// readSecret is a Secret that was read, and what its connection strings say, each
// with the authority that was read with it: all releases of a server name one Secret,
// and each pass asks for it.
type readSecret struct {
	*corev1.Secret
	connections map[connectionText]*connection
}

type connectionText struct{ text, ca string }

// Own reads a Secret that the operator made, or finds that the name is taken.
func (s *Secrets) Own(ctx context.Context, key client.ObjectKey) (*corev1.Secret, error) {
	secret := &corev1.Secret{}
	err := s.Cached.Get(ctx, key, secret)
	if s.Metadata == nil || !apierrors.IsNotFound(err) {
		return secret, err
	}
	return s.Named(ctx, key)
}

// Named reads a Secret that a release names. What was read is kept until the
// Secret changes; it is shared, and must not be changed.
func (s *Secrets) Named(ctx context.Context, key client.ObjectKey) (*corev1.Secret, error) {
	if s.Metadata == nil {
		secret := &corev1.Secret{}
		return secret, s.Cached.Get(ctx, key, secret)
	}
	known := &metav1.PartialObjectMetadata{}
	known.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	if err := s.Metadata.Get(ctx, key, known); err != nil {
		s.forget(key)
		if !apierrors.IsNotFound(err) {
			return &corev1.Secret{}, err
		}
		return s.labelled(ctx, key)
	}
	if kept := s.kept(key); kept != nil && kept.UID == known.UID && kept.ResourceVersion == known.ResourceVersion {
		return kept.Secret, nil
	}
	secret := &corev1.Secret{}
	if err := s.Live.Get(ctx, key, secret); err != nil {
		return secret, err
	}
	s.keep(key, secret)
	return secret, nil
}

// labelled reads a Secret that has a release's label, although people may have made it.
// One whose labels have just changed may be in neither cache.
func (s *Secrets) labelled(ctx context.Context, key client.ObjectKey) (*corev1.Secret, error) {
	secret := &corev1.Secret{}
	err := s.Cached.Get(ctx, key, secret)
	if apierrors.IsNotFound(err) {
		err = s.Live.Get(ctx, key, secret)
	}
	return secret, err
}

// connection takes a connection string apart, once for each Secret that was read.
func (s *Secrets) connection(key types.NamespacedName, text string, ca []byte) (*connection, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept, of := s.read[key], connectionText{text, string(ca)}
	if kept != nil && kept.connections[of] != nil {
		return kept.connections[of].copied(), nil
	}
	conn, err := parseConnection(text, ca)
	if kept == nil || err != nil {
		return conn, err
	}
	if kept.connections == nil {
		kept.connections = map[connectionText]*connection{}
	}
	kept.connections[of] = conn
	return conn.copied(), nil
}

func (s *Secrets) kept(key types.NamespacedName) *readSecret {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.read[key]
}

func (s *Secrets) keep(key types.NamespacedName, secret *corev1.Secret) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.read == nil {
		s.read = map[types.NamespacedName]*readSecret{}
	}
	secret.ManagedFields, secret.Annotations = nil, nil
	s.read[key] = &readSecret{Secret: secret}
}

func (s *Secrets) forget(key types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.read, key)
}
