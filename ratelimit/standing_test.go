package ratelimit

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func quotaOf(h http.Header) [3]string {
	return [3]string{
		h.Get("X-RateLimit-Limit-Requests"), h.Get("X-RateLimit-Remaining-Requests"), h.Get("X-RateLimit-Reset-Requests"),
	}
}

func checkQuota(t *testing.T, a answered, limit, remaining, reset string) {
	t.Helper()
	if got := quotaOf(a.header); got != [3]string{limit, remaining, reset} {
		t.Errorf("status %d says %q, want %s, %s, %s", a.status, got, limit, remaining, reset)
	}
	for name := range a.header {
		if len(a.header.Values(name)) > 1 {
			t.Errorf("%s is there %d times", name, len(a.header.Values(name)))
		}
	}
}

func TestEveryAnswerTellsWhereItsClientStands(t *testing.T) {
	_, clock := stillZone(t)
	throttle := load(t, newContext(t), `{"rate":"5/s","burst":4,"penalty":{"errors":3,"duration":"10m"}}`)
	checkQuota(t, ask(throttle, "192.0.2.1", with(200)), "4", "3", "200ms")
	checkQuota(t, ask(throttle, "192.0.2.1", with(200)), "4", "2", "400ms")
	clock.advance(50 * time.Millisecond)
	checkQuota(t, ask(throttle, "192.0.2.1", with(502)), "4", "1", "550ms")
	checkQuota(t, ask(throttle, "192.0.2.1", with(200)), "4", "0", "750ms")
	checkQuota(t, ask(throttle, "192.0.2.1", with(200)), "4", "0", "750ms") // 429
	clock.advance(time.Minute)
	checkQuota(t, ask(throttle, "192.0.2.1", with(200)), "4", "3", "200ms")
	for range 3 {
		ask(throttle, "192.0.2.1", with(401))
	}
	checkQuota(t, ask(throttle, "192.0.2.1", with(200)), "4", "0", "10m0s") // 403
}

func TestAnUpstreamsQuotaIsNotTold(t *testing.T) {
	stillZone(t)
	throttle := load(t, newContext(t), `{"rate":"1/s","burst":10}`)
	checkQuota(t, ask(throttle, "192.0.2.1", func(w http.ResponseWriter, _ *http.Request) error {
		// as reverse_proxy does
		w.Header().Add("X-Ratelimit-Limit-Requests", "60000")
		w.Header().Add("X-Ratelimit-Remaining-Requests", "1")
		w.Header().Add("X-Ratelimit-Reset-Requests", "6m0s")
		w.WriteHeader(200)
		return nil
	}), "10", "9", "1s")
}

func TestWithoutARateNothingIsTold(t *testing.T) {
	stillZone(t)
	throttle := load(t, newContext(t), `{"concurrency":10}`)
	checkQuota(t, ask(throttle, "192.0.2.1", with(200)), "", "", "")
}

// userThrottles are one that counts addresses and one inside that counts users.
func userThrottles(t *testing.T, inner string) (ask func(address, user string) answered) {
	t.Helper()
	ctx := newContext(t)
	outside := load(t, ctx, `{"rate":"1/m","burst":10}`)
	inside := load(t, ctx, inner)
	return func(address, user string) answered {
		r := newRequest(address)
		r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer).Set("http.auth.user.id", user)
		return serve(outside, r, func(w http.ResponseWriter, r *http.Request) error {
			return inside.ServeHTTP(w, r, caddyhttp.HandlerFunc(with(200)))
		})
	}
}

func TestOfTwoHandlersTheTighterQuotaIsTold(t *testing.T) {
	stillZone(t)
	ask := userThrottles(t, `{"rate":"1/s","burst":3,"key":"{http.auth.user.id}","zone":"users"}`)
	checkQuota(t, ask("192.0.2.1", "anna"), "3", "2", "1s")
	for n := range 9 {
		ask("192.0.2.1", strconv.Itoa(n))
	}
	checkQuota(t, ask("192.0.2.1", "last"), "10", "0", "10m0s") // refused by the address's
}

func TestUsersAreClientsWhereverTheyComeFrom(t *testing.T) {
	stillZone(t)
	ask := userThrottles(t, `{"rate":"1/h","burst":2,"key":"{http.auth.user.id}","zone":"users"}`)
	ask("192.0.2.1", "anna")
	ask("192.0.2.2", "anna")
	if a := ask("192.0.2.3", "anna"); a.status != 429 {
		t.Errorf("the third request of a user gets %d, want 429", a.status)
	}
	if a := ask("192.0.2.3", "bert"); a.status != 200 {
		t.Errorf("another user gets %d", a.status)
	}
	for range 2 {
		ask("192.0.2.4", "")
	}
	if a := ask("192.0.2.4", ""); a.status != 429 {
		t.Errorf("nobody in particular, at one address, gets %d, want 429", a.status)
	}
	if a := ask("192.0.2.5", ""); a.status != 200 {
		t.Errorf("nobody in particular, at another address, gets %d", a.status)
	}
}

