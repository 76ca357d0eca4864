package ratelimit

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	_ "github.com/caddyserver/caddy/v2/modules/filestorage"
	"go.uber.org/zap"

	"github.com/gateway18789/caddy-ollama/ratelimit/memory"
)

// installation is what all configurations of a test have in common: a storage, and
// the events app.
func installation(t testing.TB) caddy.Context {
	t.Helper()
	storage, err := json.Marshal(map[string]string{"module": "file_system", "root": t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, err := caddy.ProvisionContext(&caddy.Config{
		Admin:      &caddy.AdminConfig{Disabled: true, Config: &caddy.ConfigSettings{Persist: new(bool)}},
		StorageRaw: storage,
	})
	if err != nil {
		t.Fatal(err)
	}
	return ctx
}

// newContext is the context of one configuration, which ends with the test.
func newContext(t testing.TB) caddy.Context {
	t.Helper()
	ctx, cancel := caddy.NewContext(installation(t))
	t.Cleanup(cancel)
	return ctx
}

// load provisions a handler as Caddy does.
func load(t testing.TB, ctx caddy.Context, config string) *Throttle {
	t.Helper()
	module, err := ctx.LoadModuleByID("http.handlers.ip_throttle", []byte(config))
	if err != nil {
		t.Fatal(err)
	}
	throttle := module.(*Throttle)
	throttle.logger = zap.NewNop()
	return throttle
}

// clock is a time that passes only when told.
type clock struct{ elapsed atomic.Int64 }

func (c *clock) since() time.Duration { return time.Duration(c.elapsed.Load()) }

func (c *clock) now() time.Time {
	return time.Unix(1_700_000_000, 0).Add(time.Duration(c.elapsed.Load()))
}

func (c *clock) advance(d time.Duration) { c.elapsed.Add(int64(d)) }

// stillZone makes the zone default, as long as the test lasts, one whose time
// passes only when told.
func stillZone(t *testing.T) (*zone, *clock) {
	t.Helper()
	c := new(clock)
	joined, loaded, err := zones.LoadOrNew(zoneKey{name: "default"}, func() (caddy.Destructor, error) {
		return newZone("default", memory.NewZone(c.since, c.now), newKeeper("default", newContext(t).Storage(), zap.NewNop())), nil
	})
	if err != nil || loaded {
		t.Fatalf("the zone is in use already: %v, %v", loaded, err)
	}
	t.Cleanup(func() {
		if _, err := zones.Delete(zoneKey{name: "default"}); err != nil {
			t.Error(err)
		}
	})
	return joined.(*zone), c
}

// newRequest is one as Caddy's server prepares it.
func newRequest(address string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/v1/chat/completions", nil)
	r = caddyhttp.PrepareRequest(r, caddy.NewReplacer(), nil, nil)
	caddyhttp.SetVar(r.Context(), caddyhttp.ClientIPVarKey, address)
	return r
}

// answered is how a handler ended a request.
type answered struct {
	status int
	header http.Header
	passed bool
	err    error
}

// ask sends a request of the address through the handler to next.
func ask(throttle *Throttle, address string, next caddyhttp.HandlerFunc) answered {
	return serve(throttle, newRequest(address), next)
}

func serve(throttle *Throttle, r *http.Request, next caddyhttp.HandlerFunc) (a answered) {
	w := httptest.NewRecorder()
	a.err = throttle.ServeHTTP(w, r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		a.passed = true
		return next(w, r)
	}))
	a.status, a.header = w.Code, w.Header()
	if he, ok := errors.AsType[caddyhttp.HandlerError](a.err); ok {
		a.status = he.StatusCode
	}
	return a
}

// with ends a request with status, written or as an error as Caddy's handlers do.
func with(status int) caddyhttp.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) error {
		if status >= 400 {
			return caddyhttp.Error(status, errors.New("refused"))
		}
		w.WriteHeader(status)
		return nil
	}
}
