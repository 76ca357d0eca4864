package token

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
)

// Binding says what a token's binding to a certificate must be.
type Binding string

// The bindings. A token says which certificate it belongs to by its claim
// cnf.x5t#S256 (RFC 8705 section 3.1).
const (
	BindingOff      Binding = "off"      // it is not looked at
	BindingOptional Binding = "optional" // it must be right if there is one
	BindingRequired Binding = "required" // there must be one, and it must be right
)

// Thumbprint is the x5t#S256 of a certificate.
func Thumbprint(certificate *x509.Certificate) string {
	sum := sha256.Sum256(certificate.Raw)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// CheckBinding checks that the token belongs to the certificate with which the client
// has made its connection; nil if it has none. It returns BadBinding or nothing.
func (c Claims) CheckBinding(binding Binding, certificate *x509.Certificate) Fault {
	if binding == BindingOff {
		return ""
	}
	confirmation, present := c["cnf"]
	if !present {
		if binding == BindingRequired {
			return BadBinding
		}
		return ""
	}
	// what else may be in it, such as a DPoP key, cannot be checked here
	methods, _ := confirmation.(map[string]any)
	thumbprint, _ := methods["x5t#S256"].(string)
	if len(methods) != 1 || thumbprint == "" || certificate == nil ||
		subtle.ConstantTimeCompare([]byte(thumbprint), []byte(Thumbprint(certificate))) != 1 {
		return BadBinding
	}
	return ""
}
