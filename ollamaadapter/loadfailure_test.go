package ollamaadapter_test

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
	"github.com/gateway18789/caddy-ollama/ollamaadapter"
)

// loadingBy is an upstream of one model that answers requests to load it with
// answer, and others with a word.
func loadingBy(answer http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		known, own := catalogued[r.Method+" "+r.RequestURI]
		switch {
		case own:
			_, _ = io.WriteString(w, known)
		case onlyLoads(string(body)):
			answer(w, r)
		default:
			anything(w, r)
		}
	}
}

func TestALoadThatFailsIsToldToAllThatWait(t *testing.T) {
	for _, test := range []struct {
		name       string
		status     int
		retryAfter string
		body       string
		want       int
		wantRetry  string
		code       string
		reason     string
	}{
		{"a model that does not fit", 500, "", `{"error":"CANARY requires more system memory"}`, 502, "", "upstream_error", record.UpstreamError},
		{"a model that has gone", 404, "", `{"error":"model 'CANARY' not found"}`, 404, "", "model_not_found", record.ModelNotFound},
		{"an upstream that is no Ollama", 404, "", `CANARY`, 502, "", "upstream_error", record.UpstreamError},
		{"a full queue that says when to come again", 503, "7", `{"error":"CANARY"}`, 503, "7", "server_overloaded", record.UpstreamError},
		{"a full queue that does not", 503, "", `{"error":"CANARY"}`, 503, "5", "server_overloaded", record.UpstreamError},
		{"a proxy in between that waits no longer", 504, "", `CANARY`, 504, "", "upstream_timeout", record.UpstreamError},
	} {
		t.Run(test.name, func(t *testing.T) {
			fail := make(chan struct{})
			g, tap := tapped(t, ollamaadapter.Handler{}, loadingBy(func(w http.ResponseWriter, _ *http.Request) {
				<-fail
				if test.retryAfter != "" {
					w.Header().Set("Retry-After", test.retryAfter)
				}
				w.WriteHeader(test.status)
				_, _ = io.WriteString(w, test.body)
			}))
			askers := g.chats(t, saying(``), saying(`"stream":true`), saying(`"n":2`))
			awaitWaiting(t, 3)
			close(fail)
			for _, a := range askers {
				resp := a.answered(t)
				_, code := failure(t, resp)
				if retry := resp.Header.Get("Retry-After"); resp.StatusCode != test.want || code != test.code || retry != test.wantRetry {
					t.Errorf("%s, code %q, Retry-After %q", resp.Status, code, retry)
				}
			}
			records := make(map[*record.Record]bool)
			for range askers {
				end := g.ended(t)
				records[end.Record] = true
				if end.Reason != test.reason || end.status != test.want || end.Usage != nil {
					t.Errorf("status %d, record %+v", end.status, end.Record)
				}
			}
			if len(records) != 3 {
				t.Errorf("%d records of three requests", len(records))
			}
			if got := tap.heard(); !slices.Equal(got, []string{"load /api/chat"}) {
				t.Errorf("Ollama was asked %q", got)
			}
			g.chats(t, saying(``))[0].answered(t) // nobody remembers a failure
			if got := tap.heard(); !slices.Equal(got, []string{"load /api/chat", "load /api/chat"}) {
				t.Errorf("and later %q", got)
			}
		})
	}
}

// What may be the matter of one request is left to each.
func TestALoadThatIsRefusedLeavesTheRequestsToThemselves(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"as wrong":           func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadRequest) },
		"as one too many":    func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) },
		"without a word":     func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"in the midst of it": cutShort,
	} {
		t.Run(name, func(t *testing.T) {
			refuse := make(chan struct{})
			g, tap := tapped(t, ollamaadapter.Handler{}, loadingBy(func(w http.ResponseWriter, r *http.Request) {
				<-refuse
				answer(w, r)
			}))
			askers := g.chats(t, saying(``), saying(`"stream":true`))
			awaitWaiting(t, 2)
			close(refuse)
			for _, a := range askers {
				a.served(t)
			}
			if got := tap.heard(); !slices.Equal(got, []string{"load /api/chat", "/api/chat", "/api/chat"}) {
				t.Errorf("Ollama was asked %q", got)
			}
		})
	}
}

