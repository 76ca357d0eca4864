package ollamaadapter_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
	"github.com/gateway18789/caddy-ollama/ollamaadapter"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
)

// endless are the first of the words that a model would go on with for ever.
func endless(f form, said ...string) ollamatest.Answer {
	return ollamatest.Answer{Raw: f.lines(said...), Fault: ollamatest.Stall, FaultAt: len(said)}
}

// cutOff is the ending of an answer of so many words that is ended here, in each
// of the choices; Ollama itself has told no counts.
func cutOff(words ...string) wanted {
	tokens := 0
	for _, text := range words {
		tokens += len(strings.Fields(text))
	}
	finish := strings.Join(slices.Repeat([]string{"length"}, len(words)), "|")
	return wanted{
		seen:   seen{http.StatusOK, strings.Join(words, "|"), finish, complete, ""},
		reason: record.OK, finished: finish, usage: &record.Usage{OutputTokens: tokens, Estimated: true},
	}
}

// stopped checks that Ollama got n requests, and was stopped in the last ones of them.
func stopped(t *testing.T, server *ollamatest.Server, n, last int) {
	t.Helper()
	requests := server.Requests()
	if len(requests) != n {
		t.Fatalf("Ollama got %d requests, want %d", len(requests), n)
	}
	for i, request := range requests {
		within(t, request.Ended(), "Ollama's end")
		if request.Cancelled() != (i >= n-last) {
			t.Errorf("request %d of %d: cancelled %v", i+1, n, request.Cancelled())
		}
	}
}

func TestAnAnswerThatTakesTooLongEndsAsIfItHadItsTokens(t *testing.T) {
	tooLong := ollamaadapter.Handler{MaxDuration: *lasting(2 * brief)} // the load of the model is part of it
	inEachForm(t, "amid the words", anyForm, func(t *testing.T, f form, version string) {
		g, server := startOver(t, version, tooLong, answers(endless(f, "one ", "two ")))
		cutOff("one two ").check(t, g, g.ask(t, f))
		stopped(t, server, 1, 1)
	})
	inEachForm(t, "in the second choice", withChoices, func(t *testing.T, f form, version string) {
		g, server := startOver(t, version, tooLong, inTurn(ollamatest.Answer{Raw: f.lines("one ", "two ")}, endless(f, "three ")))
		want := cutOff("one two ", "three ")
		want.finish, want.finished, want.usage.InputTokens = "stop|length", "stop|length", promptTokens
		want.check(t, g, g.ask(t, f, `"n":2`))
		stopped(t, server, 2, 1)
	})
	inEachForm(t, "before the second choice", withChoices, func(t *testing.T, f form, version string) {
		g, server := startOver(t, version, tooLong, answers(endless(f, "one ", "two ")))
		cutOff("one two ", "").check(t, g, g.ask(t, f, `"n":2`))
		stopped(t, server, 1, 1)
	})
}

func TestAnAnswerThatTakesTooLongToBeginIsATimeout(t *testing.T) {
	inEachForm(t, "nothing said", anyForm, func(t *testing.T, f form, version string) {
		stoppedInTime(t, func(limit time.Duration) *ollamatest.Server {
			g, server := startOver(t, version, ollamaadapter.Handler{MaxDuration: *lasting(limit)}, answers(endless(f)))
			trouble{ollamatest.Stall, 0}.wanted(f).check(t, g, g.ask(t, f))
			return server
		})
	})
}

// stoppedInTime checks that Ollama is stopped at a limit. On a loaded machine the limit may be
// over before Ollama has got the request; then a longer one is tried.
func stoppedInTime(t *testing.T, try func(limit time.Duration) *ollamatest.Server) {
	t.Helper()
	for limit := brief; limit < patience; limit *= 2 {
		if server := try(limit); len(server.Requests()) > 0 {
			stopped(t, server, 1, 1)
			return
		}
	}
	t.Error("Ollama never got the request")
}

// An Ollama that does not heed num_predict is stopped at the first word too many.
func TestNoAnswerHasMoreTokensThanItMay(t *testing.T) {
	for _, test := range []struct {
		name    string
		adapter ollamaadapter.Handler
		fields  func(form) []string
	}{
		{"the client's limit", ollamaadapter.Handler{}, func(f form) []string { return []string{f.bounded(2)} }},
		{"the server's", ollamaadapter.Handler{Limits: map[string]float64{"num_predict": 2}}, func(form) []string { return nil }},
		{"the server's for a client that wants more", ollamaadapter.Handler{Limits: map[string]float64{"num_predict": 2}}, func(f form) []string { return []string{f.bounded(9)} }},
	} {
		inEachForm(t, test.name, anyForm, func(t *testing.T, f form, version string) {
			g, server := startOver(t, version, test.adapter, answers(endless(f, "one ", "two ", "three ")))
			cutOff("one two ").check(t, g, g.ask(t, f, test.fields(f)...))
			stopped(t, server, 1, 1)
		})
		inEachForm(t, test.name+" in two choices", withChoices, func(t *testing.T, f form, version string) {
			g, server := startOver(t, version, test.adapter, answers(endless(f, "one ", "two ", "three ")))
			cutOff("one two ", "one two ").check(t, g, g.ask(t, f, append(test.fields(f), `"n":2`)...))
			stopped(t, server, 2, 2)
		})
	}
}

