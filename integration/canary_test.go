package integration

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
)

// What must show up nowhere but where it belongs. All canaries begin alike.
const (
	canary           = "canary-"
	promptCanary     = canary + "prompt"
	completionCanary = canary + "completion"
	keyCanary        = canary + "key"
	cookieCanary     = canary + "cookie"
	queryCanary      = canary + "query"
	bearerCanary     = canary + "bearer"
)

// subject is who asks.
const subject = "ann@example.com"

// birds are models that end in all ways there are, and say canaries as they do.
func birds() []ollamatest.Model {
	var models []ollamatest.Model
	says := []string{completionCanary + " one", completionCanary + " two"}
	for name, answer := range map[string]ollamatest.Answer{
		"hello":   {Content: says},
		"fails":   {Status: 500, Error: completionCanary},
		"refuses": {Status: 400, Error: completionCanary},
		"breaks":  {Content: says, Fault: ollamatest.ErrorLine, FaultAt: 1},
		"garbage": {Raw: []string{completionCanary + " is no JSON\n"}},
		"dies":    {Content: says, Fault: ollamatest.Cut, FaultAt: 1},
		"stalls":  {Content: says, Fault: ollamatest.Stall, FaultAt: 1},
		"slow":    {Content: slices.Repeat(says, 500), Interval: 10 * time.Millisecond},
		"calls":   {ToolCalls: []ollama.ToolCall{{Function: ollama.FunctionCall{Name: "f", Arguments: []byte(`{"x":"` + completionCanary + `"}`)}}}},
	} {
		models = append(models, ollamatest.Model{Name: name, Answer: func(ollama.ChatRequest) ollamatest.Answer { return answer }})
	}
	return models
}

// flight is a request full of canaries, and the ending that its record must tell.
type flight struct {
	name          string
	source        string // an address of its own, unless the test says otherwise
	token         string
	path          string // /v1/chat/completions
	body          string
	status        int
	reason        string
	leaves, isCut bool // the client leaves, or its answer is cut, in the midst
}

// sing is the body of a request to one of the birds.
func sing(model string, stream bool) string {
	return fmt.Sprintf(`{"model":%q,"stream":%t,"messages":[{"role":"system","content":"%s"},{"role":"user","content":"%s"}]}`,
		model, stream, promptCanary, promptCanary)
}

