package jwtauth

import (
	"encoding/json"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestAnIssuedTokenIsLetIn(t *testing.T) {
	file := writeFile(t, secret+"\n")
	handler := newHandler(t, Handler{})
	for _, ttl := range []time.Duration{time.Second, time.Minute, 5 * time.Minute} {
		compact, err := issue(issueOptions{secretFile: file, subject: "clawdbot", ttl: ttl}, now)
		if err != nil {
			t.Fatal(err)
		}
		a := ask(t, handler, "Bearer "+compact)
		if a.err != nil || a.record.UserID != "clawdbot" {
			t.Errorf("ttl %v: %v, user %q", ttl, a.err, a.record.UserID)
		}
	}
	compact, err := issue(issueOptions{secretFile: file, subject: "clawdbot", ttl: 5*time.Minute + time.Second}, now)
	if err != nil {
		t.Fatal(err)
	}
	if a := ask(t, handler, "Bearer "+compact); a.record.Reason != "bad_token:lifetime" {
		t.Errorf("ttl 5m1s: the record's reason is %q, want bad_token:lifetime", a.record.Reason)
	}
}

func TestAnIssuedTokenSaysWhatWasAskedFor(t *testing.T) {
	file := writeFile(t, secret)
	certificate := filepath.Join(t.TempDir(), "client.crt")
	der := certificateFile(t, certificate)
	for _, test := range []struct {
		name    string
		options issueOptions
		want    string // but for jti and cnf
	}{
		{"a subject is enough", issueOptions{}, `{"exp":1800000060,"iat":1800000000,"sub":"clawdbot"}`},
		{"issuer and audience", issueOptions{issuer: "a", audience: []string{"b"}},
			`{"aud":"b","exp":1800000060,"iat":1800000000,"iss":"a","sub":"clawdbot"}`},
		{"several audiences", issueOptions{audience: []string{"b", "c"}},
			`{"aud":["b","c"],"exp":1800000060,"iat":1800000000,"sub":"clawdbot"}`},
		{"claims in JSON, and texts", issueOptions{claims: []string{
			"level=12345678901234567", `models=["a","b"]`, "scope=chat embed", "equation=a=b", "brace={x}", `quoted="7"`, "empty="}},
			`{"brace":"{x}","empty":"","equation":"a=b","exp":1800000060,"iat":1800000000,"level":12345678901234567,` +
				`"models":["a","b"],"quoted":"7","scope":"chat embed","sub":"clawdbot"}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := test.options
			o.secretFile, o.subject, o.ttl = file, "clawdbot", time.Minute
			first, err := issue(o, now)
			if err != nil {
				t.Fatal(err)
			}
			o.id, o.certificate, o.keyID = "my-id", certificate, "my-key"
			second, err := issue(o, now)
			if err != nil {
				t.Fatal(err)
			}
			if header := parsed(t, second, []byte(secret)).Header; header["kid"] != "my-key" {
				t.Errorf("the header is %v", header)
			}
			claims := payloadOf(t, second)
			if got, want := string(claims["cnf"]), boundTo(der); got != want {
				t.Errorf("cnf is %s, want %s", got, want)
			}
			if got := string(claims["jti"]); got != `"my-id"` {
				t.Errorf("jti is %s", got)
			}
			if got := payloadOf(t, first)["jti"]; len(got) < 22 {
				t.Errorf("the jti of its own is %s", got)
			}
			delete(claims, "cnf")
			delete(claims, "jti")
			if got, err := json.Marshal(claims); err != nil || string(got) != test.want {
				t.Errorf("claims are\n%s, want\n%s", got, test.want)
			}
		})
	}
}

func TestIssueSignsWithEveryKindOfKey(t *testing.T) {
	long := writeFile(t, secret+oldSecret)
	for _, test := range []struct{ kind, algorithm, want string }{
		{"", "", "HS256"}, {"", "HS512", "HS512"},
		{"rsa", "", "RS256"}, {"rsa", "PS512", "PS512"}, {"es256", "", "ES256"}, {"es384", "ES384", "ES384"},
		{"es512", "", "ES512"}, {"ed25519", "", "EdDSA"}, {"ed25519", "Ed25519", "EdDSA"},
		// keygen's names of types are written small
		{"", "hs512", "HS512"}, {"rsa", "ps512", "PS512"}, {"es384", "Es384", "ES384"}, {"ed25519", "ed25519", "EdDSA"}, {"ed25519", "eddsa", "EdDSA"},
	} {
		o := issueOptions{secretFile: long, algorithm: test.algorithm, subject: "clawdbot", ttl: time.Minute}
		public := any([]byte(secret + oldSecret))
		if test.kind != "" {
			o.secretFile = ""
			o.privateKeyFile, public = generated(t, test.kind)
		}
		compact, err := issue(o, now)
		if err != nil {
			t.Errorf("%s %s: %v", test.kind, test.algorithm, err)
			continue
		}
		if got := parsed(t, compact, public).Method.Alg(); got != test.want {
			t.Errorf("%s %s: it is signed with %s", test.kind, test.algorithm, got)
		}
	}
}

func TestIssueRefuses(t *testing.T) {
	file := writeFile(t, secret)
	rsaFile, _ := generated(t, "rsa")
	missing := filepath.Join(t.TempDir(), "missing.key")
	good := issueOptions{secretFile: file, subject: "clawdbot", ttl: time.Minute}
	with := func(change func(*issueOptions)) issueOptions {
		o := good
		change(&o)
		return o
	}
	for _, test := range []struct {
		name    string
		options issueOptions
		want    string
	}{
		{"no key", with(func(o *issueOptions) { o.secretFile = "" }), "--secret-file"},
		{"two keys", with(func(o *issueOptions) { o.privateKeyFile = rsaFile }), "one key"},
		{"no subject", with(func(o *issueOptions) { o.subject = "" }), "--sub"},
		{"no life", with(func(o *issueOptions) { o.ttl = 0 }), "--ttl"},
		{"a negative life", with(func(o *issueOptions) { o.ttl = -time.Minute }), "--ttl"},
		{"a life of less than a second, which rounds to none", with(func(o *issueOptions) { o.ttl = 999 * time.Millisecond }), "--ttl"},
		{"a secret's file that does not exist", with(func(o *issueOptions) { o.secretFile = missing }), "missing.key"},
		{"a secret too short", with(func(o *issueOptions) { o.secretFile = writeFile(t, "canary-short") }), "12 bytes"},
		{"a life that no jwt_auth allows", with(func(o *issueOptions) { o.ttl = 24*time.Hour + time.Second }), "24h"},
		{"an algorithm that is none", with(func(o *issueOptions) { o.algorithm = "hs1" }), "hs1 takes no secret"},
		{"an empty file", with(func(o *issueOptions) { o.secretFile = writeFile(t, "") }), "0 bytes"},
		{"a secret for an algorithm that takes none", with(func(o *issueOptions) { o.algorithm = "ES256" }), "ES256"},
		{"a private key's file that does not exist", with(func(o *issueOptions) { o.secretFile, o.privateKeyFile = "", missing }), "missing.key"},
		{"a private key that is a secret", with(func(o *issueOptions) { o.secretFile, o.privateKeyFile = "", file }), file},
		{"a private key of another algorithm", with(func(o *issueOptions) { o.secretFile, o.privateKeyFile, o.algorithm = "", rsaFile, "EdDSA" }), "EdDSA"},
		{"a subject of blanks", with(func(o *issueOptions) { o.subject = "  " }), "its sub"},
		{"a subject with a control character", with(func(o *issueOptions) { o.subject = "a\x1b[31m" }), "its sub"},
		{"a subject that is too long", with(func(o *issueOptions) { o.subject = strings.Repeat("x", 257) }), "its sub"},
		{"a key ID with a line break", with(func(o *issueOptions) { o.keyID = "a\nb" }), "its header"},
		{"a token of more than 8 KiB", with(func(o *issueOptions) { o.issuer = strings.Repeat("x", 7000) }), "8 KiB"},
		{"a token that is not valid yet", with(func(o *issueOptions) { o.claims = []string{"nbf=1800000100"} }), "not valid yet"},
		{"a claim without value", with(func(o *issueOptions) { o.claims = []string{"scope"} }), "name=value"},
		{"a claim without name", with(func(o *issueOptions) { o.claims = []string{"=chat"} }), "name=value"},
		{"a claim twice", with(func(o *issueOptions) { o.claims = []string{"a=1", "a=2"} }), "twice"},
		{"a claim that has an option", with(func(o *issueOptions) { o.claims = []string{"sub=admin"} }), "claim sub"},
		{"a claim that is broken JSON", with(func(o *issueOptions) { o.claims = []string{`a={"b":1`} }), "begins like JSON"},
		{"a claim with a name twice", with(func(o *issueOptions) { o.claims = []string{`a={"b":1,"b":2}`} }), "begins like JSON"},
		{"a certificate that is none", with(func(o *issueOptions) { o.certificate = file }), "no certificate"},
	} {
		t.Run(test.name, func(t *testing.T) {
			compact, err := issue(test.options, now)
			if err == nil || compact != "" {
				t.Fatalf("issued %q, error %v", compact, err)
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("the error does not say %q: %v", test.want, err)
			}
			if strings.Contains(err.Error(), "canary") {
				t.Errorf("the error tells the secret: %v", err)
			}
		})
	}
}

func TestIssueCommandPrintsTheTokenAndNothingElse(t *testing.T) {
	output := stdoutOf(t, "--secret-file", writeFile(t, secret), "--sub", "clawdbot", "--ttl", "10m", "--aud", "a", "--aud", "b", "--claim", "x=1")
	compact, rest, _ := strings.Cut(output, "\n")
	handler := newHandler(t, Handler{Audience: "b", MaxLifetime: 600e9})
	handler.now = time.Now
	if a := ask(t, handler, "Bearer "+compact); a.err != nil || rest != "" {
		t.Errorf("output is %q: %v; want a token and a line break", output, a.err)
	}
}

func TestIssueCommandRefuses(t *testing.T) {
	for _, args := range [][]string{
		{}, {"--sub", "clawdbot"}, {"--secret-file", writeFile(t, secret)}, {"clawdbot"}, {"--subject", "clawdbot"},
		{"--secret-file", writeFile(t, secret), "--sub", "clawdbot", "--ttl", "300"},
	} {
		cmd := issueCommand()
		cmd.SetArgs(args)
		cmd.SetOut(io.Discard)
		cmd.SetErr(io.Discard)
		if err := cmd.Execute(); err == nil {
			t.Errorf("%q is accepted", args)
		}
	}
}

// A token that lives longer than jwt_auth allows by default may be what is wanted; who
// did not want it learns what to do.
func TestIssueTellsWhatALongLifeNeeds(t *testing.T) {
	for ttl, want := range map[time.Duration]string{
		5 * time.Minute:             "",
		5*time.Minute + time.Second: "note: only a jwt_auth with `max_lifetime 5m1s` or more lets this token pass; the default is 5m",
		61 * time.Minute:            "note: only a jwt_auth with `max_lifetime 1h1m0s` or more lets this token pass; the default is 5m",
	} {
		if got := noteOn(ttl); got != want {
			t.Errorf("%v: %q, want %q", ttl, got, want)
		}
	}
}
