package ollamaadapter_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
	"github.com/gateway18789/caddy-ollama/ollamaadapter"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
)

// metric is what a configuration tells of a metric without labels but this one.
func metric(t *testing.T, registry *prometheus.Registry, name, label string) (value float64, present bool) {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.Metric {
			if f.GetName() == name && (label == "" || m.Label[0].GetValue() == label) {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue(), true
			}
		}
	}
	return 0, false
}

// What requests see of the upstream is counted, and told to the record of the first that
// sees it turn. Not parallel: the counts are the whole process's.
func TestRequestsSeeHowTheUpstreamIs(t *testing.T) {
	ctx := caddyContext(t)
	load[caddyhttp.MiddlewareHandler](t, ctx, "http.handlers.ollama_adapter", ollamaadapter.Handler{})
	errorsOf := func(reason string) float64 {
		n, _ := metric(t, ctx.GetMetricsRegistry(), "caddy_ollama_adapter_upstream_errors_total", reason)
		return n
	}
	server := ollamatest.NewServer(answers(ollamatest.Answer{Content: []string{"hi"}}),
		ollamatest.Model{Name: "fails", Answer: answers(ollamatest.Answer{Status: 500, Error: "x"}).Answer})
	address := server.Address()
	g := inFront(t, ollamaadapter.Handler{}, address)
	ask := func(model string, status int, up float64, failures float64, turns ...bool) {
		t.Helper()
		before := errorsOf(record.UpstreamError)
		resp := g.post(t, strings.Replace(saying(""), `"m"`, `"`+model+`"`, 1))
		read(t, resp)
		end := g.ended(t)
		if resp.StatusCode != status {
			t.Errorf("%d, want %d", resp.StatusCode, status)
		}
		if got, _ := metric(t, ctx.GetMetricsRegistry(), "caddy_ollama_adapter_upstream_up", ""); got != up {
			t.Errorf("upstream_up is %v, want %v", got, up)
		}
		if got := errorsOf(record.UpstreamError) - before; got != failures {
			t.Errorf("%v more errors, want %v", got, failures)
		}
		var got []bool
		for _, turn := range end.UpstreamTurns {
			if turn.Address == address {
				got = append(got, turn.Up)
			}
		}
		if len(got) != len(turns) || len(got) > 0 && got[0] != turns[0] {
			t.Errorf("it turned %v, want %v", got, turns)
		}
	}
	read(t, g.post(t, saying(""))) // whatever was down in a test before
	g.ended(t)
	ask("m", 200, 1, 0)
	ask("fails", 502, 1, 1) // an error is an answer
	server.Close()
	ask("m", 502, 0, 1, false)
	ask("m", 502, 0, 1)
	back, err := net.Listen("tcp", address)
	if err != nil {
		t.Skip("the port is another's now")
	}
	again := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(finalLine))
	})}
	go func() { _ = again.Serve(back) }()
	defer again.Close()
	ask("m", 200, 1, 0, true)
	ask("m", 200, 1, 0)
}

func TestAStalledUpstreamIsCountedWithoutAnAuditLog(t *testing.T) {
	ctx := caddyContext(t)
	brief := caddy.Duration(50 * time.Millisecond)
	off := false
	front := load[caddyhttp.MiddlewareHandler](t, ctx, "http.handlers.ollama_adapter",
		ollamaadapter.Handler{FirstByteTimeout: &brief, CoalesceLoads: &off})
	before, _ := metric(t, ctx.GetMetricsRegistry(), "caddy_ollama_adapter_upstream_errors_total", record.UpstreamStalled)
	silent := caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		if r.URL.Path == "/api/chat" {
			<-r.Context().Done()
			return caddyhttp.Error(499, context.Cause(r.Context()))
		}
		return caddyhttp.Error(http.StatusNotFound, nil)
	})
	r := httptest.NewRequest(http.MethodPost, "/v1/chat/completions", strings.NewReader(saying("")))
	w := httptest.NewRecorder()
	if err := front.ServeHTTP(w, caddyhttp.PrepareRequest(r, caddy.NewReplacer(), w, new(caddyhttp.Server)), silent); err == nil {
		t.Fatal("no error")
	}
	if after, _ := metric(t, ctx.GetMetricsRegistry(), "caddy_ollama_adapter_upstream_errors_total", record.UpstreamStalled); after != before+1 {
		t.Errorf("%v stalls, want %v", after, before+1)
	}
}
