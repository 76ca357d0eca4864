package ratelimit

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/gateway18789/caddy-ollama/ratelimit/redis/redistest"
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
