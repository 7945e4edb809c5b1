package versiondb

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
)

const (
	scramIterations = 4096
	scramSaltBytes  = 16
	passwordBytes   = 32
)

// NewPassword makes a random password of 256 bits, safe in URLs.
func NewPassword() string {
	secret := make([]byte, passwordBytes)
	_, _ = rand.Read(secret) // never fails since Go 1.24
	return base64.RawURLEncoding.EncodeToString(secret)
}

// scramVerifier is what Postgres stores of a password for SCRAM-SHA-256 (RFC
// 5803). Sending it instead of the password keeps the password out of the
// server's log, whatever it logs.
func scramVerifier(password string) (string, error) {
	salt := make([]byte, scramSaltBytes)
	_, _ = rand.Read(salt) // never fails since Go 1.24
	salted, err := pbkdf2.Key(sha256.New, password, salt, scramIterations, sha256.Size)
	if err != nil {
		return "", fmt.Errorf("derive a key from a password: %w", err)
	}
	stored := sha256.Sum256(keyed(salted, "Client Key"))
	server := keyed(salted, "Server Key")
	encode := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", scramIterations, encode(salt), encode(stored[:]), encode(server)), nil
}

func keyed(key []byte, message string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(message))
	return mac.Sum(nil)
}
