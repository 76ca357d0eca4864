package ratelimit

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
)

// configuration is a context that the test ends itself, as Caddy does when a new
// configuration has taken over.
func configuration(t *testing.T) (ctx caddy.Context, end func()) {
	t.Helper()
	return caddy.NewContext(installation(t))
}

func TestReloadKeepsBlocksRatesAndWhatIsInFlight(t *testing.T) {
	old, endOld := configuration(t)
	before := load(t, old, `{"rate":"1/h","burst":3,"concurrency":2,"penalty":{"errors":1,"duration":"10m"}}`)
	ask(before, "192.0.2.1", with(401))
	for range 3 {
		ask(before, "192.0.2.2", with(200))
	}

	release := make(chan struct{})
	begun, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		ask(before, "192.0.2.3", func(w http.ResponseWriter, r *http.Request) error {
			close(begun)
			<-release
			return with(200)(w, r)
		})
	}()
	<-begun

	fresh, endFresh := configuration(t)
	defer endFresh()
	after := load(t, fresh, `{"rate":"1/h","burst":3,"concurrency":1,"penalty":{"errors":2,"duration":"1m"}}`)
	endOld()

	if a := ask(after, "192.0.2.1", with(200)); a.status != 403 {
		t.Errorf("the blocked client gets %d after the reload, want 403", a.status)
	}
	if a := ask(after, "192.0.2.2", with(200)); a.status != 429 || a.header.Get("Retry-After") == "1" {
		t.Errorf("the client over its rate gets %d, Retry-After %s, after the reload; want 429 and most of an hour",
			a.status, a.header.Get("Retry-After"))
	}
	if a := ask(after, "192.0.2.4", with(200)); a.status != 429 {
		t.Errorf("status %d, want 429: the old configuration's stream fills the new one's only slot", a.status)
	}
	close(release)
	<-ended
	if a := ask(after, "192.0.2.4", with(200)); a.status != 200 {
		t.Errorf("status %d after the old configuration's stream has ended", a.status)
	}
}

func TestTheLimitsAreThoseOfTheConfigurationInForce(t *testing.T) {
	old, endOld := configuration(t)
	load(t, old, `{"rate":"5/s","burst":10}`)
	fresh, endFresh := configuration(t)
	defer endFresh()
	after := load(t, fresh, `{"rate":"1/h"}`)
	endOld()
	ask(after, "192.0.2.1", with(200))
	if a := ask(after, "192.0.2.1", with(200)); a.status != 429 {
		t.Errorf("status %d, want 429 by the new rate", a.status)
	}
}

func TestAConfigurationThatIsRejectedLeavesNothingBehind(t *testing.T) {
	const live = `{"rate":"5/s","burst":10}`
	ctx, end := configuration(t)
	throttle := load(t, ctx, live)

	// one handler is fine, another handler of the same configuration is not
	for range 3 {
		rejected, endRejected := configuration(t)
		load(t, rejected, `{"rate":"6/s"}`)
		if _, err := rejected.LoadModuleByID("http.handlers.ip_throttle", []byte(`{"rate":"7/s"}`)); err == nil {
			t.Fatal("one zone with two limits is accepted")
		}
		if _, err := rejected.LoadModuleByID("http.handlers.ip_throttle", []byte(`{"rate":"0/s"}`)); err == nil {
			t.Fatal("rate 0/s is accepted")
		}
		endRejected()
	}
	if uses, _ := zones.References(zoneKey{name: "default"}); uses != 1 {
		t.Errorf("the zone is used %d times, want once, by the configuration in force", uses)
	}
	for range 10 {
		if a := ask(throttle, "192.0.2.1", with(200)); a.status != 200 {
			t.Fatalf("status %d, want the live limits untouched", a.status)
		}
	}
	load(t, ctx, live) // and the live configuration's claim too

	end()
	if uses, exists := zones.References(zoneKey{name: "default"}); exists {
		t.Errorf("the zone is used %d times after its last configuration has ended", uses)
	}
}

