package ollamaadapter_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
	"github.com/gateway18789/caddy-ollama/ollamaadapter"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
)

const (
	firstLine = `{"model":"m","message":{"role":"assistant","content":"hello"},"done":false}` + "\n"
	quietLine = `{"model":"m","message":{"role":"assistant","content":""},"done":false}` + "\n"
	finalLine = `{"model":"m","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop"}` + "\n"
)

// both are the two kinds of chat request.
var both = map[string]string{"whole": saying(""), "streamed": saying(`"stream":true`)}

// What fails before the client has got anything has a real status.
func TestFailuresBeforeTheFirstContent(t *testing.T) {
	for _, test := range []struct {
		name        string
		answer      ollamatest.Answer
		status      int
		param, code string
		reason      string // "" if the status says it
	}{
		{"a runner that has crashed", ollamatest.Answer{Status: 500, Error: "CANARY"}, 502, "", "upstream_error", record.UpstreamError},
		{"a full queue", ollamatest.Answer{Status: 503, Error: "CANARY"}, 503, "", "server_overloaded", record.UpstreamError},
		{"a foreign host", ollamatest.Answer{Status: 403, Error: "CANARY"}, 502, "", "upstream_error", record.UpstreamError},
		{"tools that the model does not know", ollamatest.Answer{Status: 400, Error: "CANARY does not support tools"}, 400, "tools", "unsupported_parameter", ""},
		{"a conversation that is too long", ollamatest.Answer{Status: 400, Error: "CANARY exceeds the context length"}, 400, "messages", "context_length_exceeded", record.ContextLengthExceeded},
		{"a success of another kind", ollamatest.Answer{Status: 202, Error: "CANARY"}, 502, "", "upstream_error", record.UpstreamError},
		{"a connection cut before the status", ollamatest.Answer{Raw: []string{}, Cut: true}, 502, "", "upstream_error", ""},
		{"a connection cut after the status", ollamatest.Answer{Raw: []string{""}, Cut: true}, 502, "", "upstream_error", record.UpstreamError},
		{"a connection cut after a line that says nothing", ollamatest.Answer{Raw: []string{quietLine}, Cut: true}, 502, "", "upstream_error", record.UpstreamError},
		{"an answer of nothing", ollamatest.Answer{Raw: []string{""}}, 502, "", "upstream_error", record.UpstreamError},
		{"an answer of line breaks", ollamatest.Answer{Raw: []string{"\n\n"}}, 502, "", "upstream_error", record.UpstreamError},
		{"an answer that is never done", ollamatest.Answer{Raw: []string{quietLine}}, 502, "", "upstream_error", record.UpstreamError},
		{"an error line", ollamatest.Answer{Raw: []string{`{"error":"CANARY"}` + "\n"}}, 502, "", "upstream_error", record.UpstreamError},
		{"an error line without an end", ollamatest.Answer{Raw: []string{`{"error":"CANARY"}`}}, 502, "", "upstream_error", record.UpstreamError},
		{"an error line after a line that says nothing", ollamatest.Answer{Raw: []string{quietLine, `{"error":"CANARY"}` + "\n"}}, 502, "", "upstream_error", record.UpstreamError},
		{"a page", ollamatest.Answer{Raw: []string{"<html>CANARY</html>"}}, 502, "", "upstream_error", record.UpstreamError},
	} {
		for kind, body := range both {
			t.Run(test.name+", "+kind, func(t *testing.T) {
				g, _ := start(t, ollamaadapter.Handler{}, answers(test.answer))
				resp := g.post(t, body)
				if param, code := failure(t, resp); resp.StatusCode != test.status || param != test.param || code != test.code {
					t.Errorf("%s, param %q, code %q; want %d, %q, %q", resp.Status, param, code, test.status, test.param, test.code)
				}
				if end := g.ended(t); end.Reason != test.reason {
					t.Errorf("reason %q, want %q", end.Reason, test.reason)
				}
			})
		}
	}
}

func TestAModelThatIsNotThere(t *testing.T) {
	for kind, body := range both {
		t.Run(kind, func(t *testing.T) {
			g, _ := start(t, ollamaadapter.Handler{}, ollamatest.Says("another", "hi"))
			resp := g.post(t, strings.Replace(body, `"model":"m"`, `"model":"CANARY"`, 1))
			if param, code := failure(t, resp); resp.StatusCode != 404 || param != "model" || code != "model_not_found" {
				t.Errorf("%s, param %q, code %q", resp.Status, param, code)
			}
			if end := g.ended(t); end.Reason != record.ModelNotFound {
				t.Errorf("reason %q", end.Reason)
			}
		})
	}
}

func TestAnUpstreamThatCannotBeReached(t *testing.T) {
	closed := ollamatest.NewServer()
	closed.Close()
	g := inFront(t, ollamaadapter.Handler{}, closed.Address())
	check := func(t *testing.T, resp *http.Response) {
		t.Helper()
		if _, code := failure(t, resp); resp.StatusCode != 502 || code != "upstream_error" {
			t.Errorf("%s, code %q", resp.Status, code)
		}
	}
	for kind, body := range both {
		t.Run(kind, func(t *testing.T) { check(t, g.post(t, body)) })
	}
	t.Run("models", func(t *testing.T) { check(t, g.do(t, t.Context(), "GET", "/v1/models", "")) })
}

