package integration

import (
	"bytes"
	"crypto/tls"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
)

// scripted starts a scripted Ollama with a model `hello`.
func scripted(t *testing.T) *ollamatest.Server {
	t.Helper()
	server := ollamatest.NewServer(ollamatest.Says("hello", "Hello", " world"))
	t.Cleanup(server.Close)
	return server
}

func TestEachLineOfDefenceHolds(t *testing.T) {
	upstream := scripted(t)
	g := startGateway(t, upstream.Address())
	now := time.Now()

	t.Run("without a client certificate there is no answer", func(t *testing.T) {
		client := g.clientWith("127.0.0.2", &tls.Config{RootCAs: g.ca.pool()})
		if a, err := g.post(client, tokenFor(t, "bot"), chatBody("hello", false)); err == nil {
			t.Errorf("answered %d %s", a.status, a.body)
		}
	})

	t.Run("with a certificate of another CA there is no answer", func(t *testing.T) {
		stranger := newAuthority(t, "internal CA").leaf(t, "clawdbot")
		client := g.clientWith("127.0.0.2", &tls.Config{RootCAs: g.ca.pool(), Certificates: []tls.Certificate{stranger}})
		if a, err := g.post(client, tokenFor(t, "bot"), chatBody("hello", false)); err == nil {
			t.Errorf("answered %d %s", a.status, a.body)
		}
	})

	t.Run("http is redirected to https on the same port", func(t *testing.T) {
		client := g.from("127.0.0.2")
		resp, err := client.Post("http://"+host+":"+g.port+"/v1/chat/completions", "application/json", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if want := g.url("/v1/chat/completions"); resp.StatusCode != 308 || resp.Header.Get("Location") != want {
			t.Errorf("got %d to %q, want 308 to %q", resp.StatusCode, resp.Header.Get("Location"), want)
		}
	})

	refusals := []struct {
		name         string
		source       string
		token        string
		status       int
		code, reason string
	}{
		{"a stranger's address is refused, whatever token he has", "127.0.0.200", tokenFor(t, "bot"), 403, "forbidden", "forbidden_address"},
		{"no token is 401", "127.0.0.3", "", 401, "invalid_api_key", "no_token"},
		{"an expired token is 403", "127.0.0.4", signedToken(t, jwtSecret, jwt.MapClaims{
			"sub": "bot", "iat": now.Add(-6 * time.Minute).Unix(), "exp": now.Add(-2 * time.Minute).Unix(),
		}), 403, "invalid_api_key", "bad_token:expired"},
		{"a forged token is 403", "127.0.0.5", signedToken(t, strings.Repeat("x", 48), jwt.MapClaims{
			"sub": "bot", "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
		}), 403, "invalid_api_key", "bad_token:signature"},
		{"a token that lives too long is 403", "127.0.0.6", signedToken(t, jwtSecret, jwt.MapClaims{
			"sub": "bot", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
		}), 403, "invalid_api_key", "bad_token:lifetime"},
	}
	for _, refusal := range refusals {
		t.Run(refusal.name, func(t *testing.T) {
			a := g.mustPost(g.from(refusal.source), refusal.token, chatBody("hello", false))
			if a.status != refusal.status || a.errorCode() != refusal.code {
				t.Errorf("got %d %s, want %d with code %s", a.status, a.body, refusal.status, refusal.code)
			}
			checkRecord(t, g.recordOf(a), record{
				"http.response.status_code": refusal.status, "event.reason": refusal.reason, "event.outcome": "failure",
				"source.ip": refusal.source, "tls.client.subject": "CN=clawdbot", "http.request.method": "POST",
			})
		})
	}

	t.Run("all four lines passed, the model answers and is recorded", func(t *testing.T) {
		a := g.mustPost(g.from("127.0.0.7"), tokenFor(t, "bot"), chatBody("hello", false))
		if a.status != 200 || !strings.Contains(a.body, `"content":"Hello world"`) {
			t.Fatalf("got %d %s", a.status, a.body)
		}
		checkRecord(t, g.recordOf(a), record{
			"http.response.status_code": 200, "event.reason": "ok", "event.outcome": "success", "user.id": "bot",
			"gen_ai.operation.name": "chat", "gen_ai.request.model": "hello", "gen_ai.response.model": "hello",
			"gen_ai.request.stream": false, "gen_ai.usage.output_tokens": 2, "gen_ai.response.finish_reasons": "[stop]",
			"gen_ai.conversation.id": a.header.Get("X-Conversation-Id"),
		})
	})

	if got := len(upstream.Requests()); got != 1 {
		t.Errorf("Ollama saw %d requests, want the one that was let in", got)
	}
	data := g.output.String()
	for _, secret := range []string{jwtSecret, "eyJ"} {
		if strings.Contains(data, secret) {
			t.Errorf("the gateway's log holds a token or the secret: %q", secret)
		}
	}
}

func TestRateIsHeldAndRetryAfterIsTrue(t *testing.T) {
	g := startGateway(t, scripted(t).Address())
	client, token := g.from("127.0.0.2"), tokenFor(t, "bot")

	// All at once, on as many goroutines. The tenth of a second or so that this
	// takes may earn the client a request more; so count by the time it took.
	const sent = 40
	answers := make([]answer, sent)
	begun := time.Now()
	var all sync.WaitGroup
	for i := range sent {
		all.Go(func() {
			a, err := g.post(client, token, chatBody("hello", false))
			if err != nil {
				t.Error(err)
			}
			answers[i] = a
		})
	}
	all.Wait()
	elapsed := time.Since(begun)

	served, retryAfter := 0, 0
	var refused answer
	for _, a := range answers {
		switch a.status {
		case 200:
			served++
		case 429:
			refused = a
			retryAfter, _ = strconv.Atoi(a.header.Get("Retry-After"))
			if retryAfter < 1 || a.errorCode() != "rate_limit_exceeded" {
				t.Errorf("429 with Retry-After %q and body %s", a.header.Get("Retry-After"), a.body)
			}
		default:
			t.Errorf("got %d %s", a.status, a.body)
		}
	}
	if most := 10 + int(elapsed.Seconds()*5); served < 10 || served > most {
		t.Errorf("%d of %d were served in %s, want 10 to %d", served, sent, elapsed, most)
	}
	checkRecord(t, g.recordOf(refused), record{"http.response.status_code": 429, "event.reason": "rate_limited"})

	<-time.After(time.Duration(retryAfter) * time.Second) // as told
	if a := g.mustPost(client, token, chatBody("hello", false)); a.status != 200 {
		t.Errorf("after waiting the %d s that Retry-After told: %d %s", retryAfter, a.status, a.body)
	}
}

func TestThirdErrorInARowBlocksTheAddress(t *testing.T) {
	upstream := scripted(t)
	g := startGateway(t, upstream.Address())
	client, token := g.from("127.0.0.2"), tokenFor(t, "bot")
	for range 3 {
		if a := g.mustPost(client, "", chatBody("hello", false)); a.status != 401 {
			t.Fatalf("got %d %s, want 401", a.status, a.body)
		}
	}
	a := g.mustPost(client, token, chatBody("hello", false))
	if wait, err := strconv.Atoi(a.header.Get("Retry-After")); a.status != 403 || err != nil || wait < 590 || wait > 600 {
		t.Errorf("after three errors: %d, Retry-After %q, want 403 and about 600", a.status, a.header.Get("Retry-After"))
	}
	checkRecord(t, g.recordOf(a), record{"http.response.status_code": 403, "event.reason": "blocked"})
	if a := g.mustPost(g.from("127.0.0.3"), token, chatBody("hello", false)); a.status != 200 {
		t.Errorf("another address got %d %s, want 200", a.status, a.body)
	}

	// a block is not lifted by a reload, even one that changes the limits
	if err := g.reload(strings.Replace(g.caddyfile, "burst 10", "burst 20", 1)); err != nil {
		t.Fatal(err)
	}
	if a := g.mustPost(g.from("127.0.0.2"), token, chatBody("hello", false)); a.status != 403 {
		t.Errorf("after a reload the blocked address got %d", a.status)
	}
}

func TestTwoHundredInFlightAndNoMore(t *testing.T) {
	hold := make(chan struct{})
	upstream := ollamatest.NewServer(ollamatest.Model{Name: "hello", Answer: func(ollama.ChatRequest) ollamatest.Answer {
		return ollamatest.Answer{Content: []string{"done"}, Pace: hold}
	}})
	t.Cleanup(upstream.Close)
	g := startGateway(t, upstream.Address())
	token := tokenFor(t, "bot")

	// 20 addresses of 10 requests each: within every client's own limits
	statuses := make(chan int, 200)
	for i := range 20 {
		client := g.from("127.0.0." + strconv.Itoa(10+i))
		for range 10 {
			go func() {
				a, err := g.post(client, token, chatBody("hello", true))
				if err != nil {
					t.Error(err)
				}
				statuses <- a.status
			}()
		}
	}
	upstream.WaitFor(200) // all are in flight

	a := g.mustPost(g.from("127.0.0.100"), token, chatBody("hello", false))
	if wait, err := strconv.Atoi(a.header.Get("Retry-After")); a.status != 429 || err != nil || wait < 1 {
		t.Errorf("the 201st in flight got %d, Retry-After %q", a.status, a.header.Get("Retry-After"))
	}
	checkRecord(t, g.recordOf(a), record{"http.response.status_code": 429, "event.reason": "over_capacity"})

	close(hold)
	for range 200 {
		if status := <-statuses; status != 200 {
			t.Errorf("one of the 200 got %d", status)
		}
	}
	if a := g.mustPost(g.from("127.0.0.100"), token, chatBody("hello", false)); a.status != 200 {
		t.Errorf("when all had ended, one more got %d %s", a.status, a.body)
	}
	g.records(202)
}

// A session ticket would carry the client's certificate past the handshake, and
// past a change of the CA (CVE-2025-68121). Caddy gives out none where it asks for
// client certificates; should it ever begin to, this test tells.
func TestNoSessionTicketLetsARemovedCABackIn(t *testing.T) {
	g := startGateway(t, scripted(t).Address())
	cache := tls.NewLRUClientSessionCache(1)
	connect := func() (resumed bool, err error) {
		client := g.clientWith("127.0.0.2", &tls.Config{
			RootCAs: g.ca.pool(), Certificates: []tls.Certificate{g.client}, ClientSessionCache: cache,
		})
		client.Transport.(*http.Transport).DisableKeepAlives = true
		req, err := g.request(t.Context(), tokenFor(t, "bot"), chatBody("hello", false))
		if err != nil {
			return false, err
		}
		resp, err := client.Do(req)
		if err != nil {
			return false, err
		}
		defer resp.Body.Close()
		_, err = io.Copy(io.Discard, resp.Body) // the ticket comes before the answer
		return resp.TLS.DidResume, err
	}
	if _, err := connect(); err != nil {
		t.Fatal(err)
	}
	if resumed, err := connect(); err != nil || resumed {
		t.Fatalf("connected again: resumed %t, %v", resumed, err)
	}

	other := newAuthority(t, "next internal CA")
	writeCert(t, g.file("internal-ca.crt"), other.cert.Raw)
	if err := g.reload(g.caddyfile); err != nil {
		t.Fatal(err)
	}
	if resumed, err := connect(); err == nil {
		t.Errorf("a client of the removed CA was served (resumed: %t)", resumed)
	}
	// and a client of the new CA is let in
	next := other.leaf(t, "clawdbot")
	client := g.clientWith("127.0.0.3", &tls.Config{RootCAs: g.ca.pool(), Certificates: []tls.Certificate{next}})
	if a := g.mustPost(client, tokenFor(t, "bot"), chatBody("hello", false)); a.status != 200 {
		t.Errorf("a client of the new CA got %d", a.status)
	}
}

func TestWrongRequestsAreRefusedBeforeOllamaSeesThem(t *testing.T) {
	upstream := scripted(t)
	g := startGateway(t, upstream.Address())
	cases := []struct {
		name, body    string
		status        int
		param, reason string
	}{
		{"a body that is not JSON", `{"model": hello}`, 400, "null", "bad_request"},
		{"no body", ``, 400, "null", "bad_request"},
		{"messages that are no list", `{"model":"hello","messages":"hi"}`, 400, `"messages"`, "bad_request"},
		{"content of a wrong type", `{"model":"hello","messages":[{"role":"user","content":7}]}`, 400, `"messages[0].content"`, "bad_request"},
		{"no messages", `{"model":"hello"}`, 400, `"messages"`, "bad_request"},
		{"a temperature out of range", `{"model":"hello","temperature":3,"messages":[{"role":"user","content":"hi"}]}`, 400, `"temperature"`, "bad_request"},
		{"a body over 10 MB", `{"messages":"` + strings.Repeat("a", 10_000_001) + `"}`, 413, "null", "too_large"},
		{"a model that is not there", chatBody("nothing", false), 404, `"model"`, "model_not_found"},
	}
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			// an address each, for the third error in a row would be a block
			a := g.mustPost(g.from("127.0.0."+strconv.Itoa(10+i)), tokenFor(t, "bot"), c.body)
			if a.status != c.status || !strings.Contains(a.body, `"param":`+c.param) {
				t.Errorf("got %d %s, want %d with param %s", a.status, a.body, c.status, c.param)
			}
			checkRecord(t, g.recordOf(a), record{"http.response.status_code": c.status, "event.reason": c.reason, "user.id": "bot"})
		})
	}
	for _, r := range upstream.Requests() {
		if r.Model != "nothing" {
			t.Errorf("Ollama saw a request that was refused: %+v", r.ChatRequest)
		}
	}
}

