package jwtauth

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/standard"
	"github.com/golang-jwt/jwt/v5"

	"github.com/gateway18789/caddy-ollama/jwtauth/token"
)

// inspected is what `caddy jwt inspect` writes, and whether the token would pass.
func inspected(t *testing.T, o inspectOptions, compact string) (string, error) {
	t.Helper()
	if o.maxLifetime == 0 {
		o.maxLifetime = 5 * time.Minute
	}
	var output bytes.Buffer
	err := inspect(&output, o, compact, now)
	for _, secretPart := range []string{secret, oldSecret, compact, signatureOf(compact)} {
		if secretPart != "" && strings.Contains(output.String()+fmt.Sprint(err), secretPart) {
			t.Errorf("it tells %q:\n%s\n%v", secretPart, output.String(), err)
		}
	}
	return output.String(), err
}

func signatureOf(compact string) string { return compact[strings.LastIndexByte(compact, '.')+1:] }

func TestInspectExplainsAToken(t *testing.T) {
	file := writeFile(t, secret)
	compact := mint(t, secret, jwt.MapClaims{"aud": []string{"a", "b"}, "iat": now.Unix() - 50, "exp": now.Unix() + 250, "level": 7, "nbf": now.Unix()})
	output, err := inspected(t, inspectOptions{secretFile: file}, compact)
	want := `header
  alg  "HS256"
  typ  "JWT"
claims
  aud    ["a","b"]
  exp    1800000250  2027-01-15 08:04:10 UTC, in 4m10s
  iat    1799999950  2027-01-15 07:59:10 UTC, 50s ago
  level  7
  nbf    1800000000  2027-01-15 08:00:00 UTC, now
  sub    "clawdbot"
  lives 5m0s
signature
  32 bytes
with this key: it would pass
`
	if output != want || err != nil {
		t.Errorf("it writes\n%s\n%v, want\n%s", output, err, want)
	}
}

func TestInspectSaysWhyATokenWouldBeRefused(t *testing.T) {
	file := writeFile(t, secret)
	certificate := filepath.Join(t.TempDir(), "client.crt")
	certificateFile(t, certificate)
	other := filepath.Join(t.TempDir(), "other.crt")
	certificateFile(t, other)
	bound, err := issue(issueOptions{secretFile: file, subject: "clawdbot", certificate: certificate, ttl: time.Minute}, now)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name    string
		options inspectOptions
		token   string
		want    string
	}{
		{"expired", inspectOptions{}, mint(t, secret, jwt.MapClaims{"iat": now.Unix() - 200, "exp": now.Unix()}), "(expired)"},
		{"leeway", inspectOptions{leeway: time.Second}, mint(t, secret, jwt.MapClaims{"iat": now.Unix() - 200, "exp": now.Unix()}), "it would pass"},
		{"not yet valid", inspectOptions{}, mint(t, secret, jwt.MapClaims{"iat": now.Unix() + 1}), "(not_yet_valid)"},
		{"lives too long", inspectOptions{}, mint(t, secret, jwt.MapClaims{"exp": now.Unix() + 301}), "(lifetime)"},
		{"a longer life is allowed", inspectOptions{maxLifetime: time.Hour}, mint(t, secret, jwt.MapClaims{"exp": now.Unix() + 301}), "it would pass"},
		{"another key", inspectOptions{}, mint(t, oldSecret, nil), "(signature)"},
		{"another algorithm", inspectOptions{}, segments(`{"alg":"ES256"}`, `{}`), "(algorithm)"},
		{"no subject", inspectOptions{}, mint(t, secret, jwt.MapClaims{"sub": nil}), "(subject)"},
		{"the issuer", inspectOptions{issuer: "idp"}, mint(t, secret, jwt.MapClaims{"iss": "idp"}), "it would pass"},
		{"another issuer", inspectOptions{issuer: "idp"}, mint(t, secret, nil), "(issuer)"},
		{"the audience", inspectOptions{audience: "ollama"}, mint(t, secret, jwt.MapClaims{"aud": "ollama"}), "it would pass"},
		{"another audience", inspectOptions{audience: "ollama"}, mint(t, secret, nil), "(audience)"},
		{"bound, without the certificate", inspectOptions{}, bound, "none comes with it; name the client's with --cert (certificate)"},
		{"bound, with another", inspectOptions{certificate: other}, bound, "not bound to the certificate that comes with it (certificate)"},
		{"bound, with the certificate", inspectOptions{certificate: certificate}, bound, "it would pass"},
		{"no token", inspectOptions{}, "canary", "(malformed)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.options.secretFile = file
			output, err := inspected(t, test.options, test.token)
			if !strings.Contains(output, test.want) || (err == nil) != (test.want == "it would pass") {
				t.Errorf("it writes\n%s\n%v, want %s", output, err, test.want)
			}
		})
	}
}