func cutShort(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "100")
	w.WriteHeader(http.StatusInternalServerError)
	_, _ = io.WriteString(w, `{"error":`)
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

func TestALoadThatFailsAfterHeartbeatsEndsStreamsWithAnErrorEvent(t *testing.T) {
	fail := make(chan struct{})
	g, _ := tapped(t, parsed(t, "heartbeat 10ms"), loadingBy(func(w http.ResponseWriter, _ *http.Request) {
		<-fail
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	events := eventsOf(g.post(t, saying(`"stream":true`)))
	if got := told(t, events.next(t)); got != "role assistant" {
		t.Errorf("the first heartbeat is %q", got)
	}
	close(fail)
	story := events.story(t)
	for len(story) > 0 && story[0] == "" {
		story = story[1:]
	}
	if !slices.Equal(story, []string{"error server_overloaded"}) {
		t.Errorf("got %q", story)
	}
	if end := g.ended(t); end.Reason != record.UpstreamError || end.status != 200 {
		t.Errorf("status %d, record %+v", end.status, end.Record)
	}
}

// A heartbeat that is due just now must not get in between the error and its headers;
// the race detector watches.
func TestALoadThatFailsWhenAHeartbeatIsDue(t *testing.T) {
	const beat = 10 * time.Millisecond
	g, _ := tapped(t, parsed(t, "heartbeat 10ms"), loadingBy(func(w http.ResponseWriter, _ *http.Request) {
		<-time.After(beat)
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	for range 50 {
		resp := g.post(t, saying(`"stream":true`))
		body := read(t, resp)
		if strings.Count(body, `"code":"server_overloaded"`) != 1 || strings.Contains(body, "[DONE]") {
			t.Errorf("%s: %s", resp.Status, body)
		}
		if retry := resp.Header.Get("Retry-After"); resp.StatusCode == 503 && retry != "7" || resp.StatusCode == 200 && retry != "" {
			t.Errorf("%s, Retry-After %q", resp.Status, retry)
		}
	}
}

// On a goroutine of its own, a panic of a handler behind would be the end of all.
func TestAPanicWhileAModelLoadsIsOneRequestsMatter(t *testing.T) {
	w, _, err := before(t, func(w http.ResponseWriter, r *http.Request) error {
		body, _ := io.ReadAll(r.Body)
		if onlyLoads(string(body)) {
			panic("a bug")
		}
		_, err := io.WriteString(w, firstLine+finalLine)
		return err
	}, strings.NewReader(both["streamed"]))
	if err != nil || !strings.HasSuffix(w.Body.String(), "data: [DONE]\n\n") {
		t.Errorf("%v: %s", err, w.Body)
	}
}

func TestAFullQueueRefusesALoad(t *testing.T) {
	g, server := start(t, ollamaadapter.Handler{}, toLoad(make(chan struct{})))
	server.Busy(true)
	resp := g.post(t, saying(``))
	if _, code := failure(t, resp); resp.StatusCode != 503 || code != "server_overloaded" || resp.Header.Get("Retry-After") == "" {
		t.Errorf("%s, code %q, Retry-After %q", resp.Status, code, resp.Header.Get("Retry-After"))
	}
	if len(server.Requests()) > 0 {
		t.Error("Ollama was asked for an answer")
	}
}

func TestALoadThatHangsIsGivenUp(t *testing.T) {
	const limit = 400 * time.Millisecond
	g, server := start(t, parsed(t, "first_byte_timeout 400ms"), toLoad(make(chan struct{})))
	early := g.chats(t, saying(``), saying(`"stream":true`))
	hangs := begun(t, server, 1)
	awaitWaiting(t, 2)
	<-time.After(limit / 2) // so that the load is given up later than by the first ones
	late := time.Now()
	askers := append(early, g.chats(t, saying(``))...)
	for _, a := range askers {
		resp := a.answered(t)
		if _, code := failure(t, resp); resp.StatusCode != 504 || code != "upstream_timeout" {
			t.Errorf("%s, code %q", resp.Status, code)
		}
		if end := g.ended(t); end.Reason != record.UpstreamStalled || end.status != 504 {
			t.Errorf("status %d, record %+v", end.status, end.Record)
		}
	}
	giveUp(t, hangs)
	if took := time.Since(late); took < limit {
		t.Errorf("the load was given up %v after the last client had come, who had %v", took, limit)
	}
	if loads, requests := len(server.Loads()), len(server.Requests()); loads != 1 || requests != 0 {
		t.Errorf("%d loads, %d requests for answers", loads, requests)
	}
}

func TestALoadThatHangsAfterHeartbeats(t *testing.T) {
	g, server := start(t, parsed(t, "first_byte_timeout 300ms\nheartbeat 10ms"), toLoad(make(chan struct{})))
	askers := g.chats(t, saying(`"stream":true`), saying(`"stream":true`))
	hangs := begun(t, server, 1)
	for _, a := range askers {
		body := read(t, a.answered(t))
		if strings.Count(body, `"delta":{}`) < 2 || strings.Contains(body, "[DONE]") ||
			!strings.HasSuffix(body, `"code":"upstream_timeout"}}`+"\n\n") {
			t.Errorf("got %s", body)
		}
		if end := g.ended(t); end.Reason != record.UpstreamStalled || end.status != 200 {
			t.Errorf("status %d, record %+v", end.status, end.Record)
		}
	}
	giveUp(t, hangs)
}

// Whatever else such an upstream is, it must not hold anybody, nor be left working.
func TestAnUpstreamThatAnswersALoadWithoutEnd(t *testing.T) {
	left := make(chan struct{})
	g, tap := tapped(t, ollamaadapter.Handler{}, loadingBy(func(w http.ResponseWriter, _ *http.Request) {
		defer close(left)
		for {
			if _, err := io.WriteString(w, firstLine); err != nil || http.NewResponseController(w).Flush() != nil {
				return
			}
		}
	}))
	for _, a := range g.chats(t, saying(``), saying(`"stream":true`)) {
		a.served(t)
	}
	within(t, left, "the end of the load")
	if got := tap.heard(); !slices.Equal(got, []string{"load /api/chat", "/api/chat", "/api/chat"}) {
		t.Errorf("Ollama was asked %q", got)
	}
}

// An upstream that has begun to answer has the model; the end of that answer is
// nobody's concern.
func TestALoadIsOverWithItsFirstByte(t *testing.T) {
	left := make(chan struct{})
	g, _ := tapped(t, ollamaadapter.Handler{}, loadingBy(func(w http.ResponseWriter, r *http.Request) {
		defer close(left)
		_, _ = io.WriteString(w, firstLine)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	g.chats(t, saying(``))[0].served(t)
	select {
	case <-left:
		t.Error("the load was cut off at once")
	default:
	}
	within(t, left, "the end of the load")
}

func TestHeartbeatsWhileTheModelLoads(t *testing.T) {
	for _, test := range []struct {
		name, path, body string
		beat             string // in a line of its own
		rest             string // is in what comes after the load
	}{
		{"a stream", "/v1/chat/completions", saying(`"stream":true`), `"delta":{`, `[DONE]`},
		{"a text's stream", "/v1/completions", `{"model":"m","prompt":"say","stream":true}`, `"text":""`, `[DONE]`},
		{"a stream of Ollama's own", "/api/chat", nativeChat, `"content":""},"done":false}`, `"done":true`},
		{"a whole answer", "/v1/chat/completions", saying(``), "\n", `"content":"hi"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			load := make(chan struct{})
			g, server := start(t, parsed(t, "native on\nheartbeat 10ms\nheartbeat_json on"), toLoad(load))
			resp := g.do(t, t.Context(), http.MethodPost, test.path, test.body)
			lines := eventsOf(resp).lines
			for beats := 0; beats < 3; {
				line, err := lines.ReadString('\n')
				if err != nil {
					t.Fatal(err)
				}
				if line == "\n" && test.beat != line {
					continue // the end of an event
				}
				if beats++; !strings.Contains(line, test.beat) {
					t.Errorf("a heartbeat is %q", line)
				}
			}
			if n := len(server.Requests()); n > 0 {
				t.Errorf("Ollama was asked for %d answers before it had the model", n)
			}
			load <- struct{}{}
			rest, err := io.ReadAll(lines)
			if err != nil || !strings.Contains(string(rest), "hi") || !strings.Contains(string(rest), test.rest) {
				t.Errorf("%v after %s", err, rest)
			}
			if end := g.ended(t); end.Reason != "" || end.status != 200 || end.Usage == nil || end.Usage.OutputTokens != 1 {
				t.Errorf("status %d, record %+v", end.status, end.Record)
			}
		})
	}
}

// A load that is silent for first_byte_timeout is the failure of the Ollama that was to load
// the model, and not of one that is asked for the first time when the time is over.
func TestALoadThatStallsIsTheFailureOfItsOwnOllama(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		loads := make(chan string, 2)
		stuck := func(address string) http.Handler { return silentAt("/api/chat", func() { loads <- address }) }
		b := inBubble(t, ollamaadapter.Handler{}, leavingOut("round_robin", "a:11434", "b:11434"), map[string]http.Handler{
			"a:11434": stuck("a:11434"), "b:11434": stuck("b:11434"),
		})
		status, rec := b.post(t.Context(), saying(""))
		if status != http.StatusGatewayTimeout || rec.Reason != record.UpstreamStalled {
			t.Errorf("the answer is %d, the reason %q", status, rec.Reason)
		}
		first := <-loads
		if want := (record.UpstreamTurn{Address: first}); len(rec.UpstreamTurns) != 1 || rec.UpstreamTurns[0] != want {
			t.Errorf("%s was to load the model; %v turned", first, rec.UpstreamTurns)
		}
		if b.post(t.Context(), saying("")); len(loads) == 0 || <-loads == first {
			t.Error("the other one is not asked next")
		}
	})
}

// A load that has stalled for one is nothing to begin to wait for: the next request has the
// model loaded anew, maybe by another Ollama. Who waits for it already may wait on,
// but whatever he leaves for, it has stalled.
func TestNobodyElseWaitsForALoadThatHasStalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		loads := make(chan string, 9)
		stuck := func(address string) http.Handler { return silentAt("/api/chat", func() { loads <- address }) }
		b := inBubble(t, ollamaadapter.Handler{}, leavingOut("round_robin", "a:11434", "b:11434"), map[string]http.Handler{
			"a:11434": stuck("a:11434"), "b:11434": stuck("b:11434"),
		})
		ask := func() (leave func(), reason <-chan string) {
			ctx, leave := context.WithCancel(t.Context())
			ended := make(chan string, 1)
			go func() {
				_, rec := b.post(ctx, saying(""))
				ended <- rec.Reason
			}()
			synctest.Wait()
			return leave, ended
		}
		_, early := ask()
		time.Sleep(time.Minute)
		leave, late := ask()
		if reason := <-early; reason != record.UpstreamStalled || len(loads) != 1 {
			t.Fatalf("the first ends with %q after %d loads", reason, len(loads))
		}
		stalled := <-loads
		leaveOther, _ := ask()
		if len(loads) != 1 {
			t.Fatalf("the next has it loaded %d times", len(loads))
		}
		<-loads
		leave()
		if reason := <-late; reason != record.ClientGone {
			t.Errorf("the second ends with %q", reason)
		}
		leaveOther()
		synctest.Wait()
		for range 2 {
			leave, _ := ask()
			if len(loads) != 1 || <-loads == stalled {
				t.Error("the one that has stalled is asked again")
			}
			leave()
			synctest.Wait()
		}
	})
}
