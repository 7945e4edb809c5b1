package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"time"
)

const (
	keyBits  = 2048
	validity = 365 * 24 * time.Hour
)

// authority signs the certificates of one node and forgets its key.
type authority struct {
	home        layout
	certificate *x509.Certificate
	key         *rsa.PrivateKey
	pem         []byte
}

// subject is who a certificate speaks for: Kubernetes reads the user from the
// common name and the groups from the organizations.
type subject struct {
	file, user, group string
	addresses         []string
}

var subjects = []subject{
	{file: "apiserver", user: "kube-apiserver", addresses: []string{nodeAddress, apiService, "127.0.0.1"}},
	{file: "apiserver-kubelet", user: "kube-apiserver-kubelet", group: "system:masters"},
	{file: "admin", user: "admin", group: "system:masters"},
	{file: "controller-manager", user: "system:kube-controller-manager"},
	{file: "scheduler", user: "system:kube-scheduler"},
	{file: "kube-proxy", user: "system:kube-proxy"},
	{file: "kubelet", user: "system:node:" + nodeName, group: "system:nodes", addresses: []string{nodeAddress}},
}

// makePKI writes all certificates, keys and kubeconfigs, once.
func makePKI(home layout) error {
	done := home.path("pki", "complete")
	if _, err := os.Stat(done); err == nil {
		return nil
	}
	ca, err := newAuthority(home)
	if err != nil {
		return fmt.Errorf("make the certificates: %w", err)
	}
	for _, s := range subjects {
		if err := ca.issue(s); err != nil {
			return fmt.Errorf("make the certificate of %s: %w", s.user, err)
		}
	}
	if err := ca.serviceAccountKey(); err != nil {
		return fmt.Errorf("make the key of service accounts: %w", err)
	}
	return os.WriteFile(done, nil, 0o600)
}

func newAuthority(home layout) (*authority, error) {
	key, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "nawhas local node " + home.id},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(validity),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	ca := &authority{home: home, certificate: certificate, key: key, pem: encode("CERTIFICATE", der)}
	return ca, os.WriteFile(home.path("pki", "ca.crt"), ca.pem, 0o600)
}

// issue writes the certificate, its key and a kubeconfig that uses both.
func (a *authority) issue(s subject) error {
	key, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: s.user},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(validity),
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	if s.group != "" {
		template.Subject.Organization = []string{s.group}
	}
	for _, address := range s.addresses {
		template.IPAddresses = append(template.IPAddresses, net.ParseIP(address))
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		return err
	}
	certificate, private := encode("CERTIFICATE", der), encode("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key))
	for name, content := range map[string][]byte{".crt": certificate, ".key": private, ".kubeconfig": a.kubeconfig(certificate, private)} {
		if err := os.WriteFile(a.home.path("pki", s.file+name), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (a *authority) kubeconfig(certificate, key []byte) []byte {
	return fmt.Appendf(nil, `apiVersion: v1
kind: Config
current-context: nawhas
clusters:
- {name: nawhas, cluster: {server: "https://%s:6443", certificate-authority-data: %s}}
users:
- {name: nawhas, user: {client-certificate-data: %s, client-key-data: %s}}
contexts:
- {name: nawhas, context: {cluster: nawhas, user: nawhas}}
`, nodeAddress, base64.StdEncoding.EncodeToString(a.pem),
		base64.StdEncoding.EncodeToString(certificate), base64.StdEncoding.EncodeToString(key))
}

// serviceAccountKey writes the pair that signs and checks the tokens of pods.
func (a *authority) serviceAccountKey() error {
	key, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	if err := os.WriteFile(a.home.path("pki", "sa.pub"), encode("PUBLIC KEY", public), 0o600); err != nil {
		return err
	}
	return os.WriteFile(a.home.path("pki", "sa.key"), encode("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key)), 0o600)
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
