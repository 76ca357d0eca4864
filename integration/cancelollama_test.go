package integration

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gateway18789/caddy-ollama/integration/realollama"
)

// slots is how many requests of a model Ollama serves at a time here
// (OLLAMA_NUM_PARALLEL in realollama).
const slots = 4

// A real Ollama tells in its log that a request has ended, and from which client it
// came. For each state the model is loaded anew: now and then Ollama v0.17.4 loses a
// slot when a client leaves, with a gateway or without, because a goroutine waits for
// ever to hand it a token (server/routes.go). It has all of them again after a load.
func TestARealOllamaStopsWhenItsClientLeaves(t *testing.T) {
	server := realOllama(t)
	for i, test := range []struct {
		name     string
		options  string // of ollama_adapter
		stream   bool
		held     int  // slots, by others
		unloaded bool // each time
		limit    time.Duration
		// reached waits until the request is in that state; log is Ollama's before it
		reached func(v *visitor, r *relay, log string)
	}{
		{"generating", "coalesce_loads off", true, 0, false, promptly, func(v *visitor, _ *relay, _ string) { v.read(20) }},
		{"generating a whole answer", "coalesce_loads off", false, 0, false, promptly, func(v *visitor, r *relay, _ string) {
			within(v.t, "Ollama's first words", func() struct{} { return <-r.answered })
		}},
		{"queued", "coalesce_loads off", true, slots, false, promptly, func(v *visitor, r *relay, _ string) {
			within(v.t, "the request at Ollama", func() struct{} { return <-r.asked })
			// Ollama does not tell that it has put it into its queue
			select {
			case line := <-v.lines:
				v.t.Fatalf("an answer has come: %q", line)
			case <-time.After(200 * time.Millisecond):
			}
		}},
		// Ollama looks four times a second whether the client of a load is still there
		// (WaitUntilRunning in llm/server.go)
		{"loading", "", true, 0, true, promptly + 250*time.Millisecond, func(v *visitor, _ *relay, log string) {
			const loads = "waiting for server to become available"
			before := lastLine(log, loads)
			await(v.t, "Ollama's loading", func() error {
				if lastLine(server.Log(), loads) == before {
					return errors.New("it has not begun")
				}
				return nil
			})
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			unload(t, server)
			r := relayTo(t, server)
			g := startGatewayWith(t, strings.TrimPrefix(r.URL, "http://"), adapting(test.options)...)
			for range test.held {
				other := g.visitor(t, g.from("127.0.0.2"), chatBody("endless", true))
				other.read(1)
				go func() { // Ollama lets all wait for a client that does not read
					for range other.lines {
					}
				}()
				t.Cleanup(func() { other.leave(); <-other.gone })
			}
			source := fmt.Sprintf("127.0.0.%d", 10+i)
			client, line := g.from(source), " "+source+` | POST     "/api/chat"`
			untilWithin(t, test.limit, 10, func() time.Duration {
				if test.unloaded {
					unload(t, server)
				}
				r.forget()
				log := server.Log()
				v := g.visitor(t, client, chatBody("endless", test.stream))
				test.reached(v, r, log)
				left := time.Now()
				v.leave()
				for lastLine(server.Log(), line) == lastLine(log, line) {
					if time.Since(left) > 20*time.Second {
						t.Fatalf("Ollama still works for the client that left\n%s", server.Log())
					}
					<-time.After(time.Millisecond)
				}
				took := time.Since(left)
				<-v.gone
				return took
			})
		})
	}
	unload(t, server) // which Ollama does when nobody uses the model any more
}

// relay is between the gateway and Ollama, and tells of chats.
type relay struct {
	*httptest.Server
	asked    chan struct{} // it is with Ollama
	answered chan struct{} // the answer has begun
}

func relayTo(t *testing.T, server *realollama.Server) *relay {
	t.Helper()
	target, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{asked: make(chan struct{}, 1), answered: make(chan struct{}, 1)}
	tell := func(c chan struct{}) {
		select {
		case c <- struct{}{}:
		default:
		}
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.FlushInterval = -1
	proxy.ErrorLog = log.New(io.Discard, "", 0)
	transport := new(http.Transport)
	proxy.Transport = transport
	proxy.ModifyResponse = func(resp *http.Response) error {
		if resp.Request.URL.Path == "/api/chat" {
			tell(r.answered)
		}
		return nil
	}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/api/chat" {
			req = req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
				WroteRequest: func(httptrace.WroteRequestInfo) { tell(r.asked) },
			}))
		}
		proxy.ServeHTTP(w, req)
	}))
	t.Cleanup(func() {
		r.CloseClientConnections()
		r.Close()
		transport.CloseIdleConnections()
	})
	return r
}

// forget forgets what it would tell.
func (r *relay) forget() {
	for _, c := range []chan struct{}{r.asked, r.answered} {
		select {
		case <-c:
		default:
		}
	}
}

func unload(t *testing.T, server *realollama.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := server.AwaitUnloaded(ctx, "endless"); err != nil {
		t.Fatalf("Ollama does not unload the model: %v\n%s", err, server.Log())
	}
}

// lastLine is the last line of a log that has this part, up to it.
func lastLine(log, part string) string {
	i := strings.LastIndex(log, part)
	if i < 0 {
		return ""
	}
	return log[strings.LastIndex(log[:i], "\n")+1 : i]
}
