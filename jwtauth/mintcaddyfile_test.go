package jwtauth

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

func parseMinter(input string) (*Minter, error) {
	m := new(Minter)
	return m, m.UnmarshalCaddyfile(caddyfile.NewTestDispenser(input))
}

func TestMintCaddyfile(t *testing.T) {
	const source = `,"source":"Testfile:1"}`
	for _, test := range []struct{ name, input, want string }{
		{"a secret and a subject are enough", "jwt_mint {\n secret {file./etc/jwt.key}\n sub clawdbot\n}",
			`{"secret":{"value":"{file./etc/jwt.key}"},"sub":"clawdbot"` + source},
		{"a private key", "jwt_mint {\n private_key /etc/jwt.pem Ed25519\n sub clawdbot\n}",
			`{"private_key":{"file":"/etc/jwt.pem","algorithm":"Ed25519"},"sub":"clawdbot"` + source},
		{"every option has a JSON twin", "jwt_mint {" + `
			secret      "with blanks" HS512
			key_id      2026-11
			sub         clawdbot
			iss         https://bot.example.com
			aud         ollama vllm
			ttl         2m
			reuse       30s
			certificate /etc/client.crt
			claim       scope "chat embed"
			claim       level 7
			claim       models ` + "`" + `["a", "b"]` + "`" + `
			claim       team {env.TEAM}
		}`, `{"secret":{"value":"with blanks","algorithm":"HS512"},"key_id":"2026-11","sub":"clawdbot",` +
			`"iss":"https://bot.example.com","aud":["ollama","vllm"],"ttl":120000000000,"reuse":30000000000,` +
			`"certificate":"/etc/client.crt","claim":{"level":7,"models":["a","b"],"scope":"chat embed","team":"{env.TEAM}"}` + source},
	} {
		t.Run(test.name, func(t *testing.T) {
			m, err := parseMinter(test.input)
			if err != nil {
				t.Fatal(err)
			}
			got, err := json.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != test.want {
				t.Errorf("JSON is\n%s, want\n%s", got, test.want)
			}
		})
	}
}

func TestMintCaddyfileRefuses(t *testing.T) {
	for _, test := range []struct{ name, input, want string }{
		{"an argument", "jwt_mint x {\n sub x\n}", "Testfile:1"},
		{"an unknown option", "jwt_mint {\n subject x\n}", `"subject", at Testfile:2`},
		{"an option in capitals", "jwt_mint {\n Sub x\n}", `"Sub", at Testfile:2`},
		{"sub twice", "jwt_mint {\n sub x\n sub y\n}", "twice, at Testfile:3"},
		{"two secrets", "jwt_mint {\n secret x\n secret y\n}", "twice, at Testfile:3"},
		{"aud twice, which takes several", "jwt_mint {\n aud x\n aud y\n}", "twice, at Testfile:3"},
		{"sub without value", "jwt_mint {\n sub\n}", "Testfile:2"},
		{"an empty sub", "jwt_mint {\n sub \"\"\n}", "Testfile:2"},
		{"sub with two values", "jwt_mint {\n sub x y\n}", "Testfile:2"},
		{"sub with a block", "jwt_mint {\n sub x {\n y\n }\n}", "sub takes no block"},
		{"iss with two values", "jwt_mint {\n iss x y\n}", "Testfile:2"},
		{"key_id without value", "jwt_mint {\n key_id\n}", "Testfile:2"},
		{"certificate without value", "jwt_mint {\n certificate\n}", "Testfile:2"},
		{"aud without value", "jwt_mint {\n aud\n}", "Testfile:2"},
		{"an empty aud", "jwt_mint {\n aud x \"\"\n}", "Testfile:2"},
		{"secret without value", "jwt_mint {\n secret\n}", "Testfile:2"},
		{"an empty secret", "jwt_mint {\n secret \"\"\n}", "Testfile:2"},
		{"private_key without value", "jwt_mint {\n private_key\n}", "Testfile:2"},
		{"private_key with an algorithm that is none", "jwt_mint {\n private_key x none\n}", "no algorithm"},
		{"ttl without unit", "jwt_mint {\n ttl 300\n}", `ttl "300"`},
		{"ttl zero", "jwt_mint {\n ttl 0s\n}", `ttl "0s"`},
		{"ttl twice in a line", "jwt_mint {\n ttl 1m 2m\n}", "Testfile:2"},
		{"a negative reuse", "jwt_mint {\n reuse -1s\n}", `reuse "-1s"`},
		{"claim without value", "jwt_mint {\n claim scope\n}", "Testfile:2"},
		{"claim with two values", "jwt_mint {\n claim scope chat embed\n}", "quotes"},
		{"a claim twice", "jwt_mint {\n claim a 1\n claim a 2\n}", "claim a is given twice"},
		{"a claim that is broken JSON", "jwt_mint {\n claim a `[1,`\n}", "claim a"},
		{"a claim with one name twice", "jwt_mint {\n claim a `{\"b\":1,\"b\":2}`\n}", "claim a"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := parseMinter(test.input)
			if err == nil {
				t.Fatal("it is accepted")
			}
			if text := err.Error(); !strings.Contains(text, "Testfile:") || !strings.Contains(text, test.want) {
				t.Errorf("the error names not file, line and %q: %v", test.want, text)
			}
		})
	}
}

