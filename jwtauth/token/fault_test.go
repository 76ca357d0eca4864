package token_test

import (
	"testing"

	"github.com/gateway18789/caddy-ollama/jwtauth/token"
)

func TestWhichFaultsAreOfForgedTokens(t *testing.T) {
	for fault, forged := range map[token.Fault]bool{
		token.Malformed: false, token.BadHeader: true, token.BadAlgorithm: true, token.UnknownKey: true, token.BadSignature: true,
		token.BadClaims: false, token.BadSubject: false, token.Expired: false, token.NotYetValid: false, token.TooLong: false,
		token.BadIssuer: false, token.BadAudience: false, token.MissingClaim: false, token.MissingScope: false,
		token.BadBinding: true, token.Replayed: false,
	} {
		if fault.Forged() != forged {
			t.Errorf("%s: forged is %v", fault, !forged)
		}
		if !fault.Known() {
			t.Errorf("%s is not known", fault)
		}
	}
	if fault := token.Fault("invented"); fault.Known() || fault.Forged() {
		t.Error("a fault that does not exist is known")
	}
}
