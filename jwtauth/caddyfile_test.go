package jwtauth

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

func parse(input string) (*Handler, error) {
	handler := new(Handler)
	return handler, handler.UnmarshalCaddyfile(caddyfile.NewTestDispenser(input))
}

func TestCaddyfile(t *testing.T) {
	const source = `"source":"Testfile:1"}`
	for _, test := range []struct{ name, input, want string }{
		{"a secret is enough", "jwt_auth {\n secret {file./etc/jwt.key}\n}", `{"secret":[{"value":"{file./etc/jwt.key}"}],` + source},
		{"several secrets, for rotation, keep their order", "jwt_auth {\n secret {env.NEW}\n issuer x\n secret {env.OLD}\n}",
			`{"secret":[{"value":"{env.NEW}"},{"value":"{env.OLD}"}],"issuer":"x",` + source},
		{"every option has a JSON twin", `jwt_auth {
			secret          {file./etc/jwt.key}
			max_lifetime    2m
			leeway          10s
			issuer          https://idp.example.com
			audience        ollama
			rejected_status 401
		}`, `{"secret":[{"value":"{file./etc/jwt.key}"}],"max_lifetime":120000000000,"leeway":10000000000,` +
			`"issuer":"https://idp.example.com","audience":"ollama","rejected_status":401,` + source},
		{"all that tells who a client is", `jwt_auth {
			secret           x HS512
			public_key       /etc/a.pem
			public_key       /etc/b.pem PS256
			jwks             https://idp.example.com/keys {
				refresh 5m
				ca      /etc/idp.crt
			}
			algorithms       HS512 RS256 PS256
			require          team blue red
			require          scope chat
			require          jti
			bind_certificate required
			replay           once
			models_claim     models
			allow_preflight  on
		}`, `{"secret":[{"value":"x","algorithm":"HS512"}],"public_key":[{"file":"/etc/a.pem"},{"file":"/etc/b.pem","algorithm":"PS256"}],` +
			`"jwks":{"url":"https://idp.example.com/keys","refresh":300000000000,"ca":"/etc/idp.crt"},"algorithms":["HS512","RS256","PS256"],` +
			`"require":[{"claim":"team","values":["blue","red"]},{"claim":"scope","values":["chat"]},{"claim":"jti"}],` +
			`"bind_certificate":"required","replay":"once","models_claim":"models","allow_preflight":true,` + source},
		{"a JWK Set alone is enough", "jwt_auth {\n jwks https://idp.example.com/keys\n}", `{"jwks":{"url":"https://idp.example.com/keys"},` + source},
		{"rejected_status 403 may be written out", "jwt_auth {\n secret x\n rejected_status 403\n}",
			`{"secret":[{"value":"x"}],"rejected_status":403,` + source},
	} {
		t.Run(test.name, func(t *testing.T) {
			handler, err := parse(test.input)
			if err != nil {
				t.Fatal(err)
			}
			got, err := json.Marshal(handler)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != test.want {
				t.Errorf("JSON is\n%s, want\n%s", got, test.want)
			}
		})
	}
}