func TestMintCaddyfileErrorsDoNotTellTheSecret(t *testing.T) {
	for _, input := range []string{
		"jwt_mint canary-one",
		"jwt_mint {\n secret canary-one canary-two\n}",
		"jwt_mint {\n secret canary-one canary-two canary-three\n}",
		"jwt_mint {\n secret canary-one {\n canary-two\n }\n}",
		"jwt_mint {\n secret canary-one\n iss x y\n}",
	} {
		_, err := parseMinter(input)
		if err == nil {
			t.Errorf("accepted:\n%s", input)
		} else if strings.Contains(err.Error(), "canary") {
			t.Errorf("the error tells of the secret: %v", err)
		}
	}
}

func TestMintRunsBeforeReverseProxy(t *testing.T) {
	config, _, err := caddyfile.Adapter{ServerType: httpcaddyfile.ServerType{}}.Adapt(
		[]byte("http://:80 {\n reverse_proxy localhost:1\n jwt_mint {\n sub x\n }\n jwt_auth {\n secret x\n }\n}"), nil)
	if err != nil {
		t.Fatal(err)
	}
	text := string(config)
	verify, mint, proxy := strings.Index(text, `"jwt_auth"`), strings.Index(text, `"jwt_mint"`), strings.Index(text, `"reverse_proxy"`)
	if verify < 0 || mint < verify || proxy < mint {
		t.Errorf("the order is not jwt_auth, jwt_mint, reverse_proxy: %s", text)
	}
}

