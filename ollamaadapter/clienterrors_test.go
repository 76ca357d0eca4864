package ollamaadapter_test

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gateway18789/caddy-ollama/ollamaadapter"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
)

// What has a status of its own keeps the clients' rules for errors: they decide by
// the status and retry, or do not; and most show the message to their users.
func TestErrorStatusesKeepTheRulesOfTheirClients(t *testing.T) {
	says := func(answer ollamatest.Answer) []ollamatest.Model { return []ollamatest.Model{answers(answer)} }
	for _, test := range []struct {
		name   string
		models []ollamatest.Model
		fields string
		status int
	}{
		{"a runner that failed at once", says(ollamatest.Answer{Status: 500, Error: canary}), ``, 502},
		{"an error line first", says(ollamatest.Answer{Raw: []string{`{"error":"CANARY"}` + "\n"}}), ``, 502},
		{"a cut first", says(ollamatest.Answer{Fault: ollamatest.Cut}), ``, 502},
		{"a stall first", says(ollamatest.Answer{Fault: ollamatest.Stall}), ``, 504},
		{"a full queue", says(ollamatest.Answer{Status: 503, Error: canary}), ``, 503},
		{"a model that is not there", says(ollamatest.Answer{Status: 404, Error: "model 'CANARY' not found"}), ``, 404},
		{"a conversation that is too long", says(ollamatest.Answer{Status: 400, Error: "CANARY exceeds the context length"}), ``, 400},
		{"a request that is refused here", says(ollamatest.Answer{}), `"n":9`, 400},
		{"a field of the wrong type", says(ollamatest.Answer{}), `"temperature":"CANARY"`, 400},
	} {
		for _, kind := range []string{`"stream":false`, `"stream":true`} {
			t.Run(test.name+", "+kind, func(t *testing.T) {
				g, _ := start(t, ollamaadapter.Handler{FirstByteTimeout: lasting(shortStall)}, test.models...)
				fields := kind
				if test.fields != "" {
					fields += "," + test.fields
				}
				resp := g.post(t, saying(fields))
				if resp.StatusCode != test.status {
					t.Errorf("%s, want %d", resp.Status, test.status)
				}
				keepsErrorRules(t, resp)
			})
		}
	}
}

// Clients of OpenAI's SDKs wait as long as they are told, but no longer than 60 s.
func TestABusyOllamaIsToldWithAWaitThatClientsKeep(t *testing.T) {
	for _, test := range []struct{ name, own, want string }{
		{"of our own", "", "5"}, {"as Ollama says", "7", "7"}, {"no longer than a minute", "3600", "60"}, {"no less than a second", "0", "1"},
		{"in seconds, where a proxy of Ollama's gives a date", "Wed, 21 Oct 2026 07:28:00 GMT", "5"},
		{"not negative", "-1", "5"}, {"not without end", "99999999999999999999", "5"},
	} {
		t.Run(test.name, func(t *testing.T) {
			upstream := watch(t, func(w http.ResponseWriter, _ *http.Request) {
				if test.own != "" {
					w.Header().Set("Retry-After", test.own)
				}
				w.WriteHeader(http.StatusServiceUnavailable)
				_, _ = io.WriteString(w, `{"error":"server busy, please try again"}`)
			})
			g := inFront(t, ollamaadapter.Handler{}, upstream.address())
			for _, body := range both {
				resp := g.post(t, body)
				if got := resp.Header.Get("Retry-After"); resp.StatusCode != 503 || got != test.want {
					t.Errorf("%s, Retry-After %q, want %s", resp.Status, got, test.want)
				}
				keepsErrorRules(t, resp)
			}
		})
	}
}

