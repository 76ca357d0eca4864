package ratelimit

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
	"github.com/gateway18789/caddy-ollama/ratelimit/limit"
)

// metricsSay compares what a configuration's registry tells of some metrics.
func metricsSay(t *testing.T, ctx caddy.Context, want string, names ...string) {
	t.Helper()
	if err := testutil.GatherAndCompare(ctx.GetMetricsRegistry(), strings.NewReader(want), names...); err != nil {
		t.Error(err)
	}
}

func TestMetrics(t *testing.T) {
	requestsTotal.DeletePartialMatch(prometheus.Labels{"zone": "measured"}) // of an earlier run
	ctx := newContext(t)
	throttle := load(t, ctx, `{"rate":"1/h","burst":2,"penalty":{"errors":2,"duration":"10m"},"per_client":1,"exempt":["10.0.0.0/8"],"zone":"measured"}`)
	same := load(t, ctx, `{"rate":"1/h","burst":2,"penalty":{"errors":2,"duration":"10m"},"per_client":1,"exempt":["10.0.0.0/8"],"zone":"measured"}`)
	for range 3 {
		ask(throttle, "192.0.2.1", with(200)) // the third is over the rate
	}
	for range 3 {
		ask(same, "192.0.2.2", with(401)) // the second blocks
	}
	ask(throttle, "10.0.0.1", with(200))
	ask(throttle, "192.0.2.3", func(w http.ResponseWriter, r *http.Request) error {
		ask(throttle, "192.0.2.3", with(200)) // over what it may have in flight
		metricsSay(t, ctx, `
# HELP caddy_ip_throttle_in_flight Requests in flight.
# TYPE caddy_ip_throttle_in_flight gauge
caddy_ip_throttle_in_flight{zone="measured"} 1
`, "caddy_ip_throttle_in_flight")
		return nil
	})
	const all = `
# HELP caddy_ip_throttle_requests_total Requests by what became of them.
# TYPE caddy_ip_throttle_requests_total counter
caddy_ip_throttle_requests_total{verdict="blocked",zone="measured"} 1
caddy_ip_throttle_requests_total{verdict="cancelled",zone="measured"} 0
caddy_ip_throttle_requests_total{verdict="client_gone",zone="measured"} 0
caddy_ip_throttle_requests_total{verdict="client_over_capacity",zone="measured"} 1
caddy_ip_throttle_requests_total{verdict="exempt",zone="measured"} 1
caddy_ip_throttle_requests_total{verdict="over_capacity",zone="measured"} 0
caddy_ip_throttle_requests_total{verdict="passed",zone="measured"} 5
caddy_ip_throttle_requests_total{verdict="rate_limited",zone="measured"} 1
caddy_ip_throttle_requests_total{verdict="store_unavailable",zone="measured"} 0
`
	const now = `
# HELP caddy_ip_throttle_blocked_clients Clients that are blocked.
# TYPE caddy_ip_throttle_blocked_clients gauge
caddy_ip_throttle_blocked_clients{zone="measured"} 1
# HELP caddy_ip_throttle_clients Clients that are remembered.
# TYPE caddy_ip_throttle_clients gauge
caddy_ip_throttle_clients{zone="measured"} 3
# HELP caddy_ip_throttle_in_flight Requests in flight.
# TYPE caddy_ip_throttle_in_flight gauge
caddy_ip_throttle_in_flight{zone="measured"} 0
# HELP caddy_ip_throttle_queue_length Requests that wait for a slot.
# TYPE caddy_ip_throttle_queue_length gauge
caddy_ip_throttle_queue_length{zone="measured"} 0
`
	onlyMeasured := func(ctx caddy.Context) {
		t.Helper()
		// other tests of this process have counted, too
		gatherer := prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) { return zoneOnly(ctx.GetMetricsRegistry(), "measured") })
		if err := testutil.GatherAndCompare(gatherer, strings.NewReader(all), "caddy_ip_throttle_requests_total"); err != nil {
			t.Error(err)
		}
	}
	onlyMeasured(ctx)
	gauges := []string{"caddy_ip_throttle_blocked_clients", "caddy_ip_throttle_clients", "caddy_ip_throttle_in_flight", "caddy_ip_throttle_queue_length"}
	metricsSay(t, ctx, now, gauges...)

	// the next configuration's registry goes on from there
	next := newContext(t)
	load(t, next, `{"rate":"2/h","zone":"measured"}`)
	onlyMeasured(next)
	metricsSay(t, next, now, gauges...)
}