func TestInspectTakesPublicKeys(t *testing.T) {
	private, _ := generated(t, "ed25519")
	other, _ := generated(t, "ed25519")
	compact, err := issue(issueOptions{privateKeyFile: private, subject: "clawdbot", ttl: time.Minute}, now)
	if err != nil {
		t.Fatal(err)
	}
	if output, err := inspected(t, inspectOptions{publicKeyFile: private + ".pub"}, compact); err != nil {
		t.Errorf("it writes\n%s\n%v", output, err)
	}
	if output, err := inspected(t, inspectOptions{publicKeyFile: other + ".pub"}, compact); err == nil || !strings.Contains(output, "(signature)") {
		t.Errorf("with another key it writes\n%s\n%v", output, err)
	}
}

// segments makes a token of a header and claims just as they are written.
func segments(header, claims string) string {
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(header)) + "." + encode([]byte(claims)) + ".c2ln"
}

// What is no sound token may be anything, a secret or an attempt on the terminal.
func TestInspectShowsNothingDangerous(t *testing.T) {
	for _, test := range []struct{ name, token, want string }{
		{"no token", "canary-of-a-secret", "18 bytes and 0 dots"},
		{"nothing", "", "0 bytes and 0 dots"},
		{"a secret with dots", "canary!one.canary!two.canary!three", "not base64url"},
		{"an escape sequence", segments(`{"alg":"HS256"}`, "{\"sub\":\"a\u009b31mb\"}"), `a\u009b31mb`},
		{"a text that is turned", segments(`{"alg":"HS256"}`, "{\"sub\":\"a\u202eb\"}"), `a\u202eb`},
		{"a claim's name with a line break", segments(`{"alg":"HS256"}`, `{"a\nb":1}`), `a\u000ab`},
		{"a value over lines", segments(`{"alg":"HS256"}`, "{\"a\":{\n\"b\":1}}"), `{\u000a"b":1}`},
		{"a name twice", segments(`{"alg":"HS256"}`, `{"sub":"canary","sub":"canary"}`), "not one JSON object"},
		{"no object", segments(`null`, `{}`), "not one JSON object"},
		{"a time that is none", segments(`{"alg":"HS256"}`, `{"exp":1e300,"iat":"now"}`), `exp  1e300`},
		{"a time in milliseconds", segments(`{"alg":"HS256"}`, `{"exp":1800000000000}`), "1800000000000\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			output, err := inspected(t, inspectOptions{secretFile: writeFile(t, secret)}, test.token)
			if err == nil || !strings.Contains(output, test.want) {
				t.Errorf("it writes\n%s\n%v, want %q", output, err, test.want)
			}
			if strings.Contains(output, "canary") || strings.ContainsAny(output, "\u009b\u202e") {
				t.Errorf("it writes\n%q", output)
			}
		})
	}
}

func TestInspectAsksTheHandlersOfACaddyfile(t *testing.T) {
	config := filepath.Join(t.TempDir(), "Caddyfile")
	overwrite(t, config, `
http://:1 {
	route {
		jwt_auth {
			secret {file.`+writeFile(t, secret)+`}
			audience ollama
		}
		respond ok
	}
}
http://:2 {
	handle /private/* {
		jwt_auth {
			secret {file.`+writeFile(t, oldSecret)+`}
			max_lifetime 10s
		}
	}
}
`)
	lines := []string{"jwt_auth at " + config + ":4: ", "jwt_auth at " + config + ":13: "}
	for _, test := range []struct {
		name, token string
		want        [2]string
		passes      bool
	}{
		{"right for the first", mint(t, secret, jwt.MapClaims{"aud": "ollama"}), [2]string{"it would pass", "refused, no key here has signed it (signature)"}, true},
		{"right for the second", mint(t, oldSecret, jwt.MapClaims{"exp": now.Unix() + 10}), [2]string{"refused, no key here has signed it (signature)", "it would pass"}, true},
		{"right for none", mint(t, oldSecret, nil), [2]string{"refused, no key here has signed it (signature)", "(lifetime)"}, false},
		{"of another audience", mint(t, secret, nil), [2]string{"(audience)", "(signature)"}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			output, err := inspected(t, inspectOptions{config: config}, test.token)
			if (err == nil) != test.passes {
				t.Errorf("error %v", err)
			}
			for i, line := range lines {
				_, rest, found := strings.Cut(output, line)
				if verdict, _, _ := strings.Cut(rest, "\n"); !found || !strings.HasSuffix(verdict, test.want[i]) {
					t.Errorf("it does not write %s%s:\n%s", line, test.want[i], output)
				}
			}
		})
	}
}