// Else a user who is blocked and asks again would get everybody blocked who shares its
// address.
func TestARefusalByAHandlerInsideIsNoErrorForTheOneOutside(t *testing.T) {
	stillZone(t)
	ctx := newContext(t)
	outside := load(t, ctx, `{"penalty":{"errors":2,"duration":"1h"}}`)
	inside := load(t, ctx, `{"penalty":{"errors":1,"duration":"1h"},"key":"{http.auth.user.id}","zone":"users"}`)
	ask := func(user string, status int) answered {
		r := newRequest("192.0.2.1")
		r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer).Set("http.auth.user.id", user)
		return serve(outside, r, func(w http.ResponseWriter, r *http.Request) error {
			return inside.ServeHTTP(w, r, caddyhttp.HandlerFunc(with(status)))
		})
	}
	if a := ask("mallory", 401); a.status != 401 {
		t.Fatalf("status %d", a.status)
	}
	for range 5 {
		if a := ask("mallory", 200); a.status != 403 || !a.passed {
			t.Fatalf("status %d, want it refused by the handler inside", a.status)
		}
	}
	if a := ask("anna", 401); a.status != 401 { // the second error of their address
		t.Errorf("status %d, want the address not blocked for the refusals", a.status)
	}
	if a := ask("bert", 200); a.status != 403 {
		t.Errorf("status %d, want the address blocked for two errors, whatever refusals were between them", a.status)
	}
}

// What Retry-After tells holds, and so does the finer Retry-After-Ms.
func TestRetryAfterIsTrue(t *testing.T) {
	_, clock := stillZone(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	throttle := load(t, newContext(t), usual)
	for n := range 1000 {
		per := [...]string{"s", "m", "h"}[random.IntN(3)]
		throttle.policy.Interval, _ = parseRate(strconv.Itoa(1+random.IntN(100)) + "/" + per)
		throttle.policy.Burst = 1 + random.IntN(20)
		throttle.policy.Penalty, throttle.policy.PenaltyTime = 1+random.IntN(5), time.Duration(1+random.Int64N(int64(time.Hour)))
		address := "10.0." + strconv.Itoa(n/250) + "." + strconv.Itoa(n%250)
		status := []int{200, 401}[random.IntN(2)]
		var told answered
		for told = ask(throttle, address, with(status)); told.passed; told = ask(throttle, address, with(status)) {
			clock.advance(time.Duration(random.Int64N(int64(throttle.policy.Interval))))
		}
		seconds, err := strconv.Atoi(told.header.Get("Retry-After"))
		millis, err2 := strconv.Atoi(told.header.Get("Retry-After-Ms"))
		if err != nil || err2 != nil || seconds < 1 || millis < 1 || millis > 1000*seconds || millis <= 1000*(seconds-1) && seconds > 1 {
			t.Fatalf("%d: told %q and %q", told.status, told.header.Get("Retry-After"), told.header.Get("Retry-After-Ms"))
		}
		wait := time.Duration(seconds) * time.Second
		if random.IntN(2) == 0 {
			wait = time.Duration(millis) * time.Millisecond
			clock.advance(wait - time.Millisecond)
			if millis > 1 && ask(throttle, address, with(200)).passed {
				t.Fatalf("%d: told to wait %d ms, let in a millisecond earlier", told.status, millis)
			}
			wait = time.Millisecond
		}
		clock.advance(wait)
		if a := ask(throttle, address, with(200)); !a.passed {
			t.Fatalf("%d, told to wait %d s or %d ms: refused with %d after that", told.status, seconds, millis, a.status)
		}
	}
}

func TestResetTimesAreWrittenAsOpenAIDoes(t *testing.T) {
	for _, test := range []struct {
		d    time.Duration
		want string
	}{
		{0, "0s"}, {1, "1ms"}, {17 * time.Millisecond, "17ms"}, {time.Second, "1s"}, {8640 * time.Millisecond, "8.64s"},
		{6 * time.Minute, "6m0s"}, {time.Second + 1, "1.001s"}, {time.Hour, "1h0m0s"},
	} {
		if got := resetTime(test.d); got != test.want {
			t.Errorf("%v is written %s, want %s", test.d, got, test.want)
		}
	}
}
