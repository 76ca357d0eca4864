package ratelimit

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
	"github.com/gateway18789/caddy-ollama/jwtauth/token"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
)

const usual = `{"rate":"5/s","burst":10,"penalty":{"errors":3,"duration":"10m"},"concurrency":200}`

// checkRefused expects a refusal before next was reached, with its header and
// the reason in the audit record.
func checkRefused(t *testing.T, throttle *Throttle, address string, status int, retryAfter, code, reason string) {
	t.Helper()
	r, rec := newRequest(address), new(record.Record)
	r = r.WithContext(record.NewContext(r.Context(), rec))
	a := serve(throttle, r, with(200))
	if a.passed || a.status != status {
		t.Fatalf("status %d, passed on: %v; want %d, not passed on", a.status, a.passed, status)
	}
	if got := a.header.Get("Retry-After"); got != retryAfter {
		t.Errorf("Retry-After is %q, want %q", got, retryAfter)
	}
	if answer, ok := errors.AsType[*openai.Error](a.err); !ok || answer.Code != code {
		t.Errorf("error is %v, want an OpenAI error with code %s", a.err, code)
	}
	if rec.Reason != reason {
		t.Errorf("the record's reason is %q, want %q", rec.Reason, reason)
	}
}

func TestOverRateIs429(t *testing.T) {
	_, clock := stillZone(t)
	throttle := load(t, newContext(t), usual)
	for range 10 {
		if a := ask(throttle, "192.0.2.1", with(200)); a.status != 200 {
			t.Fatalf("status %d within the burst", a.status)
		}
	}
	checkRefused(t, throttle, "192.0.2.1", 429, "1", "rate_limit_exceeded", record.RateLimited)
	if a := ask(throttle, "192.0.2.2", with(200)); a.status != 200 {
		t.Errorf("another client gets %d", a.status)
	}
	clock.advance(time.Second)
	if a := ask(throttle, "192.0.2.1", with(200)); a.status != 200 {
		t.Errorf("status %d after waiting as long as told", a.status)
	}
}

func TestRetryAfterRoundsUp(t *testing.T) {
	for _, test := range []struct {
		wait time.Duration
		want int
	}{
		{0, 1},
		{time.Nanosecond, 1},
		{time.Second, 1},
		{time.Second + time.Nanosecond, 2},
		{2*time.Second - time.Nanosecond, 2},
		{10 * time.Minute, 600},
		{10*time.Minute + time.Nanosecond, 601},
		{24*time.Hour + time.Nanosecond, 86401},
		{longest + time.Nanosecond, 366*86400 + 1}, // which a float64 cannot tell from longest
	} {
		if got := wholeSeconds(test.wait); got != test.want {
			t.Errorf("%v is %d whole seconds, want %d", test.wait, got, test.want)
		}
	}
}

func TestRetryAfterMsRoundsUp(t *testing.T) {
	for _, test := range []struct {
		wait time.Duration
		want int64
	}{
		{-time.Second, 1},
		{0, 1},
		{time.Nanosecond, 1},
		{time.Millisecond, 1},
		{time.Millisecond + time.Nanosecond, 2},
		{time.Second, 1000},
		{longest + time.Nanosecond, 366*86400*1000 + 1},
	} {
		if got := wholeMillis(test.wait); got != test.want {
			t.Errorf("%v is %d whole milliseconds, want %d", test.wait, got, test.want)
		}
	}
}

func TestThirdErrorBlocks(t *testing.T) {
	_, clock := stillZone(t)
	throttle := load(t, newContext(t), usual)
	core, logs := observer.New(zap.WarnLevel)
	throttle.logger = zap.New(core)
	for range 3 {
		if a := ask(throttle, "192.0.2.1", with(401)); a.status != 401 {
			t.Fatalf("status %d, want the 401 of the handler inside", a.status)
		}
	}
	checkRefused(t, throttle, "192.0.2.1", 403, "600", "client_blocked", record.Blocked)
	if a := ask(throttle, "192.0.2.2", with(200)); a.status != 200 {
		t.Errorf("another client gets %d", a.status)
	}
	if n := logs.FilterMessage("client blocked").Len(); n != 1 {
		t.Errorf("%d log lines tell of the block, want one", n)
	} else if ip := logs.All()[0].ContextMap()["client_ip"]; ip != "192.0.2.1" {
		t.Errorf("the log line names %v", ip)
	}
	clock.advance(599 * time.Second)
	checkRefused(t, throttle, "192.0.2.1", 403, "1", "client_blocked", record.Blocked)
	clock.advance(time.Second)
	if a := ask(throttle, "192.0.2.1", with(200)); a.status != 200 {
		t.Errorf("status %d after waiting as long as told", a.status)
	}
}