// flights are requests of all endings. Caddy's own logs have headers and queries of
// what its reverse_proxy fails with, if it is not behind ollama_adapter; with bare, there
// are such requests among these.
func flights(t *testing.T, bare bool) []flight {
	token := tokenFor(t, subject)
	expired := signedToken(t, jwtSecret, jwt.MapClaims{"sub": subject, "iat": time.Now().Add(-6 * time.Minute).Unix(), "exp": time.Now().Add(-2 * time.Minute).Unix()})
	all := []flight{
		{name: "a whole answer", token: token, body: sing("hello", false), status: 200, reason: "ok"},
		{name: "a stream", token: token, body: sing("hello", true), status: 200, reason: "ok"},
		{name: "a tool call", token: token, body: sing("calls", true), status: 200, reason: "ok"},
		{name: "embeddings", token: token, path: "/v1/embeddings", body: `{"model":"hello","input":"` + promptCanary + `"}`, status: 200, reason: "ok"},
		{name: "a text", token: token, path: "/v1/completions", body: `{"model":"hello","prompt":"` + promptCanary + `"}`, status: 200, reason: "ok"},
		{name: "a body that is no JSON", token: token, body: promptCanary, status: 400, reason: "bad_request"},
		{name: "a field of a wrong type", token: token, body: `{"model":"hello","messages":"` + promptCanary + `"}`, status: 400, reason: "bad_request"},
		{name: "an unknown role", token: token, body: `{"model":"hello","messages":[{"role":"` + promptCanary + `","content":"x"}]}`, status: 400, reason: "bad_request"},
		{name: "a field twice", token: token, body: `{"model":"hello","` + promptCanary + `":1,"` + promptCanary + `":2}`, status: 400, reason: "bad_request"},
		{name: "no token", body: sing("hello", false), status: 401, reason: "no_token"},
		{name: "an expired token", token: expired, body: sing("hello", false), status: 403, reason: "bad_token:expired"},
		{name: "a forged token", token: signedToken(t, canary+"secret-that-is-long-enough-for-hs256", jwt.MapClaims{"sub": subject}), body: sing("hello", false), status: 403, reason: "bad_token:signature"},
		{name: "no token at all", token: bearerCanary, body: sing("hello", false), status: 403, reason: "bad_token:malformed"},
		{name: "a stranger", source: "127.0.0.200", token: token, body: sing("hello", false), status: 403, reason: "forbidden_address"},
		{name: "another path", token: token, path: "/api/pull", body: sing("hello", false), status: 404, reason: "not_found"},
		{name: "an unknown model", token: token, body: sing("nothing", false), status: 404, reason: "model_not_found"},
		{name: "another method", token: token, path: "/v1/models", body: sing("hello", false), status: 405, reason: "method_not_allowed"},
		{name: "too large", token: token, body: `{"messages":"` + promptCanary + strings.Repeat("a", 10_000_001) + `"}`, status: 413, reason: "too_large"},
		{name: "a client that leaves", token: token, body: sing("slow", true), status: 499, reason: "client_gone", leaves: true},
		// what keeps a client that wants no stream waiting is told as long as it can be
		{name: "Ollama stalls after a sign of life", token: token, body: sing("stalls", false), status: 200, reason: "upstream_stalled", isCut: true},
		{name: "Ollama stalls", token: token, body: sing("stalls", true), status: 200, reason: "upstream_stalled"},
	}
	if bare {
		all = append(all,
			flight{name: "a bare upstream is not there", token: token, path: "/v1/dead", body: sing("hello", false), status: 502, reason: "upstream_error"},
			flight{name: "a bare upstream dies", token: token, path: "/v1/dies", body: sing("hello", false), status: 200, reason: "internal_error", isCut: true},
		)
	}
	for _, stream := range []bool{false, true} {
		kind := fmt.Sprintf(", stream %t", stream)
		midst := map[bool]int{false: 502, true: 200}[stream]
		all = append(all,
			flight{name: "Ollama fails" + kind, token: token, body: sing("fails", stream), status: 502, reason: "upstream_error"},
			flight{name: "Ollama refuses" + kind, token: token, body: sing("refuses", stream), status: 400, reason: "bad_request"},
			flight{name: "Ollama fails in the midst" + kind, token: token, body: sing("breaks", stream), status: midst, reason: "upstream_error"},
			flight{name: "Ollama dies" + kind, token: token, body: sing("dies", stream), status: midst, reason: "upstream_error"},
			flight{name: "Ollama is none" + kind, token: token, body: sing("garbage", stream), status: 502, reason: "upstream_error"},
		)
	}
	for i := range all {
		if all[i].source == "" {
			all[i].source = fmt.Sprintf("127.0.0.%d", 10+i)
		}
	}
	// one address errs three times in a row, and another asks more often than it may
	for range 3 {
		all = append(all, flight{name: "errs", source: "127.0.0.3", body: sing("hello", false), status: 401, reason: "no_token"})
	}
	all = append(all, flight{name: "is blocked", source: "127.0.0.3", token: token, body: sing("hello", false), status: 403, reason: "blocked"})
	for range 4 {
		all = append(all, flight{name: "asks", source: "127.0.0.4", token: token, body: sing("hello", false), status: 200, reason: "ok"})
	}
	return append(all, flight{name: "asks too often", source: "127.0.0.4", token: token, body: sing("hello", false), status: 429, reason: "rate_limited"})
}