func TestMintProvisionRefuses(t *testing.T) {
	t.Setenv("CADDY_OLLAMA_TEST_EMPTY", "")
	missing := filepath.Join(t.TempDir(), "missing")
	noKey := writeFile(t, "canary, which is no key")
	rsaFile, _ := generated(t, "rsa")
	good := func(change func(*Minter)) Minter {
		m := Minter{Secret: Secret{Value: secret}, Subject: "clawdbot", Source: "Caddyfile:7"}
		change(&m)
		return m
	}
	claim := func(name, value string) func(*Minter) {
		return func(m *Minter) { m.Claims = map[string]json.RawMessage{name: json.RawMessage(value)} }
	}
	for _, test := range []struct {
		name   string
		change func(*Minter)
		want   []string
	}{
		{"no key", func(m *Minter) { m.Secret = Secret{} }, []string{"no key", "secret {file."}},
		{"two keys", func(m *Minter) { m.PrivateKey.File = rsaFile }, []string{"either"}},
		{"a secret too short", func(m *Minter) { m.Secret.Value = "canary" }, []string{"secret", "6 bytes"}},
		{"a secret too short for its algorithm", func(m *Minter) { m.Secret.Algorithm = "HS512" }, []string{"64"}},
		{"a secret of an algorithm that takes none", func(m *Minter) { m.Secret.Algorithm = "RS256" }, []string{"RS256"}},
		{"a secret's variable that is not set", func(m *Minter) { m.Secret.Value = "{env.CADDY_OLLAMA_TEST_UNSET}" },
			[]string{"secret", "CADDY_OLLAMA_TEST_UNSET"}},
		{"a secret's file that is missing", func(m *Minter) { m.Secret.Value = "{file." + missing + "}" }, []string{"secret", missing}},
		{"a secret with braces", func(m *Minter) { m.Secret.Value = "x{canary-in-braces-that-is-long-enough}" }, []string{"braces"}},
		{"a private key's file that is missing", func(m *Minter) { m.Secret = Secret{}; m.PrivateKey.File = missing }, []string{"private_key", missing}},
		{"a private key's file without a key", func(m *Minter) { m.Secret = Secret{}; m.PrivateKey.File = noKey }, []string{"private_key", noKey}},
		{"a private key of another algorithm", func(m *Minter) { m.Secret = Secret{}; m.PrivateKey = PrivateKey{rsaFile, "ES256"} }, []string{"private_key", "ES256"}},
		{"no subject", func(m *Minter) { m.Subject = "" }, []string{"sub"}},
		{"a subject out of an empty variable", func(m *Minter) { m.Subject = "{env.CADDY_OLLAMA_TEST_EMPTY}" }, []string{"sub", "CADDY_OLLAMA_TEST_EMPTY"}},
		{"a subject out of the request", func(m *Minter) { m.Subject = "{http.request.header.X-User}" }, []string{"sub", "at load"}},
		{"a claim out of the request", claim("team", `"{http.request.header.X-Team}"`), []string{"claim team", "at load"}},
		{"a subject of blanks", func(m *Minter) { m.Subject = " \t" }, []string{"refuse", "sub"}},
		{"a subject with a line break", func(m *Minter) { m.Subject = "a\nb" }, []string{"refuse", "sub"}},
		{"a subject that turns the text", func(m *Minter) { m.Subject = "a\u202eb" }, []string{"refuse", "sub"}},
		{"a key ID with a line break", func(m *Minter) { m.KeyID = "a\nb" }, []string{"refuse", "header"}},
		{"a token too long", func(m *Minter) { m.Issuer = strings.Repeat("x", 8000) }, []string{"refuse", "8 KiB"}},
		{"a claim that nests too deep", claim("a", "[[[[[[[[1]]]]]]]]"), []string{"refuse", "claims"}},
		{"a claim that is an option", claim("sub", `"admin"`), []string{"claim sub"}},
		{"a claim that is the time", claim("exp", "9999999999"), []string{"claim exp"}},
		{"a claim that is the binding", claim("cnf", "{}"), []string{"claim cnf"}},
		{"a ttl too short", func(m *Minter) { m.TTL = caddy.Duration(29 * time.Second) }, []string{"ttl 29s"}},
		{"a ttl too long", func(m *Minter) { m.TTL = caddy.Duration(time.Hour + 1) }, []string{"ttl 1h"}},
		{"a negative ttl", func(m *Minter) { m.TTL = -1 }, []string{"ttl"}},
		{"a reuse of more than half a life", func(m *Minter) { m.Reuse = caddy.Duration(151 * time.Second) }, []string{"reuse 2m31s", "5m0s"}},
		{"a negative reuse", func(m *Minter) { m.Reuse = -1 }, []string{"reuse"}},
		{"a certificate that is missing", func(m *Minter) { m.Certificate = missing }, []string{"certificate", missing}},
		{"a certificate that is none", func(m *Minter) { m.Certificate = noKey }, []string{"certificate", noKey}},
		{"a key instead of a certificate", func(m *Minter) { m.Certificate = rsaFile }, []string{"certificate", rsaFile}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := provisionMinter(t, good(test.change))
			if err == nil {
				t.Fatal("it is accepted")
			}
			for _, want := range append(test.want, "jwt_mint at Caddyfile:7") {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error does not say %q: %v", want, err)
				}
			}
			if strings.Contains(err.Error(), "canary") {
				t.Errorf("the error tells the secret: %v", err)
			}
		})
	}
}

func TestMintTakesWhatIsJustAllowed(t *testing.T) {
	for _, config := range []Minter{
		{TTL: caddy.Duration(30 * time.Second), Reuse: caddy.Duration(15 * time.Second)},
		{TTL: caddy.Duration(time.Hour), Reuse: caddy.Duration(30 * time.Minute)},
	} {
		newMinter(t, config)
	}
}