// Of a block by hand the client has made no errors, and nobody else is told which it is.
func TestABlockedClientIsToldNothingUntrue(t *testing.T) {
	stillZone(t)
	throttle := load(t, newContext(t), usual)
	throttle.zone.Block(addressClient("192.0.2.1"), time.Hour)
	for range 3 {
		ask(throttle, "192.0.2.2", with(401))
	}
	for _, address := range []string{"192.0.2.1", "192.0.2.2"} {
		a := ask(throttle, address, with(200))
		told, ok := errors.AsType[*openai.Error](a.err)
		if !ok || told.Message != "blocked for a while; see Retry-After" {
			t.Errorf("%s is told %v", address, a.err)
		}
	}
}

func TestWhatCountsAsAnError(t *testing.T) {
	plain := errors.New("plain")
	for _, test := range []struct {
		name   string
		next   func(w http.ResponseWriter, r *http.Request) error
		blocks bool
	}{
		{"an error returned by a handler", with(401), true},
		{"a status written by a handler", func(w http.ResponseWriter, _ *http.Request) error {
			w.WriteHeader(404)
			return nil
		}, true},
		{"an error after a success was written is none of the client's", func(w http.ResponseWriter, _ *http.Request) error {
			w.WriteHeader(200)
			return with(400)(w, nil)
		}, false},
		{"an informational answer does not hide the error after it", func(w http.ResponseWriter, _ *http.Request) error {
			w.WriteHeader(http.StatusEarlyHints)
			return with(400)(w, nil)
		}, true},
		{"an error without status is ours", func(http.ResponseWriter, *http.Request) error { return plain }, false},
		{"an upstream that fails", with(502), false},
		{"a refusal for speed further in", with(429), false},
		{"a client that left", with(499), false},
		{"a conversation that has grown too long, which bots shorten and send again at once", withCode(400, openai.CodeContextLength), false},
		{"another error of the same status and shape", withCode(400, openai.CodeInvalidValue), true},
		{"a token that nobody can judge, for the provider of its keys is away", func(http.ResponseWriter, *http.Request) error {
			return caddyhttp.Error(403, fmt.Errorf("refused: %w", token.KeysUnavailable))
		}, false},
		{"a token that is forged", func(http.ResponseWriter, *http.Request) error {
			return caddyhttp.Error(403, fmt.Errorf("refused: %w", token.BadSignature))
		}, true},
		{"nothing written is a success", func(http.ResponseWriter, *http.Request) error { return nil }, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			stillZone(t)
			throttle := load(t, newContext(t), usual)
			for range 3 {
				ask(throttle, "192.0.2.1", test.next)
			}
			if a := ask(throttle, "192.0.2.1", with(200)); a.passed == test.blocks {
				t.Errorf("three times blocks: %v, want %v", !a.passed, test.blocks)
			}
		})
	}
}

// withCode ends a request with an error as ollama_adapter does.
func withCode(status int, code string) caddyhttp.HandlerFunc {
	return func(http.ResponseWriter, *http.Request) error {
		return caddyhttp.Error(status, &openai.Error{Code: code})
	}
}

func TestOverCapacityIs429(t *testing.T) {
	zone, _ := stillZone(t)
	throttle := load(t, newContext(t), `{"concurrency":2,"per_client":1}`)
	a := ask(throttle, "192.0.2.1", func(w http.ResponseWriter, r *http.Request) error {
		checkRefused(t, throttle, "192.0.2.1", 429, "1", "rate_limit_exceeded", record.OverCapacity)
		ask(throttle, "192.0.2.2", func(http.ResponseWriter, *http.Request) error {
			checkRefused(t, throttle, "192.0.2.3", 429, "1", "rate_limit_exceeded", record.OverCapacity)
			return nil
		})
		return with(200)(w, r)
	})
	if a.status != 200 {
		t.Errorf("the request in flight gets %d", a.status)
	}
	if n := zone.InFlight(); n != 0 {
		t.Errorf("%d in flight, want 0", n)
	}
}

func TestTheSlotIsFreedHoweverARequestEnds(t *testing.T) {
	for _, test := range []struct {
		name string
		next func(w http.ResponseWriter, r *http.Request) error
	}{
		{"served", with(200)},
		{"a handler error", with(502)},
		{"a plain error", func(http.ResponseWriter, *http.Request) error { return errors.New("plain") }},
		{"a stream broken off", func(http.ResponseWriter, *http.Request) error { panic(http.ErrAbortHandler) }},
		{"a panic", func(http.ResponseWriter, *http.Request) error { panic("bug") }},
		{"a panic after the answer began", func(w http.ResponseWriter, _ *http.Request) error {
			w.WriteHeader(200)
			panic(http.ErrAbortHandler)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			zone, _ := stillZone(t)
			throttle := load(t, newContext(t), `{"concurrency":1,"per_client":1}`)
			for range 3 {
				var during int
				func() {
					defer func() { _ = recover() }()
					ask(throttle, "192.0.2.1", func(w http.ResponseWriter, r *http.Request) error {
						during = zone.InFlight()
						return test.next(w, r)
					})
				}()
				if after := zone.InFlight(); during != 1 || after != 0 {
					t.Fatalf("%d in flight during the request and %d after it, want 1 and 0", during, after)
				}
			}
		})
	}
}