// fly sends the request and returns what came back, as far as it came.
func (g *gateway) fly(t *testing.T, f flight) answer {
	t.Helper()
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	path := f.path
	if path == "" {
		path = "/v1/chat/completions"
	}
	url := g.url(path) + "?key=" + queryCanary + "&" + queryCanary + "=1"
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(f.body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Api-Key", keyCanary)
	req.Header.Set("Api-Key", keyCanary)
	req.Header.Set("Cookie", "session="+cookieCanary)
	req.Header.Set("X-Canary", keyCanary)
	if f.token != "" {
		req.Header.Set("Authorization", "Bearer "+f.token)
	} else {
		req.SetBasicAuth("user", bearerCanary)
	}
	resp, err := g.from(f.source).Do(req)
	if err != nil {
		t.Fatalf("%s: %v", f.name, err)
	}
	defer resp.Body.Close()
	body := new(bytes.Buffer)
	if f.leaves {
		if _, err := io.CopyN(body, resp.Body, 300); err != nil {
			t.Errorf("%s: %v", f.name, err)
		}
		return answer{resp.StatusCode, resp.Header, body.String()}
	}
	if _, err := io.Copy(body, resp.Body); (err != nil) != f.isCut {
		t.Errorf("%s: reading the answer: %v", f.name, err)
	}
	return answer{resp.StatusCode, resp.Header, body.String()}
}

// admin is what the admin API answers.
func (g *gateway) admin(t *testing.T, path string) string {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", g.file("admin.sock"))
	}}}
	defer client.CloseIdleConnections()
	resp, err := client.Get("http://localhost" + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("%s: %s, %v", path, resp.Status, err)
	}
	return string(body)
}