// All that jwt_auth checks besides the token's own soundness is asked for, too.
func TestInspectKnowsAllOptionsOfAHandler(t *testing.T) {
	file := writeFile(t, secret)
	certificate := filepath.Join(t.TempDir(), "client.crt")
	certificateFile(t, certificate)
	other := filepath.Join(t.TempDir(), "other.crt")
	certificateFile(t, other)
	config := filepath.Join(t.TempDir(), "Caddyfile")
	site := " {\n jwt_auth {\n secret {file." + file + "}\n replay once\n require scope chat\n bind_certificate required\n }\n}\n"
	overwrite(t, config, "http://:1"+site+"http://:2"+site)
	issued := func(claim, certificate, id string) string {
		compact, err := issue(issueOptions{secretFile: file, subject: "clawdbot", ttl: time.Minute,
			claims: []string{claim}, certificate: certificate, id: id}, now)
		if err != nil {
			t.Fatal(err)
		}
		return compact
	}
	withoutID := mint(t, secret, jwt.MapClaims{"scope": "chat", "cnf": payloadOf(t, issued("scope=chat", certificate, ""))["cnf"]})
	for _, test := range []struct{ name, token, certificate, want string }{
		{"with everything, it passes both", issued("scope=chat", certificate, ""), certificate, "it would pass"},
		{"without the scope", issued("scope=embed", certificate, ""), certificate, "(scope)"},
		{"with another certificate", issued("scope=chat", certificate, ""), other, "(certificate)"},
		{"without a certificate", issued("scope=chat", certificate, ""), "", "none comes with it; name the client's with --cert (certificate)"},
		{"not bound, with a certificate", issued("scope=chat", "", ""), certificate, "not bound to the certificate that comes with it (certificate)"},
		{"without a jti", withoutID, certificate, "(claim)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			output, err := inspected(t, inspectOptions{config: config, certificate: test.certificate}, test.token)
			if n := strings.Count(output, test.want); n != 2 || (err == nil) != (test.want == "it would pass") {
				t.Errorf("%d of 2 say %q:\n%s\n%v", n, test.want, output, err)
			}
		})
	}
}

func TestEveryFaultIsPutInWords(t *testing.T) {
	for _, fault := range token.Faults() {
		if faultsInWords[fault] == "" {
			t.Errorf("%s is not", fault)
		}
	}
}

func TestInspectTakesAConfigurationInJSON(t *testing.T) {
	config := filepath.Join(t.TempDir(), "caddy.json")
	handler := `{"handler":"subroute","routes":[{"handle":[{"handler":"jwt_auth","secret":[{"value":"` + secret + `"}]}]}]}`
	overwrite(t, config, `{"apps":{"http":{"servers":{"s":{"routes":[{"handle":[`+handler+`]}]}}}}}`)
	output, err := inspected(t, inspectOptions{config: config}, mint(t, secret, nil))
	if err != nil || !strings.Contains(output, "jwt_auth: it would pass") {
		t.Errorf("it writes\n%s\n%v", output, err)
	}
}

func TestInspectRefuses(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		file := filepath.Join(dir, name)
		overwrite(t, file, content)
		return file
	}
	key := writeFile(t, secret)
	for _, test := range []struct {
		name    string
		options inspectOptions
		want    string
	}{
		{"nobody to ask", inspectOptions{}, "--config"},
		{"two to ask", inspectOptions{config: key, secretFile: key}, "one of"},
		{"a configuration that is not there", inspectOptions{config: filepath.Join(dir, "missing")}, "missing"},
		{"a Caddyfile without jwt_auth", inspectOptions{config: write("Caddyfile", "http://:1 {\n respond ok\n}")}, "no jwt_auth"},
		{"a Caddyfile that is none", inspectOptions{config: write("x.Caddyfile", "{")}, "x.Caddyfile"},
		{"a JSON that is none", inspectOptions{config: write("x.json", "{")}, "x.json"},
		{"a jwt_auth whose secret is missing", inspectOptions{config: write("y.Caddyfile",
			"http://:1 {\n jwt_auth {\n secret {env.CADDY_OLLAMA_TEST_UNSET}\n }\n}")}, "y.Caddyfile:2"},
		{"a secret that is too short", inspectOptions{secretFile: write("short.key", "canary")}, "6 bytes"},
		{"a public key that is none", inspectOptions{publicKeyFile: key}, key},
		{"a public key that is not there", inspectOptions{publicKeyFile: filepath.Join(dir, "missing")}, "missing"},
		{"a certificate that is none", inspectOptions{secretFile: key, certificate: key}, "no certificate"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := inspected(t, test.options, mint(t, secret, nil))
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "canary") {
				t.Errorf("error %v, want it to say %q", err, test.want)
			}
		})
	}
}

func TestInspectCommandReadsTheTokenWhereItIs(t *testing.T) {
	file := writeFile(t, secret)
	compact, err := issue(issueOptions{secretFile: file, subject: "clawdbot", ttl: time.Minute}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		stdin  string
		args   []string
		passes bool
	}{
		{compact + "\n", nil, true},
		{compact, []string{"-"}, true},
		{"", []string{compact}, true},
		{"", nil, false},
		{compact + " " + compact, nil, false},
		{"", []string{compact, compact}, false},
	} {
		cmd := inspectCommand()
		cmd.SetArgs(append(test.args, "--secret-file", file))
		cmd.SetIn(strings.NewReader(test.stdin))
		cmd.SetOut(io.Discard)
		cmd.SetErr(io.Discard)
		if err := cmd.Execute(); (err == nil) != test.passes {
			t.Errorf("with %d arguments and %d bytes of input: %v", len(test.args), len(test.stdin), err)
		}
	}
}