func TestCaddyfileRefuses(t *testing.T) {
	const secret = "secret {file./etc/jwt.key}\n"
	for _, test := range []struct{ name, input, want string }{
		{"no block", "jwt_auth", "secret"},
		{"an empty block", "jwt_auth {\n}", "secret"},
		{"an argument", "jwt_auth x {\n" + secret + "}", "Testfile:1"},
		{"options without a secret", "jwt_auth {\n issuer x\n}", "secret"},
		{"a secret without value", "jwt_auth {\n secret\n}", "Testfile:2"},
		{"an unknown option", "jwt_auth {\n" + secret + " secrets x\n}", `"secrets", at Testfile:3`},
		{"an option in capitals", "jwt_auth {\n" + secret + " Issuer x\n}", `"Issuer", at Testfile:3`},
		{"jwks without a URL", "jwt_auth {\n jwks\n}", "Testfile:2"},
		{"jwks with an option nobody knows", "jwt_auth {\n jwks https://a {\n x 1\n }\n}", `"x"`},
		{"jwks with refresh twice", "jwt_auth {\n jwks https://a {\n refresh 1m\n refresh 1m\n }\n}", "twice, at Testfile:4"},
		{"jwks with a refresh of nothing", "jwt_auth {\n jwks https://a {\n refresh 0s\n }\n}", `refresh "0s"`},
		{"jwks twice", "jwt_auth {\n jwks https://a\n jwks https://b\n}", "twice, at Testfile:3"},
		{"bind_certificate in a way nobody knows", "jwt_auth {\n" + secret + " bind_certificate on\n}", "off or optional or required"},
		{"replay in a way nobody knows", "jwt_auth {\n" + secret + " replay never\n}", "off or once"},
		{"allow_preflight neither on nor off", "jwt_auth {\n" + secret + " allow_preflight\n}", "Testfile:3"},
		{"require without a claim", "jwt_auth {\n" + secret + " require\n}", "Testfile:3"},
		{"issuer twice", "jwt_auth {\n" + secret + " issuer x\n issuer y\n}", "twice, at Testfile:4"},
		{"leeway twice", "jwt_auth {\n" + secret + " leeway 1s\n leeway 1s\n}", "twice, at Testfile:4"},
		{"issuer without value", "jwt_auth {\n" + secret + " issuer\n}", "Testfile:3"},
		{"issuer with two values", "jwt_auth {\n" + secret + " issuer x y\n}", "Testfile:3"},
		{"audience with two values", "jwt_auth {\n" + secret + " audience x y\n}", "Testfile:3"},
		{"max_lifetime zero", "jwt_auth {\n" + secret + " max_lifetime 0s\n}", `max_lifetime "0s"`},
		{"max_lifetime negative", "jwt_auth {\n" + secret + " max_lifetime -5m\n}", `max_lifetime "-5m"`},
		{"max_lifetime without unit", "jwt_auth {\n" + secret + " max_lifetime 300\n}", `max_lifetime "300"`},
		{"max_lifetime in words", "jwt_auth {\n" + secret + " max_lifetime long\n}", "Testfile:3"},
		{"leeway negative", "jwt_auth {\n" + secret + " leeway -1s\n}", `leeway "-1s"`},
		{"leeway beyond 30s", "jwt_auth {\n" + secret + " leeway 31s\n}", "leeway"},
		{"rejected_status that is no refusal", "jwt_auth {\n" + secret + " rejected_status 200\n}", `"200"`},
		{"rejected_status another refusal", "jwt_auth {\n" + secret + " rejected_status 404\n}", `"404"`},
		{"rejected_status in words", "jwt_auth {\n" + secret + " rejected_status forbidden\n}", `"forbidden"`},
		{"rejected_status negative", "jwt_auth {\n" + secret + " rejected_status -401\n}", `"-401"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := parse(test.input)
			if err == nil {
				t.Fatal("it is accepted")
			}
			if text := err.Error(); !strings.Contains(text, "Testfile:") || !strings.Contains(text, test.want) {
				t.Errorf("the error names not file, line and %q: %v", test.want, text)
			}
		})
	}
}

// As happens with a passphrase without quotes, or with secret {$JWT_SECRET} if
// the variable holds a blank.
func TestCaddyfileErrorsDoNotTellTheSecret(t *testing.T) {
	for _, input := range []string{
		"jwt_auth canary-one",
		"jwt_auth {\n secret canary-one canary-two canary-three\n}",
		"jwt_auth {\n secret canary-one {\n canary-two\n }\n}",
		"jwt_auth {\n secret canary-one\n issuer x y\n}",
		"jwt_auth {\n secret canary-one\n rejected_status 200\n}",
	} {
		_, err := parse(input)
		if err == nil {
			t.Errorf("accepted:\n%s", input)
		} else if strings.Contains(err.Error(), "canary") {
			t.Errorf("the error tells of the secret: %v", err)
		}
	}
}
