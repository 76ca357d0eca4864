package ollamaadapter_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
	"github.com/gateway18789/caddy-ollama/ollamaadapter"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
)

// often is an interval of heartbeats that a test waits for.
const often = 20 * time.Millisecond

// held is a model that answers in the same way to all, once it is let go.
func held(answer ollamatest.Answer) (model ollamatest.Model, letGo func()) {
	gate := make(chan struct{})
	return ollamatest.Model{Name: "m", Answer: func(ollama.ChatRequest) ollamatest.Answer {
		<-gate
		return answer
	}}, func() { close(gate) }
}

// lateFaults are what can go wrong before Ollama's first word, but after a heartbeat.
var lateFaults = []struct {
	name         string
	answer       ollamatest.Answer
	code, reason string
}{
	{"an error line", ollamatest.Answer{Fault: ollamatest.ErrorLine}, "upstream_error", record.UpstreamError},
	{"an end of nothing", ollamatest.Answer{Fault: ollamatest.CleanClose}, "upstream_error", record.UpstreamError},
	{"a connection reset", ollamatest.Answer{Fault: ollamatest.Reset}, "upstream_error", record.UpstreamError},
	{"a failure", ollamatest.Answer{Status: 500, Error: "CANARY"}, "upstream_error", record.UpstreamError},
	{"a full queue", ollamatest.Answer{Status: 503, Error: "CANARY"}, "server_overloaded", record.UpstreamError},
	{"a model that is gone", ollamatest.Answer{Status: 404, Error: "model 'CANARY' not found"}, "model_not_found", record.ModelNotFound},
	{"a conversation that is too long", ollamatest.Answer{Status: 400, Error: "CANARY exceeds the context length"}, "context_length_exceeded", record.ContextLengthExceeded},
	{"a bad request", ollamatest.Answer{Status: 400, Error: "CANARY"}, "invalid_value", record.BadRequest},
	{"a stall", ollamatest.Answer{Fault: ollamatest.Stall}, "upstream_timeout", record.UpstreamStalled},
}

func TestAFaultAfterAHeartbeatIsToldInTheStream(t *testing.T) {
	for _, test := range lateFaults {
		inEachForm(t, test.name, streamed, func(t *testing.T, f form, version string) {
			model, letGo := held(test.answer)
			g, server := startOver(t, version, ollamaadapter.Handler{Heartbeat: lasting(often), FirstByteTimeout: untilStall(test.answer)}, model)
			l := g.ask(t, f)
			l.hear(t, 3)
			letGo()
			wanted{seen: seen{status: http.StatusOK, ending: failed, code: test.code}, reason: test.reason}.check(t, g, l)
			within(t, arrived(t, server).Ended(), "Ollama's end")
		})
	}
}

func TestAnAnswerOfNothingButHeartbeatsIsATimeout(t *testing.T) {
	inEachForm(t, "max_duration", streamed, func(t *testing.T, f form, version string) {
		stoppedInTime(t, func(limit time.Duration) *ollamatest.Server {
			g, server := startOver(t, version, ollamaadapter.Handler{MaxDuration: *lasting(limit), Heartbeat: lasting(often)}, answers(endless(f)))
			l := g.ask(t, f)
			want := trouble{ollamatest.Stall, 0}.wanted(f)
			want.status = http.StatusOK
			want.check(t, g, l)
			if l.beats == 0 {
				t.Error("there was no heartbeat")
			}
			return server
		})
	})
}

// untilStall is a time-out that is over only for an answer that stalls.
func untilStall(answer ollamatest.Answer) *caddy.Duration {
	if answer.Fault == ollamatest.Stall {
		return lasting(brief)
	}
	return nil
}

// After white space nothing can be told any more but by cutting the connection.
func TestAFaultAfterAHeartbeatCutsAWholeAnswerOff(t *testing.T) {
	for _, test := range lateFaults {
		inEachForm(t, test.name, whole, func(t *testing.T, f form, version string) {
			model, letGo := held(test.answer)
			g, server := startOver(t, version, ollamaadapter.Handler{
				Heartbeat: lasting(often), HeartbeatJSON: true, FirstByteTimeout: untilStall(test.answer),
			}, model)
			l := g.ask(t, f) // the first heartbeat brings the status
			letGo()
			body, err := io.ReadAll(l.resp.Body)
			if err == nil || l.seen.status != http.StatusOK || len(body) == 0 || strings.TrimSpace(string(body)) != "" {
				t.Errorf("the client sees %d, %q, %v", l.seen.status, body, err)
			}
			wanted{seen: seen{status: http.StatusOK}, reason: test.reason}.checkRecord(t, g, f)
			within(t, arrived(t, server).Ended(), "Ollama's end")
		})
	}
}