func TestUnreachableOllamaIs502(t *testing.T) {
	g := startGateway(t, "127.0.0.1:"+freePort(t))
	for _, stream := range []bool{false, true} {
		a := g.mustPost(g.from("127.0.0.2"), tokenFor(t, "bot"), chatBody("hello", stream))
		if a.status != 502 || a.errorCode() != "upstream_error" {
			t.Errorf("stream %t: got %d %s, want 502 upstream_error", stream, a.status, a.body)
		}
		checkRecord(t, g.recordOf(a), record{"http.response.status_code": 502, "event.reason": "upstream_error", "gen_ai.request.stream": stream})
	}
}

func TestGatewayRefusesToStartHalfProtected(t *testing.T) {
	for _, missing := range []string{"internal-ca.crt", "gw.crt", "gw.key", "jwt.key"} {
		t.Run("without "+missing, func(t *testing.T) {
			g := prepareGateway(t, "127.0.0.1:1")
			config := strings.ReplaceAll(g.caddyfile, g.file(missing), g.file("missing-"+missing))
			g.writeConfig(config)
			var output bytes.Buffer
			cmd := gatewayCommand(t, g.dir, "run", "--config", g.configFile(), "--adapter", "caddyfile")
			cmd.Stdout, cmd.Stderr = &output, &output
			err := cmd.Run()
			if err == nil || !strings.Contains(output.String(), g.file("missing-"+missing)) {
				t.Errorf("ended with %v and said:\n%s", err, output.String())
			}
			// for the files that Caddy itself reads, it knows no line
			if line := g.configFile() + ":"; missing == "jwt.key" && !strings.Contains(output.String(), line) {
				t.Errorf("does not name the line %s<n>:\n%s", line, output.String())
			}
		})
	}

	t.Run("with an unknown option, file and line are named", func(t *testing.T) {
		g := prepareGateway(t, "127.0.0.1:1")
		g.writeConfig(strings.Replace(g.caddyfile, "penalty 3 10m", "penaltyy 3 10m", 1))
		output, err := gatewayCommand(t, g.dir, "run", "--config", g.configFile(), "--adapter", "caddyfile").CombinedOutput()
		if err == nil || !strings.Contains(string(output), "Caddyfile:") || !strings.Contains(string(output), "penaltyy") {
			t.Errorf("ended with %v and said:\n%s", err, output)
		}
	})
}
