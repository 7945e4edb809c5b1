package release

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/nawhas/nawhas-operator/api/v1alpha1"
	"github.com/nawhas/nawhas-operator/internal/ledger"
	"github.com/nawhas/nawhas-operator/internal/versiondb"
)

// The two kinds of credentials of a version.
const (
	ownerSide = "owner"
	appSide   = "app"
)

const (
	passwordKey      = "password"
	databaseUser     = "NAWHAS_DATABASE_USER"
	databasePassword = "NAWHAS_DATABASE_PASSWORD"

	sourceCAKey     = "source-ca.crt"
	databasesCAKey  = "databases-ca.crt"
	certificatesDir = "/etc/nawhas/tls"
)

// credentials are what pods of one role connect with: a Secret whose keys are
// the NAWHAS_ variables of the pods.
type credentials struct {
	secret string
	role   string
	// login is who the password belongs to: the role, or a login that becomes it.
	login    string
	password string
	data     map[string][]byte
}

// digest changes when pods must be replaced to connect again.
func (c *credentials) digest() string {
	keys := make([]string, 0, len(c.data))
	for key := range c.data {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	sum := sha256.New()
	for _, key := range keys {
		fmt.Fprintf(sum, "%s\x00%s\x00", key, c.data[key])
	}
	return hex.EncodeToString(sum.Sum(nil)[:8])
}

// loadCredentials reads the password of the version's Secret, or makes one,
// and renders what the Secret should hold.
func (r *Reconciler) loadCredentials(ctx context.Context, s *scope, v *ledger.Version, side string) (*credentials, error) {
	c := &credentials{secret: objectName(s.release.Name, v.Version, side), role: v.OwnerRole}
	if side == appSide {
		c.role = v.AppRole
	}
	existing, err := r.Secrets.Own(ctx, client.ObjectKey{Namespace: s.release.Namespace, Name: c.secret})
	if client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("read Secret %s: %w", c.secret, err)
	}
	if err == nil && !s.owns(existing) {
		return nil, &foreignObjectError{kind: "Secret", name: c.secret}
	}
	if c.password = string(existing.Data[passwordKey]); c.password == "" {
		c.password = versiondb.NewPassword()
	}
	c.login = c.role
	if side == appSide {
		c.login = loginOf(v, existing, c.password)
	}
	c.data = s.variables(v, c.login, c.password)
	return c, nil
}

// loginOf decides who the password of a version's pods belongs to. The first one
// is that of the app role itself. Another one gets a login of its own: pods
// that know the old one must be able to connect until they are replaced. The
// follower needs none, because no client waits for it, and its pods take turns.
func loginOf(v *ledger.Version, secret *corev1.Secret, password string) string {
	own := versiondb.LoginOf(v.AppRole, password)
	known := string(secret.Data[databaseUser])
	switch {
	case !v.Passed(v1alpha1.ConditionDatabaseReady):
		return v.AppRole
	case string(secret.Data[databasePassword]) == password && (known == v.AppRole || known == own):
		return known
	}
	return own
}

// variables are the contents of a Secret: the NAWHAS_ variables, and what
// cannot be a variable.
func (s *scope) variables(v *ledger.Version, login, password string) map[string][]byte {
	data := map[string][]byte{passwordKey: []byte(password)}
	put := func(prefix string, c *connection, database, caKey string) {
		for name, value := range map[string]string{
			"URL": c.podURL(login, password, database, certificatesDir+"/"+caKey), "HOST": c.host(), "PORT": c.port(),
			"NAME": database, "USER": login, "PASSWORD": password,
		} {
			data[prefix+name] = []byte(value)
		}
		if len(c.ca) > 0 {
			data[caKey] = c.ca
		}
	}
	put("NAWHAS_DATABASE_", s.databases, v.Database, databasesCAKey)
	put("NAWHAS_SOURCE_", s.source, s.source.database(), sourceCAKey)
	return data
}

// applyCredentials writes the Secret. The password is in the Secret before any
// server knows it, so that a crash in between loses nothing.
func (r *Reconciler) applyCredentials(ctx context.Context, s *scope, v *ledger.Version, c *credentials) error {
	secret := &corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: s.objectMeta(c.secret, map[string]string{v1alpha1.LabelVersion: v.Version}),
		Type:       corev1.SecretTypeOpaque,
		Data:       c.data,
	}
	return r.converge(ctx, s, secret, &corev1.Secret{})
}