// keepsErrorRules checks an answer that is an error.
func keepsErrorRules(t *testing.T, resp *http.Response) {
	t.Helper()
	if got := resp.Header.Values("Content-Type"); !slices.Equal(got, []string{"application/json"}) {
		t.Errorf("content type %q", got)
	}
	body := read(t, resp)
	var object map[string]map[string]any
	if err := json.Unmarshal([]byte(body), &object); err != nil || !slices.Equal(slices.Collect(maps.Keys(object)), []string{"error"}) {
		t.Fatalf("%v: %s", err, body)
	}
	if wrong := badError(object["error"]); wrong != "" {
		t.Errorf("%s: %s", wrong, body)
	}
	if kind := object["error"]["type"]; (kind == "server_error") != (resp.StatusCode >= 500) {
		t.Errorf("%s is a %s", resp.Status, kind)
	}
	wait := resp.Header.Values("Retry-After")
	if resp.StatusCode != http.StatusServiceUnavailable {
		if len(wait) > 0 {
			t.Errorf("%s with Retry-After %q", resp.Status, wait)
		}
		return
	}
	if seconds, err := strconv.Atoi(strings.Join(wait, ", ")); err != nil || seconds < 1 || seconds > 60 {
		t.Errorf("Retry-After %q, want whole seconds up to 60", wait)
	}
}

func TestNothingIsSentBeforeTheFirstHeartbeatIsDue(t *testing.T) {
	const interval = 400 * time.Millisecond
	for kind, body := range both {
		t.Run(kind+", and an answer that does not come", func(t *testing.T) {
			g, server := start(t, ollamaadapter.Handler{Heartbeat: lasting(interval), HeartbeatJSON: true},
				answers(ollamatest.Answer{Pace: make(chan struct{})}))
			sent := time.Now()
			resp := g.post(t, body) // comes with the first byte
			if took := time.Since(sent); took < interval || resp.StatusCode != 200 {
				t.Errorf("%s after %v", resp.Status, took)
			}
			server.Close()
		})
		t.Run(kind+", and an answer that fails before", func(t *testing.T) {
			g, _ := start(t, ollamaadapter.Handler{Heartbeat: lasting(patience), HeartbeatJSON: true},
				answers(ollamatest.Answer{Fault: ollamatest.Cut}))
			resp := g.post(t, body)
			if resp.StatusCode != 502 {
				t.Errorf("%s", resp.Status)
			}
			keepsErrorRules(t, resp)
		})
	}
}

// SDKs skip white space before a whole answer, and know a connection that breaks off
// from an answer.
func TestAWholeAnswerThatIsKeptAlive(t *testing.T) {
	for _, test := range []struct {
		name   string
		answer ollamatest.Answer
		fails  bool
	}{
		{"comes after white space", ollamatest.Answer{Content: pieces}, false},
		{"is broken off if Ollama fails", ollamatest.Answer{Content: pieces, Fault: ollamatest.ErrorLine, FaultAt: 1}, true},
		{"is broken off if it fails before its first word", ollamatest.Answer{Fault: ollamatest.Cut}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			pace := make(chan struct{})
			test.answer.Pace = pace
			g, server := start(t, ollamaadapter.Handler{Heartbeat: lasting(20 * time.Millisecond), HeartbeatJSON: true}, answers(test.answer))
			resp := g.post(t, saying(""))
			if got := resp.Header.Values("Content-Type"); resp.StatusCode != 200 || !slices.Equal(got, []string{"application/json"}) {
				t.Errorf("%s, content type %q", resp.Status, got)
			}
			beats := make([]byte, 3)
			if _, err := io.ReadFull(resp.Body, beats); err != nil || strings.TrimSpace(string(beats)) != "" {
				t.Errorf("before the answer came %q, %v", beats, err)
			}
			goOn(t, server, pace)
			body, err := io.ReadAll(resp.Body)
			if test.fails {
				if !errors.Is(err, io.ErrUnexpectedEOF) || strings.TrimSpace(string(body)) != "" {
					t.Errorf("got %q, %v; want a connection that breaks off", body, err)
				}
				return
			}
			var completion struct {
				Choices []struct{ Message ollama.Message }
			}
			if err != nil || json.Unmarshal(body, &completion) != nil || len(completion.Choices) != 1 || completion.Choices[0].Message.Content != "hello" {
				t.Errorf("got %q, %v", body, err)
			}
		})
	}
}

// goOn lets a scripted answer go on to its end.
func goOn(t *testing.T, server *ollamatest.Server, pace chan<- struct{}) {
	t.Helper()
	request := arrived(t, server)
	for {
		select {
		case pace <- struct{}{}:
		case <-request.Ended():
			return
		case <-time.After(patience):
			t.Fatal("Ollama's answer does not end")
		}
	}
}