// Caddy first cancels a configuration, then cleans up its handlers, one by one.
func TestWhichConfigurationIsInForce(t *testing.T) {
	ended, end := context.WithCancel(t.Context())
	end()
	cancelled, live, younger := &claim{ctx: caddy.Context{Context: ended}}, &claim{ctx: newContext(t)}, &claim{ctx: newContext(t)}
	for _, test := range []struct {
		name   string
		claims []*claim
		want   *claim
	}{
		{"none when there is none", nil, nil},
		{"the only one", []*claim{live}, live},
		{"the older, as the younger may still be rejected", []*claim{live, younger}, live},
		{"the younger, when the older has ended", []*claim{cancelled, live}, live},
		{"none when all have ended", []*claim{cancelled, cancelled}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := (&zone{claims: test.claims}).inForce(); got != test.want {
				t.Errorf("it is %p, want %p", got, test.want)
			}
		})
	}
}

// Else each reload would leave its claim behind, as long as the zone lives.
func TestAHandlerThatLeavesTakesItsClaimBack(t *testing.T) {
	stillZone(t)
	ctx := newContext(t)
	first := &Throttle{Rate: "5/s"}
	if err := first.Provision(ctx); err != nil {
		t.Fatal(err)
	}
	if err := first.Cleanup(); err != nil {
		t.Fatal(err)
	}
	load(t, ctx, `{"rate":"6/s"}`)
}

func TestHandlersOfOneZoneAndConfiguration(t *testing.T) {
	const base = `{"rate":"5/s","burst":10}`
	for _, test := range []struct {
		name, other string
		refused     bool
	}{
		{"may have the same limits", base, false},
		{"may write a default out or not", `{"rate":"5/s","burst":10,"ipv6_prefix":64,"zone":"default"}`, false},
		{"may differ if one has a zone of its own", `{"rate":"6/s","zone":"other"}`, false},
		{"may not have different rates", `{"rate":"6/s","burst":10}`, true},
		{"may not have different bursts", `{"rate":"5/s","burst":11}`, true},
		{"may not have different penalties", `{"rate":"5/s","burst":10,"penalty":{"errors":3,"duration":"10m"}}`, true},
		{"may not judge answers differently", `{"rate":"5/s","burst":10,"penalty_status":[401]}`, true},
		{"may not have different concurrency", `{"rate":"5/s","burst":10,"concurrency":1}`, true},
		{"may not have different keys for IPv4", `{"rate":"5/s","burst":10,"ipv4_prefix":24}`, true},
		{"may not have different keys for IPv6", `{"rate":"5/s","burst":10,"ipv6_prefix":56}`, true},
		{"may not exempt different networks", `{"rate":"5/s","burst":10,"exempt":["10.0.0.0/8"]}`, true},
		{"may not count users and addresses", `{"rate":"5/s","burst":10,"key":"{http.auth.user.id}"}`, true},
		{"may not have different penalties in a window", `{"rate":"5/s","burst":10,"penalty_window":{"errors":3,"duration":"10m"}}`, true},
		{"may not have different queues", `{"rate":"5/s","burst":10,"queue":{"places":3,"wait":"10s"}}`, true},
		{"may not have different bounds", `{"rate":"5/s","burst":10,"max_clients":5}`, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx := newContext(t)
			load(t, ctx, base)
			_, err := ctx.LoadModuleByID("http.handlers.ip_throttle", []byte(test.other))
			if (err != nil) != test.refused {
				t.Fatalf("error is %v, want one: %v", err, test.refused)
			}
			if test.refused && !strings.Contains(err.Error(), `zone "default"`) {
				t.Errorf("the error does not name the zone: %v", err)
			}
		})
	}
}

func TestHandlersOfOneZoneShareTheirState(t *testing.T) {
	_, clock := stillZone(t)
	ctx := newContext(t)
	one, other := load(t, ctx, `{"rate":"1/m"}`), load(t, ctx, `{"rate":"1/m"}`)
	apart := load(t, ctx, `{"rate":"1/m","zone":"apart"}`)
	ask(one, "192.0.2.1", with(200))
	if a := ask(other, "192.0.2.1", with(200)); a.status != 429 {
		t.Errorf("the second handler of the zone lets the client in again: %d", a.status)
	}
	if a := ask(apart, "192.0.2.1", with(200)); a.status != 200 {
		t.Errorf("the handler of another zone refuses the client: %d", a.status)
	}
	clock.advance(time.Minute)
	if a := ask(other, "192.0.2.1", with(200)); a.status != 200 {
		t.Errorf("status %d a minute later", a.status)
	}
}