func TestHeartbeatsBeforeAndBetweenWordsChangeNothing(t *testing.T) {
	inEachForm(t, "two choices", streamed, func(t *testing.T, f form, version string) {
		choices, fields := 2, []string{`"n":2`}
		if f.native() {
			choices, fields = 1, nil
		}
		pace := make(chan struct{})
		g, _ := startOver(t, version, ollamaadapter.Handler{Heartbeat: lasting(often)},
			answers(ollamatest.Answer{Raw: f.lines(words...), Pace: pace}))
		l := g.ask(t, f, fields...)
		for range choices * (len(words) + 1) {
			l.hear(t, 2)
			pace <- struct{}{}
		}
		all := strings.Join(words, "")
		want := wanted{
			seen: seen{http.StatusOK, all, "stop", complete, ""}, reason: record.OK, finished: "stop",
			usage: &record.Usage{InputTokens: choices * promptTokens, OutputTokens: choices * len(words)},
		}
		if choices == 2 {
			want.text, want.finish, want.finished = all+"|"+all, "stop|stop", "stop|stop"
		}
		want.check(t, g, l)
	})
}

func TestHeartbeatsBeforeAWholeAnswerLeaveItWhole(t *testing.T) {
	inEachForm(t, "white space", whole, func(t *testing.T, f form, version string) {
		model, letGo := held(ollamatest.Answer{Raw: f.lines(words...)})
		g, _ := startOver(t, version, ollamaadapter.Handler{Heartbeat: lasting(often), HeartbeatJSON: true}, model)
		l := g.ask(t, f)
		if first, err := l.body.Peek(2); string(first) != "\n\n" {
			t.Errorf("the answer begins with %q, %v", first, err)
		}
		letGo()
		trouble{}.wanted(f).check(t, g, l)
	})
}

// A real status is worth more than an early sign of life.
func TestAFastFailureKeepsItsStatusThoughThereAreHeartbeats(t *testing.T) {
	x := trouble{ollamatest.ErrorLine, 0}
	inEachForm(t, x.String(), anyForm, func(t *testing.T, f form, version string) {
		g, _ := startOver(t, version, ollamaadapter.Handler{Heartbeat: lasting(patience), HeartbeatJSON: true},
			answers(ollamatest.Answer{Raw: f.lines(words...), Fault: x.fault, FaultAt: x.at}))
		x.wanted(f).check(t, g, g.ask(t, f))
	})
}

func TestAWholeAnswerHasNoHeartbeatsUnlessAskedFor(t *testing.T) {
	x := trouble{ollamatest.Stall, 0}
	inEachForm(t, x.String(), whole, func(t *testing.T, f form, version string) {
		g, _ := startOver(t, version, ollamaadapter.Handler{Heartbeat: lasting(often), FirstByteTimeout: lasting(brief)},
			answers(ollamatest.Answer{Raw: f.lines(words...), Fault: x.fault, FaultAt: x.at}))
		x.wanted(f).check(t, g, g.ask(t, f))
	})
}

// The upstream stays for a while after its last line. A client that has its [DONE]
// must hear nothing of that.
func TestNoHeartbeatAfterTheEnd(t *testing.T) {
	x := trouble{ollamatest.Stall, ollamatest.AfterDone}
	inEachForm(t, x.String(), streamed, func(t *testing.T, f form, version string) {
		g, server := startOver(t, version, ollamaadapter.Handler{Heartbeat: lasting(often)},
			answers(ollamatest.Answer{Raw: f.lines(words...), Fault: x.fault, FaultAt: x.at}))
		x.wanted(f).check(t, g, g.ask(t, f))
		x.checkUpstream(t, server)
	})
}

// jealous is a ResponseWriter that notices when two use it at a time: each use of it
// takes so long that a heartbeat falls into it.
type jealous struct {
	http.ResponseWriter
	t    *testing.T
	used atomic.Bool
}

func (w *jealous) use() {
	if w.used.Swap(true) {
		w.t.Error("the client's writer is used by two at a time")
	}
	time.Sleep(2 * often) // so that another use, if there is one, falls into it
	w.used.Store(false)
}

func (w *jealous) Header() http.Header {
	w.use()
	return w.ResponseWriter.Header()
}

func (w *jealous) WriteHeader(status int) {
	w.use()
	w.ResponseWriter.WriteHeader(status)
}

func (w *jealous) Write(p []byte) (int, error) {
	w.use()
	return w.ResponseWriter.Write(p)
}

func TestTheClientsWriterIsUsedByOneAtATime(t *testing.T) {
	f := forms[1]
	for name, answer := range map[string]func(http.ResponseWriter){
		"an answer":    func(w http.ResponseWriter) { _, _ = io.WriteString(w, strings.Join(f.lines(words...), "")) },
		"an error":     func(w http.ResponseWriter) { _, _ = io.WriteString(w, `{"error":"CANARY"}`) },
		"a failure":    func(w http.ResponseWriter) { w.WriteHeader(http.StatusInternalServerError) },
		"a full queue": func(w http.ResponseWriter) { w.WriteHeader(http.StatusServiceUnavailable) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			next := func(w http.ResponseWriter, r *http.Request) error {
				if known, ok := catalogued[r.Method+" "+r.RequestURI]; ok {
					_, err := io.WriteString(w, known)
					return err
				}
				answer(w)
				return nil
			}
			w := &jealous{ResponseWriter: httptest.NewRecorder(), t: t}
			_ = serve(t, ollamaadapter.Handler{CoalesceLoads: new(bool), Heartbeat: lasting(often)}, w, new(record.Record), f, next)
		})
	}
}