func TestAPanicGoesOnAndSpeaksNeitherForNorAgainstTheClient(t *testing.T) {
	stillZone(t)
	throttle := load(t, newContext(t), `{"penalty":{"errors":2,"duration":"10m"}}`)
	ask(throttle, "192.0.2.1", with(400))
	for range 5 {
		var got any
		func() {
			defer func() { got = recover() }()
			ask(throttle, "192.0.2.1", func(w http.ResponseWriter, _ *http.Request) error {
				w.WriteHeader(200)
				panic(http.ErrAbortHandler)
			})
		}()
		if got != http.ErrAbortHandler {
			t.Fatalf("the panic becomes %v, net/http needs to see it", got)
		}
	}
	ask(throttle, "192.0.2.1", with(400))
	if a := ask(throttle, "192.0.2.1", with(200)); a.status != 403 {
		t.Errorf("status %d, want the second error to block: what broke off between them is no success", a.status)
	}
}

func TestExemptNetworksAreNeitherLimitedNorCounted(t *testing.T) {
	zone, _ := stillZone(t)
	throttle := load(t, newContext(t), `{"rate":"1/h","concurrency":1,"penalty":{"errors":1,"duration":"10m"},
		"exempt":["10.0.0.0/8","192.0.2.7","2001:db8::/32","::ffff:198.51.100.0/120"]}`)
	for _, address := range []string{"10.1.2.3", "::ffff:10.1.2.3", "192.0.2.7", "2001:db8:1::1", "2001:db8::1%eth0", "198.51.100.7"} {
		for range 3 {
			if a := ask(throttle, address, with(401)); !a.passed {
				t.Fatalf("%s is refused: %d", address, a.status)
			}
		}
	}
	if zone.Clients() != 0 {
		t.Errorf("%d clients are remembered, want none", zone.Clients())
	}
	for _, address := range []string{"11.0.0.1", "192.0.2.8", "2001:db9::1", "::ffff:192.0.2.9", "@", ""} {
		ask(throttle, address, with(401))
		if a := ask(throttle, address, with(200)); a.passed {
			t.Errorf("%q is let in as if exempt", address)
		}
	}
}

func TestPrefixesMakeOneClient(t *testing.T) {
	stillZone(t)
	throttle := load(t, newContext(t), `{"rate":"1/h","ipv4_prefix":24,"ipv6_prefix":48}`)
	for _, pair := range [][2]string{
		{"192.0.2.1", "::ffff:192.0.2.2"}, {"2001:db8:1:1::1", "2001:db8:1:2::1"}, {"@", "garbage"},
	} {
		if a := ask(throttle, pair[0], with(200)); a.status != 200 {
			t.Errorf("%s gets %d", pair[0], a.status)
		}
		if a := ask(throttle, pair[1], with(200)); a.status != 429 {
			t.Errorf("%s gets %d, want 429: it is the same client as %s", pair[1], a.status, pair[0])
		}
	}
}

func TestAnAddressNotProvenYetIsToldToComeAgain(t *testing.T) {
	zone, _ := stillZone(t)
	throttle := load(t, newContext(t), `{"rate":"1/h","exempt":["10.0.0.0/8"]}`)
	for _, address := range []string{"192.0.2.1", "10.0.0.1"} {
		r := newRequest(address)
		r.TLS = &tls.ConnectionState{}
		if a := serve(throttle, r, with(200)); a.passed || a.status != http.StatusTooEarly {
			t.Errorf("%s, in 0-RTT data: status %d, want 425", address, a.status)
		}
	}
	if zone.Clients() != 0 {
		t.Error("a client is charged for what another may have sent in its name")
	}
	r := newRequest("192.0.2.1")
	r.TLS = &tls.ConnectionState{HandshakeComplete: true}
	if a := serve(throttle, r, with(200)); a.status != 200 {
		t.Errorf("status %d after the handshake", a.status)
	}
}

func TestWithoutAuditLogARefusalIsTheSame(t *testing.T) {
	stillZone(t)
	throttle := load(t, newContext(t), `{"rate":"1/h"}`)
	ask(throttle, "192.0.2.1", with(200))
	if a := ask(throttle, "192.0.2.1", with(200)); a.status != 429 || a.header.Get("Retry-After") != "3600" {
		t.Errorf("status %d, Retry-After %q; want 429 and 3600", a.status, a.header.Get("Retry-After"))
	}
}