// The word itself stops Ollama, not that it is silent afterwards. On a loaded machine
// that may take long now and then, but not always.
func TestAWordTooManyStopsOllamaAtOnce(t *testing.T) {
	inEachForm(t, "one word too many", anyForm, func(t *testing.T, f form, version string) {
		g, server := startOver(t, version, ollamaadapter.Handler{}, answers(endless(f, "one ", "two ", "three ")))
		for n := range 5 {
			began := time.Now()
			g.ask(t, f, f.bounded(2)).rest(t)
			request := server.Requests()[n]
			within(t, request.Ended(), "Ollama's end")
			if request.EndedAt().Sub(began) < brief {
				return
			}
		}
		t.Error("Ollama went on until its silence was noticed")
	})
}

func TestAnAnswerOfExactlyItsTokensIsOllamasOwn(t *testing.T) {
	inEachForm(t, "as many words as there may be", anyForm, func(t *testing.T, f form, version string) {
		g, server := startOver(t, version, ollamaadapter.Handler{}, answers(ollamatest.Answer{Raw: f.lines(words...)}))
		trouble{}.wanted(f).check(t, g, g.ask(t, f, f.bounded(len(words))))
		stopped(t, server, 1, 0)
	})
}

// What has failed has failed, be the time over too before that has gone round. As if it had
// its tokens, such an answer would end without an end, and for the record be a success.
func TestAnAnswerThatHasFailedIsNotCutOff(t *testing.T) {
	for _, f := range forms {
		t.Run(f.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ollamaadapter.Start()
				t.Cleanup(ollamaadapter.Start)
				next := func(w http.ResponseWriter, r *http.Request) error {
					if known, ok := catalogued[r.Method+" "+r.RequestURI]; ok {
						_, err := io.WriteString(w, known)
						return err
					}
					_, _ = io.WriteString(w, f.lines("hello")[0])
					_, _ = io.WriteString(w, `{"error":"CANARY"}`+"\n")
					<-r.Context().Done()
					panic(http.ErrAbortHandler)
				}
				w, rec := httptest.NewRecorder(), new(record.Record)
				err := serve(t, ollamaadapter.Handler{Native: true, CoalesceLoads: new(bool), MaxDuration: *lasting(brief)}, w, rec, f, next)
				if failed, ok := errors.AsType[caddyhttp.HandlerError](err); ok == f.streamed || ok && failed.StatusCode != http.StatusBadGateway {
					t.Errorf("returned %v", err)
				}
				if rec.Reason != record.UpstreamError {
					t.Errorf("reason %q", rec.Reason)
				}
				if got := w.Body.String(); f.streamed && !strings.Contains(got, `"error"`) || !f.streamed && got != "" {
					t.Errorf("the client sees %s", got)
				}
			})
		})
	}
}

// A bug in a handler behind is not ours to hide, but nothing may be left running of
// the request that met it.
func TestAPanicBehindGoesOnAndLeavesNothingBehind(t *testing.T) {
	for _, f := range forms {
		t.Run(f.name, func(t *testing.T) {
			var asked context.Context
			next := func(w http.ResponseWriter, r *http.Request) error {
				if known, ok := catalogued[r.Method+" "+r.RequestURI]; ok {
					_, err := io.WriteString(w, known)
					return err
				}
				asked = r.Context()
				_, _ = io.WriteString(w, f.lines("hello")[0])
				panic("a bug")
			}
			w, rec := httptest.NewRecorder(), new(record.Record)
			func() {
				defer func() {
					if p := recover(); fmt.Sprint(p) != "a bug" {
						t.Errorf("recovered %v", p)
					}
				}()
				err := serve(t, ollamaadapter.Handler{Native: true, CoalesceLoads: new(bool)}, w, rec, f, next)
				t.Errorf("returned %v", err)
			}()
			if asked.Err() == nil {
				t.Error("what was asked of Ollama goes on")
			}
			if u := rec.Usage; u == nil || *u != (record.Usage{OutputTokens: 1, Estimated: true}) {
				t.Errorf("the record has usage %+v", u)
			}
			if got := w.Body.String(); strings.Contains(got, "[DONE]") || strings.Contains(got, `"done":true`) || !f.streamed && got != "" {
				t.Errorf("the client sees %s", got)
			}
		})
	}
}

// serve lets a handler with this one behind it answer, without a server around both.
func serve(t *testing.T, options ollamaadapter.Handler, w http.ResponseWriter, rec *record.Record, f form, next caddyhttp.HandlerFunc) error {
	t.Helper()
	provisioning.Lock()
	adapter := load[caddyhttp.MiddlewareHandler](t, caddyContext(t), "http.handlers.ollama_adapter", options)
	provisioning.Unlock()
	r := httptest.NewRequestWithContext(record.NewContext(t.Context(), rec), http.MethodPost, f.path, strings.NewReader(f.request()))
	return adapter.ServeHTTP(w, caddyhttp.PrepareRequest(r, caddy.NewReplacer(), w, new(caddyhttp.Server)), next)
}
