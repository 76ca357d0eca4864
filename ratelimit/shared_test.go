package ratelimit

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/gateway18789/caddy-ollama/ratelimit/redis/redistest"
	"github.com/gateway18789/caddy-ollama/ratelimit/redisconfig"
)

func TestHandlerOnRedis(t *testing.T) {
	server := redistest.Start(t)
	throttle := load(t, newContext(t), fmt.Sprintf(
		`{"rate":"1/h","burst":2,"zone":"shared","penalty":{"errors":1,"duration":"1h"},"redis":{"address":%q,"timeout":1000000000}}`, server.Address))
	for range 2 {
		if a := ask(throttle, "192.0.2.1", with(200)); a.status != 200 {
			t.Fatalf("status %d within the burst", a.status)
		}
	}
	if a := ask(throttle, "192.0.2.1", with(200)); a.status != 429 || a.header.Get("Retry-After") == "" {
		t.Errorf("status %d, Retry-After %q beyond the burst", a.status, a.header.Get("Retry-After"))
	}
	ask(throttle, "192.0.2.2", with(401))
	if a := ask(throttle, "192.0.2.2", with(200)); a.status != 403 {
		t.Errorf("status %d after an error that blocks", a.status)
	}
	server.Kill()
	if a := ask(throttle, "192.0.2.1", with(200)); a.status != 429 {
		t.Errorf("status %d without Redis: a second budget", a.status)
	}
	if a := ask(throttle, "192.0.2.2", with(200)); a.status != 403 {
		t.Errorf("status %d without Redis: the block is forgotten", a.status)
	}
	if a := ask(throttle, "192.0.2.3", with(200)); a.status != 200 {
		t.Errorf("status %d without Redis", a.status)
	}
}

func TestHandlerThatRefusesWithoutRedis(t *testing.T) {
	throttle := load(t, newContext(t), `{"rate":"1/h","zone":"strict","redis":{"address":"127.0.0.1:1"},"on_store_failure":"refuse"}`)
	a := ask(throttle, "192.0.2.1", with(200))
	if a.status != 503 || a.header.Get("Retry-After") != "1" || a.passed {
		t.Errorf("status %d, Retry-After %q", a.status, a.header.Get("Retry-After"))
	}
}

func TestOneZoneHasOneStore(t *testing.T) {
	ctx := newContext(t)
	load(t, ctx, `{"rate":"1/h","zone":"torn"}`)
	_, err := ctx.LoadModuleByID("http.handlers.ip_throttle", []byte(`{"rate":"1/h","zone":"torn","redis":{"address":"127.0.0.1:1"}}`))
	if err == nil || !strings.Contains(err.Error(), "different stores") {
		t.Errorf("one zone in memory and in Redis: %v", err)
	}
	load(t, ctx, `{"rate":"1/h","zone":"other","redis":{"address":"127.0.0.1:1"}}`)
	_, err = ctx.LoadModuleByID("http.handlers.ip_throttle",
		[]byte(`{"rate":"1/h","zone":"other","redis":{"address":"127.0.0.1:1"},"on_store_failure":"refuse"}`))
	if err == nil || !strings.Contains(err.Error(), "different stores") {
		t.Errorf("one zone that refuses and does not without Redis: %v", err)
	}
}

func TestStoreInACaddyfile(t *testing.T) {
	for _, test := range []struct{ name, options, want string }{
		{"redis", "store redis {\n address a:1\n}\non_store_failure refuse", ""},
		{"memory", "store memory", ""},
		{"redis for three gateways", "store redis {\n address a:1\n}\ngateways 3", ""},
		{"gateways that share nothing", "gateways 3", "only store redis is shared"},
		{"no gateway", "store redis {\n address a:1\n}\ngateways 0", "greater than 0"},
		{"too many gateways", "store redis {\n address a:1\n}\ngateways 1001", "from 1 to 1000"},
		{"a failure of memory", "on_store_failure local", "only store redis can fail"},
		{"another failure", "store redis {\n address a:1\n}\non_store_failure shrug", "must be local, refuse or allow"},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := new(Throttle).UnmarshalCaddyfile(caddyfile.NewTestDispenser("ip_throttle {\n" + test.options + "\n}"))
			switch {
			case test.want == "" && err != nil:
				t.Error(err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "Testfile:")):
				t.Errorf("error %v, want one about %q that names its line", err, test.want)
			}
		})
	}
}