// zoneOnly is what a registry tells of one zone.
func zoneOnly(registry *prometheus.Registry, zone string) ([]*dto.MetricFamily, error) {
	families, err := registry.Gather()
	for _, f := range families {
		f.Metric = slices.DeleteFunc(f.Metric, func(m *dto.Metric) bool {
			return !slices.ContainsFunc(m.Label, func(l *dto.LabelPair) bool { return l.GetName() == "zone" && l.GetValue() == zone })
		})
	}
	return families, err
}

// metricsTold is what a registry tells of one zone: counters and gauges by name and verdict,
// histograms by how much they have counted.
func metricsTold(t *testing.T, ctx caddy.Context, zone string) map[string]float64 {
	t.Helper()
	families, err := zoneOnly(ctx.GetMetricsRegistry(), zone)
	if err != nil {
		t.Fatal(err)
	}
	told := make(map[string]float64)
	for _, f := range families {
		for _, m := range f.Metric {
			name := strings.TrimPrefix(f.GetName(), metricPrefix)
			for _, l := range m.Label {
				if l.GetName() != "zone" {
					name += " " + l.GetValue()
				}
			}
			told[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return told
}

func expectTold(t *testing.T, ctx caddy.Context, zone string, want map[string]float64) {
	t.Helper()
	told := metricsTold(t, ctx, zone)
	for name, n := range want {
		if told[name] != n {
			t.Errorf("%s is %v, want %v", name, told[name], n)
		}
	}
}

func TestMetricsOfTheQueue(t *testing.T) {
	ctx := newContext(t)
	throttle := load(t, ctx, `{"concurrency":1,"queue":{"places":5,"wait":"1m"},"zone":"queued"}`)
	ended := make(chan answered, 1)
	ask(throttle, "192.0.2.1", func(http.ResponseWriter, *http.Request) error {
		go func() { ended <- ask(throttle, "192.0.2.2", with(200)) }()
		until(t, "a request waits", func() bool { return throttle.zone.Waiting() == 1 })
		expectTold(t, ctx, "queued", map[string]float64{"queue_length": 1, "in_flight": 1, "queue_wait_seconds": 0, "requests_total passed": 1})

		r := newRequest("192.0.2.3")
		gone, leave := context.WithCancel(r.Context())
		leave()
		serve(throttle, r.WithContext(gone), with(200))
		expectTold(t, ctx, "queued", map[string]float64{"queue_length": 1, "queue_wait_seconds": 1, "requests_total client_gone": 1})
		return nil
	})
	<-ended
	expectTold(t, ctx, "queued", map[string]float64{"queue_length": 0, "in_flight": 0, "queue_wait_seconds": 2, "requests_total passed": 2})
}

func TestMetricsOfTheConcurrencyInForce(t *testing.T) {
	expect := func(ctx caddy.Context, want ...string) {
		t.Helper()
		text := ""
		for _, series := range want {
			text += "caddy_ip_throttle_concurrency_limit" + series + "\n"
		}
		if text != "" {
			text = "# HELP caddy_ip_throttle_concurrency_limit Requests that may be in flight, where that is limited.\n" +
				"# TYPE caddy_ip_throttle_concurrency_limit gauge\n" + text
		}
		metricsSay(t, ctx, text, "caddy_ip_throttle_concurrency_limit")
	}
	first, endFirst := configuration(t)
	load(t, first, `{"concurrency":5,"zone":"limited"}`)
	load(t, first, `{"rate":"1/s","zone":"free"}`)
	expect(first, `{zone="limited"} 5`)

	second, endSecond := configuration(t)
	load(t, second, `{"concurrency":3,"zone":"limited"}`)
	load(t, second, `{"concurrency":7,"zone":"free"}`)
	expect(second, `{zone="limited"} 5`) // this one may still be rejected
	endFirst()
	expect(second, `{zone="free"} 7`, `{zone="limited"} 3`)

	third := newContext(t)
	load(t, third, `{"rate":"1/s","zone":"limited"}`)
	load(t, third, `{"concurrency":7,"zone":"free"}`)
	endSecond()
	expect(third, `{zone="free"} 7`)
}

func TestMetricsOfBlocks(t *testing.T) {
	ctx := newContext(t)
	throttle := load(t, ctx, `{"penalty":{"errors":2,"duration":"10m"},"penalty_window":{"errors":3,"duration":"10m"},"zone":"blocks"}`)
	for range 2 {
		ask(throttle, "192.0.2.1", with(401))
	}
	for range 3 {
		ask(throttle, "192.0.2.2", with(401))
		ask(throttle, "192.0.2.2", with(200))
	}
	callAdmin(t, http.MethodPost, blocksPath, `{"client":"192.0.2.3","duration":"1h"}`)
	callAdmin(t, http.MethodPost, blocksPath, `{"client":"192.0.2.4","duration":"1h"}`)
	expectTold(t, ctx, "blocks", map[string]float64{
		"blocks_total errors_in_a_row": 1, "blocks_total errors_in_window": 1, "blocks_total by_hand": 2, "blocked_clients": 4,
	})
}

// As `promtool check metrics` does.
func TestMetricsKeepToPrometheusRules(t *testing.T) {
	ctx := newContext(t)
	load(t, ctx, usual)
	families, err := ctx.GetMetricsRegistry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	var ours []string
	for _, f := range families {
		if strings.HasPrefix(f.GetName(), metricPrefix) {
			ours = append(ours, f.GetName())
		}
	}
	problems, err := testutil.GatherAndLint(ctx.GetMetricsRegistry(), ours...)
	if err != nil || len(ours) < 7 {
		t.Fatalf("metrics %v: %v", ours, err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// As long as both configurations live, two zones have one name.
func TestMetricsWhileAnotherStoreTakesOver(t *testing.T) {
	old, endOld := configuration(t)
	before := load(t, old, `{"rate":"1/h","concurrency":2,"zone":"moving"}`)
	ask(before, "192.0.2.1", with(200))
	fresh := newContext(t)
	load(t, fresh, `{"rate":"1/h","concurrency":3,"zone":"moving","redis":{"address":"127.0.0.1:1"}}`)
	const want = `
# HELP caddy_ip_throttle_clients Clients that are remembered.
# TYPE caddy_ip_throttle_clients gauge
caddy_ip_throttle_clients{zone="moving"} %d
# HELP caddy_ip_throttle_concurrency_limit Requests that may be in flight, where that is limited.
# TYPE caddy_ip_throttle_concurrency_limit gauge
caddy_ip_throttle_concurrency_limit{zone="moving"} %d
`
	names := []string{"caddy_ip_throttle_clients", "caddy_ip_throttle_concurrency_limit"}
	metricsSay(t, fresh, fmt.Sprintf(want, 1, 2+3), names...) // each has slots of its own
	endOld()
	metricsSay(t, fresh, fmt.Sprintf(want, 0, 3), names...)
}

func TestNoMetricNamesAClient(t *testing.T) {
	ctx := newContext(t)
	throttle := load(t, ctx, usual)
	for range 4 {
		ask(throttle, "192.0.2.77", with(401))
	}
	families, err := ctx.GetMetricsRegistry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, f := range families {
		if strings.HasPrefix(f.GetName(), metricPrefix) {
			seen++
			if strings.Contains(f.String(), "192.0.2.77") {
				t.Errorf("%s names a client", f.GetName())
			}
		}
	}
	if seen < 7 {
		t.Errorf("only %d metrics are told", seen)
	}
}

// listener keeps the events that it hears.
type listener struct {
	mu     sync.Mutex
	events []map[string]any
}

func (l *listener) Handle(_ context.Context, e caddy.Event) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, e.Data)
	return nil
}

func (l *listener) heard() []map[string]any {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.events
}

// listen subscribes to blocks in all configurations of an installation, and to other events.
func listen(t *testing.T, ctx caddy.Context, others ...string) *listener {
	t.Helper()
	app, err := ctx.App("events")
	if err != nil {
		t.Fatal(err)
	}
	l := new(listener)
	if err := app.(*caddyevents.App).Subscribe(&caddyevents.Subscription{Events: append(others, eventBlocked), Handlers: []caddyevents.Handler{l}}); err != nil {
		t.Fatal(err)
	}
	if err := app.(*caddyevents.App).Start(); err != nil {
		t.Fatal(err)
	}
	return l
}

func TestABlockIsAnEvent(t *testing.T) {
	stillZone(t)
	ctx := newContext(t)
	l := listen(t, ctx)
	throttle := load(t, ctx, `{"penalty":{"errors":2,"duration":"10m"}}`)
	for range 3 {
		ask(throttle, "2001:db8::7", with(401))
	}
	events := l.heard()
	if len(events) != 1 {
		t.Fatalf("%d events of one block", len(events))
	}
	for name, want := range map[string]any{
		"zone": "default", "client": "2001:db8::/64", "client_ip": "2001:db8::7",
		"cause": string(limit.ErrorsInARow), "seconds": 600, "repeats": 0,
	} {
		if events[0][name] != want {
			t.Errorf("%s is %v, want %v", name, events[0][name], want)
		}
	}
	since, err := time.Parse(time.RFC3339Nano, events[0]["since"].(string))
	end, err2 := time.Parse(time.RFC3339Nano, events[0]["until"].(string))
	if err != nil || err2 != nil || end.Sub(since) != 10*time.Minute {
		t.Errorf("from %v to %v", events[0]["since"], events[0]["until"])
	}
}

// Where the request has a record, the event waits until that is complete, and has it too.
func TestTheEventOfABlockHasTheRecordOfItsRequest(t *testing.T) {
	stillZone(t)
	ctx := newContext(t)
	l := listen(t, ctx)
	throttle := load(t, ctx, `{"penalty":{"errors":1,"duration":"10m"}}`)
	rec := new(record.Record)
	r := newRequest("192.0.2.1")
	serve(throttle, r.WithContext(record.NewContext(r.Context(), rec)), with(401))
	if n := len(l.heard()); n != 0 {
		t.Fatalf("%d events before the request's end", n)
	}
	rec.Reason, rec.RequestID, rec.Status = record.NoToken, "r-1", 401
	rec.End()
	events := l.heard()
	if len(events) != 1 {
		t.Fatalf("%d events of one block", len(events))
	}
	for name, want := range map[string]any{
		"client_ip": "192.0.2.1", "cause": string(limit.ErrorsInARow), "http.request.id": "r-1", "event.reason": "no_token",
		"http.response.status_code": 401,
	} {
		if events[0][name] != want {
			t.Errorf("%s is %v, want %v", name, events[0][name], want)
		}
	}
}

// Whoever is to be told of a user by a pseudonym only must not find the name beside it.
func TestTheEventOfABlockCallsAUserAsTheRecordDoes(t *testing.T) {
	for _, test := range []struct{ name, record, want string }{
		{"by a pseudonym", "pseudonym_1", "pseudonym_1"},
		{"by name", "ann", "ann"},
	} {
		t.Run(test.name, func(t *testing.T) {
			stillZone(t)
			ctx := newContext(t)
			l := listen(t, ctx)
			throttle := load(t, ctx, `{"penalty":{"errors":1,"duration":"10m"},"key":"{http.auth.user.id}"}`)
			rec := &record.Record{UserID: "ann"}
			r := newRequest("192.0.2.1")
			r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer).Set("http.auth.user.id", "ann")
			serve(throttle, r.WithContext(record.NewContext(r.Context(), rec)), with(400))
			rec.UserID = test.record // as audit_log does it, at the end
			rec.End()
			if events := l.heard(); len(events) != 1 || events[0]["client"] != test.want || events[0]["user.id"] != test.want {
				t.Errorf("the events are %v", events)
			}
		})
	}
}

// Events of a configuration that has ended reach nobody: the next one's are used.
func TestABlockByAnOldConfigurationsStreamIsAnEventOfTheNew(t *testing.T) {
	base := installation(t)
	l := listen(t, base)
	old, endOld := caddy.NewContext(base)
	before := load(t, old, `{"penalty":{"errors":1,"duration":"10m"}}`)
	fresh, endFresh := caddy.NewContext(base)
	defer endFresh()
	ask(before, "192.0.2.1", func(w http.ResponseWriter, r *http.Request) error {
		load(t, fresh, `{"penalty":{"errors":1,"duration":"10m"}}`)
		endOld()
		return with(401)(w, r)
	})
	if n := len(l.heard()); n != 1 {
		t.Errorf("%d events", n)
	}
}

func TestWhoHasLeftForGoodTellsNobody(t *testing.T) {
	ctx, end := configuration(t)
	throttle := load(t, ctx, `{"penalty":{"errors":1,"duration":"10m"}}`)
	ask(throttle, "192.0.2.1", func(w http.ResponseWriter, r *http.Request) error {
		end() // the process stops
		return with(401)(w, r)
	})
}
