package integration

import (
	"crypto/tls"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// README, "jwt_auth": a page in a browser, which asks before it asks, and reads what it is
// answered, errors too.
func TestAPageOfAnotherOriginMayAsk(t *testing.T) {
	t.Parallel()
	g := startGatewayWith(t, scripted(t).Address(),
		"mode require_and_verify", "mode verify_if_given", // a preflight brings no certificate
		"ip_throttle {", readmeBlock(t, "@preflight")+"\nip_throttle {")
	const page = "https://app.example.com"
	browser := func(address string) *http.Client { return g.clientWith(address, &tls.Config{RootCAs: g.ca.pool()}) }
	asks := func(client *http.Client, method, origin, token string) answer {
		t.Helper()
		req, err := g.request(t.Context(), token, chatBody("hello", false))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Origin", origin)
		if req.Method = method; method == http.MethodOptions {
			req.Body, req.ContentLength = nil, 0
			req.Header.Del("Content-Type")
			req.Header.Set("Access-Control-Request-Method", "POST")
			req.Header.Set("Access-Control-Request-Headers", "authorization,content-type,x-stainless-lang")
		}
		a, err := answerTo(client, req)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	// what a browser lets a page of this origin read
	readable := func(what string, a answer) {
		t.Helper()
		if got := a.header.Values("Access-Control-Allow-Origin"); !slices.Equal(got, []string{page}) || !slices.Contains(a.header.Values("Vary"), "Origin") {
			t.Errorf("%s, %d: allowed is %q, Vary is %q", what, a.status, got, a.header.Values("Vary"))
		}
	}

	mine := browser("127.0.0.2")
	for range 12 { // more than the burst, and than errors are forgiven
		a := asks(mine, http.MethodOptions, page, "")
		readable("a preflight", a)
		if a.status != 204 || a.body != "" || !strings.Contains(a.header.Get("Access-Control-Allow-Methods"), "POST") ||
			a.header.Get("Access-Control-Allow-Headers") != "authorization,content-type,x-stainless-lang" {
			t.Fatalf("a preflight is answered %d %q %v", a.status, a.body, a.header)
		}
		checkRecord(t, g.recordOf(a), record{"http.request.method": "OPTIONS", "http.response.status_code": 204, "event.reason": "ok"})
	}
	a := asks(mine, http.MethodPost, page, tokenFor(t, "page"))
	readable("an answer", a)
	if a.status != 200 || a.header.Get("X-RateLimit-Remaining-Requests") != "9" {
		t.Errorf("the request after it: %d %s, of which %s are left", a.status, a.body, a.header.Get("X-RateLimit-Remaining-Requests"))
	}
	a = asks(mine, http.MethodPost, page, "")
	readable("an error", a)
	if a.status != 401 || a.errorCode() != "invalid_api_key" {
		t.Errorf("without a token: %d %s", a.status, a.body)
	}

	other := browser("127.0.0.3")
	if a := asks(other, http.MethodOptions, "https://evil.example.com", ""); a.status != 401 || a.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("a preflight of another page: %d %v", a.status, a.header)
	}
	if a := asks(browser("127.0.0.200"), http.MethodOptions, page, ""); a.status != 403 {
		t.Errorf("a preflight of an address that is not on the allow-list: %d", a.status)
	}
}