// mute is a Redis that takes connections and says nothing.
func mute(t *testing.T) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return listener.Addr().String()
}

func TestAStoreIsUpOnceItHasAnswered(t *testing.T) {
	ctx := newContext(t)
	load(t, ctx, fmt.Sprintf(`{"rate":"1/h","zone":"mute","redis":{"address":%q,"timeout":10000000000}}`, mute(t)))
	if up := testutil.ToFloat64(storeUp.WithLabelValues("mute")); up != 0 {
		t.Errorf("store_up is %v before Redis has said a word", up)
	}
	load(t, ctx, fmt.Sprintf(`{"rate":"1/h","zone":"met","redis":{"address":%q}}`, redistest.Start(t).Address))
	for end := time.Now().Add(10 * time.Second); testutil.ToFloat64(storeUp.WithLabelValues("met")) != 1; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("store_up stays 0 while Redis answers")
		}
	}
}

// Three gateways start while Redis is away: none takes the budget of all.
func TestAGatewayThatHasNeverMetTheOthersKeepsToItsShare(t *testing.T) {
	throttle := load(t, newContext(t),
		`{"rate":"1/h","burst":9,"concurrency":6,"zone":"lonely","redis":{"address":"127.0.0.1:1"},"gateways":3}`)
	passed := 0
	for range 9 {
		if ask(throttle, "192.0.2.1", with(200)).passed {
			passed++
		}
	}
	if passed != 3 {
		t.Errorf("%d passed, want a third of the burst of 9", passed)
	}
}

func TestAnOutageIsToldOnRedis(t *testing.T) {
	server := redistest.Start(t)
	ctx := newContext(t)
	l := listen(t, ctx, eventStoreDown, eventStoreUp)
	throttle := load(t, ctx, fmt.Sprintf(`{"rate":"1/h","zone":"told","redis":{"address":%q,"timeout":1000000000}}`, server.Address))
	ask(throttle, "192.0.2.1", with(200))
	server.Kill()
	for range 20 {
		ask(throttle, "192.0.2.1", with(200))
	}
	expectTold(t, ctx, "told", map[string]float64{"store_up": 0, "store_outages_total": 1})
	hears := func(n int) {
		t.Helper()
		for end := time.Now().Add(10 * time.Second); len(l.heard()) < n; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("there are no %d events", n)
			}
		}
	}
	hears(1)
	if events := l.heard(); len(events) != 1 || events[0]["zone"] != "told" || events[0]["on_store_failure"] != "local" || events[0]["error"] == "" {
		t.Errorf("events when it is lost: %v", events)
	}
	server.Restart()
	hears(2)
	expectTold(t, ctx, "told", map[string]float64{"store_up": 1, "store_outages_total": 1})
	if seconds, ok := l.heard()[1]["seconds"].(float64); !ok || seconds <= 0 || seconds > 10 || l.heard()[1]["zone"] != "told" {
		t.Errorf("event when it is back: %v", l.heard()[1])
	}
}

func TestAPasswordInTheConfigurationIsWarnedOf(t *testing.T) {
	for _, test := range []struct {
		password string
		want     int
	}{{"", 0}, {"hunter2", 1}, {"{env.TEST_REDIS_PASSWORD}", 0}} {
		t.Setenv("TEST_REDIS_PASSWORD", "hunter2")
		core, logs := observer.New(zap.WarnLevel)
		z, err := newSharedZone("warned", &redisconfig.Options{Address: "127.0.0.1:1", Password: test.password}, "", zap.New(core))
		if err != nil {
			t.Fatal(err)
		}
		z.close()
		warnings := logs.FilterMessageSnippet("the password of store redis").All()
		if len(warnings) != test.want {
			t.Errorf("password %q: %d warnings, want %d", test.password, len(warnings), test.want)
		}
		for _, entry := range logs.All() {
			if strings.Contains(fmt.Sprint(entry), "hunter2") {
				t.Errorf("the password is logged: %v", entry)
			}
		}
	}
}