// written is what the gateway has written to files, by their names.
func (g *gateway) written(t *testing.T) map[string]string {
	t.Helper()
	files := make(map[string]string)
	err := filepath.WalkDir(g.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		name := strings.TrimPrefix(path, g.dir+"/")
		if name == "jwt.key" || name == "gw.key" { // where the secrets are
			return nil
		}
		data, err := os.ReadFile(path)
		files[name] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// Whatever a request holds, and however it ends: there is one true record of it, and
// no prompt, completion, token, key, cookie or query in anything that the gateway
// writes or says to others.
func TestNoCanaryGetsOut(t *testing.T) {
	pseudonymKey := filepath.Join(workDir, "pseudonym.key")
	writeFile(t, pseudonymKey, []byte(strings.Repeat(canary+"pseudonyms", 2)+"\n"))
	for _, variant := range []struct {
		name    string
		changes []string
	}{
		{"as shipped", nil},
		{"with all that can be logged, as ECS, and no user named", []string{
			"audit_log\n\n", "audit_log {\n\t\t\tpseudonymize user.id {file." + pseudonymKey + "}\n\t\t}\n\n",
			"log default {", "metrics\n\tlog default {\n\t\tlevel DEBUG\n\t\tformat ecs",
			"bind 127.0.0.1", "bind 127.0.0.1\n\tlog {\n\t\toutput file access.log\n\t\tformat ecs\n\t}",
			"\t\tformat ecs\n", "\t\tformat ecs {\n\t\t\tnested off\n\t\t}\n",
		}},
	} {
		t.Run(variant.name, func(t *testing.T) {
			t.Parallel()
			upstream := ollamatest.NewServer(birds()...)
			t.Cleanup(upstream.Close)
			dying := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				// all of it, or Caddy's access log would race with its transport for how much was read
				_, _ = io.Copy(io.Discard, r.Body)
				_, _ = io.WriteString(w, completionCanary)
				_ = http.NewResponseController(w).Flush()
				panic(http.ErrAbortHandler)
			}))
			t.Cleanup(dying.Close)
			receiver, collector := startAlarms(t), startTraces(t)
			start := startGatewayWith
			changes := variant.changes
			if variant.changes != nil {
				start = func(t *testing.T, upstream string, changes ...string) *gateway {
					return startTraced(t, collector, upstream, changes...)
				}
				changes = append(changes, "grace_period 30s", "grace_period 30s\n\tevents {\n\t\ton * webhook "+receiver.URL+"\n\t}")
			}
			g := start(t, upstream.Address(), append(changes,
				"rate 5/s", "rate 5/m", "burst 10", "burst 4",
				"ollama_adapter {", "reverse_proxy /v1/dies "+dying.Listener.Addr().String()+"\n\t\treverse_proxy /v1/dead 127.0.0.1:1\n\t\tollama_adapter {\n"+
					"\t\t\tstall_timeout 2s\n\t\t\theartbeat 1s\n\t\t\theartbeat_json on",
			)...)

			said := make(map[string]string) // by the gateway, to others
			served := 0
			var tokens []string
			all := flights(t, variant.changes != nil)
			for i, f := range all {
				a := g.fly(t, f)
				if want := f.status; a.status != want && !f.leaves {
					t.Errorf("%s: got %d %.200s, want %d", f.name, a.status, a.body, want)
				}
				checkRecord(t, g.recordOf(a), record{"http.response.status_code": f.status, "event.reason": f.reason, "source.ip": f.source})
				body := a.body
				if a.status == 200 {
					served += strings.Count(body, completionCanary)
					body = strings.ReplaceAll(body, completionCanary, "") // which is meant for the client
				}
				said[fmt.Sprintf("answer %d, %s", i, f.name)] = fmt.Sprint(a.header, body)
				tokens = append(tokens, f.token)
			}
			if n := len(g.records(len(all))); n != len(all) {
				t.Errorf("%d records of %d requests", n, len(all))
			}
			said["admin /config/"] = g.admin(t, "/config/")
			said["admin /metrics"] = g.admin(t, "/metrics")
			g.stop()
			said["output"] = g.output.String()
			for name, text := range g.written(t) {
				said["file "+name] = text
			}

			alarms, bodies := receiver.received()
			said["alarms"], said["traces"] = strings.Join(bodies, "\n"), collector.said()
			if variant.changes != nil {
				heard := make(map[string]int)
				for _, a := range alarms {
					heard[a.Event]++
				}
				if heard["audit_log.forged_token"] != 1 || heard["audit_log.new_certificate"] != 1 || heard["ip_throttle.blocked"] != 1 {
					t.Errorf("the alarms are %v", heard)
				}
				if spans := strings.Count(said["traces"], `"gateway"`); spans != len(all) || !strings.Contains(said["traces"], "gen_ai.conversation.id") {
					t.Errorf("%d spans of %d requests", spans, len(all))
				}
				if strings.Contains(said["alarms"]+said["traces"], subject) {
					t.Error("an alarm or a span names the user")
				}
				if !strings.Contains(said["alarms"], "pseudonym_") {
					t.Error("no alarm names anybody")
				}
			}

			// the canaries were there
			heard := 0
			for _, request := range upstream.Requests() {
				heard += strings.Count(fmt.Sprint(request.ChatRequest), promptCanary)
				if text := fmt.Sprint(request.Header); strings.Contains(text, canary) {
					t.Errorf("Ollama is sent %s", text)
				}
			}
			if heard < 10 || served < 10 || len(said["output"]) < 100 || len(said["file audit.log"]) < 10_000 {
				t.Errorf("%d prompts heard, %d completions served, %d bytes of output: this proves nothing", heard, served, len(said["output"]))
			}
			if log := said["file access.log"]; variant.changes != nil && strings.Count(log, "\n") != len(all) {
				t.Errorf("the access log has %d lines of %d requests", strings.Count(log, "\n"), len(all))
			}

			if log := said["file audit.log"]; strings.Contains(log, subject) == (variant.changes != nil) {
				t.Errorf("the audit log names the user, or does not though it may")
			}

			// and they are nowhere else
			// a token begins with {"alg": in base64; less of it can be in a certificate by chance
			secrets := []string{canary, jwtSecret, "eyJhbGciOi", base64.StdEncoding.EncodeToString([]byte("user:" + bearerCanary))}
			for _, token := range tokens {
				if _, signature, ok := strings.Cut(token, "."); ok {
					secrets = append(secrets, signature)
				}
			}
			for where, text := range said {
				for _, secret := range secrets {
					if at := strings.Index(strings.ToLower(text), strings.ToLower(secret)); at >= 0 {
						t.Errorf("%s has %q: …%s…", where, secret, text[max(0, at-200):min(len(text), at+200)])
					}
				}
			}
		})
	}
}
