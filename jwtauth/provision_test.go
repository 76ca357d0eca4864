package jwtauth

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

func TestSecretsComeFromWhereTheConfigurationSays(t *testing.T) {
	t.Setenv("CADDY_OLLAMA_TEST_SECRET", secret)
	file := writeFile(t, secret+"\n")
	for _, from := range []string{secret, "{env.CADDY_OLLAMA_TEST_SECRET}", "{file." + file + "}"} {
		handler := newHandler(t, Handler{Secrets: secrets(from)})
		if a := ask(t, handler, "Bearer "+mint(t, secret, nil)); a.err != nil {
			t.Errorf("secret from %.12s…: %v", from, a.err)
		}
		if a := ask(t, handler, "Bearer "+mint(t, from+"x", nil)); a.err == nil {
			t.Errorf("secret from %.12s…: a token of another secret is accepted", from)
		}
	}
}

func TestASecretFileMayHoldBraces(t *testing.T) {
	const braces = "{env.HOME}{file./dev/null}{}}{ and so on, long enough"
	handler := newHandler(t, Handler{Secrets: secrets("{file." + writeFile(t, braces) + "}")})
	if a := ask(t, handler, "Bearer "+mint(t, braces, nil)); a.err != nil {
		t.Errorf("what the file holds is expanded once more: %v", a.err)
	}
}

func TestProvisionRefuses(t *testing.T) {
	t.Setenv("CADDY_OLLAMA_TEST_EMPTY", "")
	t.Setenv("CADDY_OLLAMA_TEST_SHORT", "canary-short")
	missing := filepath.Join(t.TempDir(), "missing.key")
	with := func(list ...string) Handler { return Handler{Secrets: secrets(list...)} }
	good := func(change func(*Handler)) Handler {
		h := Handler{Secrets: secrets(secret)}
		change(&h)
		return h
	}
	const advice = "openssl rand"
	for _, test := range []struct {
		name   string
		config Handler
		want   []string
	}{
		{"no secret", Handler{}, []string{"secret"}},
		{"an empty secret", with(""), []string{"0 bytes", "32", advice}},
		{"a secret of 31 bytes", with("canary-" + strings.Repeat("x", 24)), []string{"31 bytes", "32", advice}},
		{"a short secret beside a good one", with(secret, "canary-short"), []string{"12 bytes", advice}},
		{"a short secret in a file", with("{file." + writeFile(t, "canary-short\n") + "}"), []string{"12 bytes", advice}},
		{"a short secret in the environment", with("{env.CADDY_OLLAMA_TEST_SHORT}"), []string{"12 bytes", advice}},
		{"an empty file", with("{file." + writeFile(t, "") + "}"), []string{"jwt.key", advice}},
		{"a file with nothing but a line break", with("{file." + writeFile(t, "\n") + "}"), []string{"jwt.key", advice}},
		{"a missing file", with("{file." + missing + "}"), []string{missing, "exist", advice}},
		{"a directory", with("{file." + t.TempDir() + "}"), []string{"file.", advice}},
		{"a variable that is not set", with("{env.CADDY_OLLAMA_TEST_UNSET}"), []string{"CADDY_OLLAMA_TEST_UNSET", advice}},
		{"a variable that is empty", with("{env.CADDY_OLLAMA_TEST_EMPTY}"), []string{"CADDY_OLLAMA_TEST_EMPTY", advice}},
		{"a placeholder that only a request has", with("{http.request.header.X-Secret-Of-At-Least-32-Bytes}"), []string{advice}},
		{"a secret with braces, whose words are no placeholder", with("x{canary-of-a-password-with-braces}x"), []string{"secret"}},
		{"a negative lifetime", good(func(h *Handler) { h.MaxLifetime = -1 }), []string{"max_lifetime"}},
		{"a negative leeway", good(func(h *Handler) { h.Leeway = -1 }), []string{"leeway"}},
		{"more leeway than 30s", good(func(h *Handler) { h.Leeway = caddy.Duration(30e9 + 1) }), []string{"leeway", "30s"}},
		{"a rejected_status that is no refusal", good(func(h *Handler) { h.RejectedStatus = 200 }), []string{"200", "403 or 401"}},
		{"a rejected_status that says too much", good(func(h *Handler) { h.RejectedStatus = 404 }), []string{"404", "403 or 401"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := provision(t, test.config)
			if err == nil {
				t.Fatal("it is accepted")
			}
			for _, want := range test.want {
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

// A secret is read long after the line that names it.
func TestErrorsOfProvisionNameTheCaddyfilesLine(t *testing.T) {
	handler, err := parse("\njwt_auth {\n secret {env.CADDY_OLLAMA_TEST_UNSET}\n}")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := provision(t, *handler); err == nil || !strings.Contains(err.Error(), "Testfile:2") {
		t.Errorf("error is %v, want it to name Testfile:2", err)
	}
}

func TestThirtyTwoBytesAndThirtySecondsAreAllowed(t *testing.T) {
	_, err := provision(t, Handler{Secrets: secrets("0Zq8sV1x7Yc3Rt5Uw9Ab2De4Fg6Hj8Kl"), Leeway: caddy.Duration(30e9)})
	if err != nil {
		t.Error(err)
	}
}
