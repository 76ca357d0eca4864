package token_test

import (
	"crypto/x509"
	"testing"

	"github.com/gateway18789/caddy-ollama/jwtauth/token"
)

func TestBinding(t *testing.T) {
	own, other := &x509.Certificate{Raw: []byte("own")}, &x509.Certificate{Raw: []byte("other")}
	bound := func(cnf any) token.Claims { return token.Claims{"sub": "s", "cnf": cnf} }
	right := bound(map[string]any{"x5t#S256": token.Thumbprint(own)})
	const refused, accepted = token.BadBinding, token.Fault("")
	for _, test := range []struct {
		name               string
		claims             token.Claims
		certificate        *x509.Certificate
		optional, required token.Fault
	}{
		{"the client's own certificate", right, own, accepted, accepted},
		{"another client's, who has stolen the token", right, other, refused, refused},
		{"a client without a certificate", right, nil, refused, refused},
		{"a token that is bound to nothing", token.Claims{"sub": "s"}, own, accepted, refused},
		{"a binding that says nothing", bound(map[string]any{}), own, refused, refused},
		{"a binding that is null", bound(nil), own, refused, refused},
		{"a binding that is no object", bound(token.Thumbprint(own)), own, refused, refused},
		{"a thumbprint that is empty", bound(map[string]any{"x5t#S256": ""}), own, refused, refused},
		{"a thumbprint in another alphabet", bound(map[string]any{"x5t#S256": token.Thumbprint(own) + "="}), own, refused, refused},
		{"a binding to something that cannot be checked here", bound(map[string]any{"jkt": "x"}), own, refused, refused},
		{"one besides the certificate", bound(map[string]any{"x5t#S256": token.Thumbprint(own), "jkt": "x"}), own, refused, refused},
	} {
		t.Run(test.name, func(t *testing.T) {
			for binding, want := range map[token.Binding]token.Fault{
				token.BindingOff: accepted, token.BindingOptional: test.optional, token.BindingRequired: test.required,
			} {
				if got := test.claims.CheckBinding(binding, test.certificate); got != want {
					t.Errorf("%s: got %q, want %q", binding, got, want)
				}
			}
		})
	}
}

// The example of RFC 7515 appendix A is of SHA-1; this is SHA-256 of nothing.
func TestThumbprintIsBase64URLOfTheHash(t *testing.T) {
	if got := token.Thumbprint(&x509.Certificate{}); got != "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU" {
		t.Errorf("got %s", got)
	}
}