func TestAnUpstreamThatIsNoOllama(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"not found":        http.NotFound,
		"a redirect":       func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/CANARY", http.StatusFound) },
		"a page":           func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>CANARY</html>")) },
		"unauthorized":     func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "CANARY", http.StatusUnauthorized) },
		"no content":       func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) },
		"an empty success": func(http.ResponseWriter, *http.Request) {},
	} {
		t.Run(name, func(t *testing.T) {
			upstream := httptest.NewServer(answer)
			t.Cleanup(upstream.Close)
			g := inFront(t, ollamaadapter.Handler{}, upstream.Listener.Addr().String())
			for _, resp := range []*http.Response{
				g.post(t, both["whole"]), g.post(t, both["streamed"]), g.do(t, t.Context(), "GET", "/v1/models", ""),
			} {
				if resp.StatusCode != 502 {
					t.Errorf("%s %s: %s: %q", resp.Request.Method, resp.Request.URL.Path, resp.Status, read(t, resp))
					continue
				}
				if _, code := failure(t, resp); code != "upstream_error" {
					t.Errorf("code %q", code)
				}
			}
		})
	}
}

// What fails later ends in an error event. No [DONE] follows: SDKs would take
// what came before for the whole answer.
func TestFailuresMidStream(t *testing.T) {
	for _, test := range []struct {
		name   string
		answer ollamatest.Answer
	}{
		{"a connection cut between two lines", ollamatest.Answer{Raw: []string{firstLine}, Cut: true}},
		{"a connection cut within a line", ollamatest.Answer{Raw: []string{firstLine + finalLine[:20]}, Cut: true}},
		{"an end without a final line", ollamatest.Answer{Raw: []string{firstLine}}},
		{"an end within a line", ollamatest.Answer{Raw: []string{firstLine, finalLine[:20]}}},
		{"an error line", ollamatest.Answer{Raw: []string{firstLine, `{"error":"CANARY"}` + "\n"}}},
		{"an error line together with the first", ollamatest.Answer{Raw: []string{firstLine + `{"error":"CANARY"}` + "\n"}}},
		{"an error line with more after it", ollamatest.Answer{Raw: []string{firstLine, `{"error":"CANARY"}` + "\n", firstLine, finalLine}}},
		{"garbage", ollamatest.Answer{Raw: []string{firstLine, "CANARY\n", finalLine}}},
		{"a line without end", ollamatest.Answer{Raw: []string{firstLine, strings.Repeat(" ", 5<<20), strings.Repeat(" ", 5<<20), finalLine}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			g, _ := start(t, ollamaadapter.Handler{}, answers(test.answer))
			resp := g.post(t, saying(`"stream":true,"stream_options":{"include_usage":true}`))
			if resp.StatusCode != 200 {
				t.Fatalf("%s: %s", resp.Status, read(t, resp))
			}
			var all []string
			events := eventsOf(resp)
			for data := events.next(t); data != ""; data = events.next(t) {
				if strings.Contains(data, canary) {
					t.Errorf("the client is told %s", data)
				}
				all = append(all, told(t, data))
			}
			if want := []string{"role assistant", "hello", "error upstream_error"}; !slices.Equal(all, want) {
				t.Errorf("got %q, want %q", all, want)
			}
			end := g.ended(t)
			if end.err != nil || end.status != 200 || end.Reason != record.UpstreamError {
				t.Errorf("status %d, reason %q, error %v", end.status, end.Reason, end.err)
			}
			if u := end.Usage; u == nil || *u != (record.Usage{OutputTokens: 1, Estimated: true}) {
				t.Errorf("usage %+v", u)
			}
			if len(end.FinishReasons) > 0 {
				t.Errorf("finish reasons %q of an answer that did not finish", end.FinishReasons)
			}
		})
	}
}

func TestAnAnswerWithoutEndIsCutOff(t *testing.T) {
	mebibyte := []byte(strings.Repeat(" ", 1<<20))
	gaveUp := make(chan bool, 1)
	upstream := watch(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/chat" {
			anything(w, r)
			return
		}
		var err error
		for i := 0; i < 1000 && err == nil; i++ {
			_, err = w.Write(mebibyte)
		}
		gaveUp <- err != nil
	})
	g := inFront(t, ollamaadapter.Handler{}, upstream.address())
	resp := g.post(t, saying(""))
	if _, code := failure(t, resp); resp.StatusCode != 502 || code != "upstream_error" {
		t.Errorf("%s, code %q", resp.Status, code)
	}
	if !within(t, gaveUp, "the upstream's end") {
		t.Error("the gateway read a thousand MiB")
	}
}

// The client has its [DONE]; an upstream that goes on must not keep the request open.
func TestAnUpstreamThatGoesOnAfterItsEndIsLeft(t *testing.T) {
	left := make(chan struct{})
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if known, ok := catalogued[r.Method+" "+r.RequestURI]; ok {
			_, _ = w.Write([]byte(known))
			return
		}
		defer close(left)
		_, _ = w.Write([]byte(`{"message":{"content":"hi"},"done":true}` + "\n"))
		for {
			if _, err := w.Write([]byte("{}\n")); err != nil {
				return
			}
			if http.NewResponseController(w).Flush() != nil {
				return
			}
		}
	}))
	t.Cleanup(upstream.Close)
	g := inFront(t, ollamaadapter.Handler{CoalesceLoads: new(bool)}, upstream.Listener.Addr().String())
	if got := read(t, g.post(t, both["streamed"])); !strings.HasSuffix(got, "data: [DONE]\n\n") {
		t.Errorf("got %s", got)
	}
	within(t, left, "the end of the upstream's answer")
	if end := g.ended(t); end.Reason != "" || end.status != 200 {
		t.Errorf("status %d, reason %q", end.status, end.Reason)
	}
}
