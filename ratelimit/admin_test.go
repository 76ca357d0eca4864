package ratelimit

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/gateway18789/caddy-ollama/ratelimit/limit"
)

// call asks the admin API as Caddy routes it.
func callAdmin(t *testing.T, method, target, body string) (status int, answer string) {
	t.Helper()
	mux := http.NewServeMux()
	for _, route := range new(admin).Routes() {
		mux.HandleFunc(route.Pattern, func(w http.ResponseWriter, r *http.Request) {
			if err := route.Handler.ServeHTTP(w, r); err != nil {
				apiErr, ok := errors.AsType[caddy.APIError](err)
				if !ok {
					t.Errorf("%v is no error of the API", err)
				}
				http.Error(w, err.Error(), apiErr.HTTPStatus)
			}
		})
	}
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(method, target, strings.NewReader(body)))
	return w.Code, w.Body.String()
}

func listBlocks(t *testing.T, query string) (clients []string) {
	t.Helper()
	status, answer := callAdmin(t, http.MethodGet, "/ip_throttle/blocks"+query, "")
	var blocks []ListedBlock
	if err := json.Unmarshal([]byte(answer), &blocks); err != nil || status != 200 {
		t.Fatalf("%d %s: %v", status, answer, err)
	}
	for _, b := range blocks {
		clients = append(clients, b.Zone+" "+b.Client+" "+string(b.Cause))
	}
	return clients
}

func expect(t *testing.T, got []string, want ...string) {
	t.Helper()
	if strings.Join(got, "; ") != strings.Join(want, "; ") {
		t.Errorf("blocked: %q, want %q", got, want)
	}
}

func TestBlocksAreListedMadeAndLifted(t *testing.T) {
	zone, _ := stillZone(t)
	_ = zone
	throttle := load(t, newContext(t), usual)
	expect(t, listBlocks(t, ""))
	if status, answer := callAdmin(t, http.MethodPost, blocksPath, `{"client":"192.0.2.1","duration":"1h"}`); status != 201 ||
		!strings.Contains(answer, `"client":"192.0.2.1"`) {
		t.Fatalf("%d %s", status, answer)
	}
	if a := ask(throttle, "192.0.2.1", with(200)); a.status != 403 || a.header.Get("Retry-After") != "3600" {
		t.Errorf("status %d, Retry-After %s", a.status, a.header.Get("Retry-After"))
	}
	if status, _ := callAdmin(t, http.MethodDelete, blocksPath+"/192.0.2.1", ""); status != 204 {
		t.Errorf("status %d when the block is lifted", status)
	}
	if a := ask(throttle, "192.0.2.1", with(200)); a.status != 200 {
		t.Errorf("status %d after that", a.status)
	}
	if status, _ := callAdmin(t, http.MethodDelete, blocksPath+"/192.0.2.1", ""); status != 404 {
		t.Errorf("status %d when there is no block any more", status)
	}
}

func TestBlocksThatAreOverAreNotListed(t *testing.T) {
	throttle := load(t, newContext(t), usual)
	throttle.zone.Block(addressClient("192.0.2.1"), time.Nanosecond)
	expect(t, listBlocks(t, ""))
}

func TestClientsInTheAdminAPI(t *testing.T) {
	ctx := newContext(t)
	load(t, ctx, `{"rate":"1/s","zone":"addresses"}`)
	load(t, ctx, `{"rate":"1/s","zone":"users","key":"{http.auth.user.id}"}`)
	for _, test := range []struct {
		name, zone, client string
		listed             string
	}{
		{"an IPv4 address", "addresses", "192.0.2.1", "192.0.2.1"},
		{"an IPv4 address as IPv6", "addresses", "::ffff:192.0.2.1", "192.0.2.1"},
		{"an IPv6 address is its network", "addresses", "2001:db8:1:2::99", "2001:db8:1:2::/64"},
		{"a network as it is listed", "addresses", "2001:db8:1:2::/64", "2001:db8:1:2::/64"},
		{"those whose address cannot be read", "addresses", "unknown", "unknown"},
		{"a user", "users", "anna", "anna"},
		{"a user who looks like a path", "users", "team/../anna?x#y %2f", "team/../anna?x#y %2f"},
		{"an address among users: those who come without a name", "users", "192.0.2.1", "192.0.2.1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			order, err := json.Marshal(ordered{Client: test.client, Duration: "1h", Zone: test.zone})
			if err != nil {
				t.Fatal(err)
			}
			if status, answer := callAdmin(t, http.MethodPost, blocksPath, string(order)); status != 201 {
				t.Fatalf("%d %s", status, answer)
			}
			expect(t, listBlocks(t, "?zone="+test.zone), test.zone+" "+test.listed+" by_hand")
			expect(t, listBlocks(t, "?zone=nowhere"))
			if status, answer := callAdmin(t, http.MethodDelete, unblockPath(test.listed, test.zone), ""); status != 204 {
				t.Fatalf("lifting: %d %s", status, answer)
			}
			expect(t, listBlocks(t, ""))
		})
	}
}

// What is listed can be lifted, under the name that is listed.
func TestBlocksOfUsersWhoAreCalledLikeAddressesAreLifted(t *testing.T) {
	throttle := load(t, newContext(t), `{"rate":"1/s","key":"{http.auth.user.id}"}`)
	for _, name := range []string{"192.0.2.1", "unknown", "2001:db8::/64", "10.0.0.0/8", ".", "..", "a/b", "a//b/", "/", "%2f", "a b+c", "\x00\x1b", "ümlaut"} {
		who := limit.Client{Key: limit.NameKey(name), Name: name}
		throttle.zone.Block(who, time.Hour)
		if status, answer := callAdmin(t, http.MethodDelete, unblockPath(name, ""), ""); status != 204 {
			t.Errorf("lifting %q: %d %s", name, status, answer)
		}
		expect(t, listBlocks(t, ""))
	}
}

// Names may be as long as headers. They must not take memory for as long as a block.
func TestOfALongNameTheBeginningIsRemembered(t *testing.T) {
	throttle := load(t, newContext(t), `{"penalty":{"errors":1,"duration":"10m"},"key":"{http.auth.user.id}"}`)
	long := strings.Repeat("ä", 10_000)
	ask := func(user string, status int) answered {
		r := newRequest("192.0.2.1")
		r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer).Set("http.auth.user.id", user)
		return serve(throttle, r, with(status))
	}
	ask(long, 401)
	if a := ask(long, 200); a.status != 403 {
		t.Errorf("status %d", a.status)
	}
	if a := ask(long+"!", 200); a.status != 200 {
		t.Errorf("one whose name begins likewise gets %d", a.status)
	}
	shown := strings.Repeat("ä", longestName/2) + "…"
	expect(t, listBlocks(t, ""), "default "+shown+" errors_in_a_row")
	for _, name := range []string{shown, long} {
		if status, answer := callAdmin(t, http.MethodDelete, unblockPath(name, ""), ""); status != 204 {
			t.Errorf("lifting by a name of %d bytes: %d %s", len(name), status, answer)
		}
		ask(long, 401)
	}
}

func TestBlocksFromBeforeThePrefixWasChangedAreLifted(t *testing.T) {
	old, endOld := configuration(t)
	before := load(t, old, `{"rate":"1/s"}`)
	before.zone.Block(addressClient("2001:db8:1:2::3"), time.Hour)
	load(t, newContext(t), `{"rate":"1/s","ipv6_prefix":48}`)
	endOld()
	listed := listBlocks(t, "")
	if len(listed) != 1 {
		t.Fatalf("listed: %q", listed)
	}
	name := strings.Fields(listed[0])[1]
	if status, answer := callAdmin(t, http.MethodDelete, unblockPath(name, ""), ""); status != 204 {
		t.Errorf("lifting %s: %d %s", name, status, answer)
	}
}

func TestWhatTheAdminAPIRefuses(t *testing.T) {
	ctx := newContext(t)
	load(t, ctx, `{"rate":"1/s","zone":"one"}`)
	load(t, ctx, `{"rate":"1/s","zone":"two"}`)
	for _, test := range []struct {
		name, method, target, body string
		status                     int
		says                       string
	}{
		{"a zone that must be told", "POST", blocksPath, `{"client":"192.0.2.1","duration":"1h"}`, 400, "one, two"},
		{"a zone that is not there", "POST", blocksPath, `{"client":"192.0.2.1","duration":"1h","zone":"x"}`, 404, `no zone "x"`},
		{"no address", "POST", blocksPath, `{"client":"anna","duration":"1h","zone":"one"}`, 400, "give an address"},
		{"an address that is nobody's", "POST", blocksPath, `{"client":"ff02::1","duration":"1h","zone":"one"}`, 400, "give an address"},
		{"a network that is no client", "POST", blocksPath, `{"client":"10.0.0.0/8","duration":"1h","zone":"one"}`, 400, "a client is a /32"},
		{"no duration", "POST", blocksPath, `{"client":"192.0.2.1","zone":"one"}`, 400, "duration"},
		{"a duration of nothing", "POST", blocksPath, `{"client":"192.0.2.1","duration":"-1h","zone":"one"}`, 400, "duration"},
		{"a duration of more than a year", "POST", blocksPath, `{"client":"192.0.2.1","duration":"367d","zone":"one"}`, 400, "duration"},
		{"no client", "POST", blocksPath, `{"duration":"1h","zone":"one"}`, 400, "give an address"},
		{"a body without end", "POST", blocksPath, strings.Repeat(" ", 5000) + `{"client":"192.0.2.1","duration":"1h","zone":"one"}`, 400, "too large"},
		{"a misspelt member", "POST", blocksPath, `{"client":"192.0.2.1","duraton":"1h","zone":"one"}`, 400, "duraton"},
		{"no JSON", "POST", blocksPath, `x`, 400, "reading"},
		{"another method", "PUT", blocksPath, ``, 405, "GET lists"},
		{"another method on one block", "GET", blocksPath + "/192.0.2.1", ``, 405, "DELETE"},
		{"lifting in a zone that must be told", "DELETE", blocksPath + "/192.0.2.1", ``, 400, "one, two"},
		{"lifting what is not blocked", "DELETE", blocksPath + "/192.0.2.1?zone=one", ``, 404, "not blocked"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if status, answer := callAdmin(t, test.method, test.target, test.body); status != test.status || !strings.Contains(answer, test.says) {
				t.Errorf("%d %s; want %d and %q", status, answer, test.status, test.says)
			}
		})
	}
}

func TestWithoutAThrottleThereIsNothingToBlock(t *testing.T) {
	if status, answer := callAdmin(t, http.MethodPost, blocksPath, `{"client":"192.0.2.1","duration":"1h"}`); status != 404 || !strings.Contains(answer, "no ip_throttle") {
		t.Errorf("%d %s", status, answer)
	}
	expect(t, listBlocks(t, ""))
}

func TestTheTableOfBlocks(t *testing.T) {
	var b strings.Builder
	if err := printBlocks(&b, []ListedBlock{{Zone: "users", Client: "a\x1b[31m\u202e", SecondsLeft: 600, Cause: "by_hand"}}); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(b.String(), "\x1b\u202e") || !strings.Contains(b.String(), "10m0s") {
		t.Errorf("printed %q", b.String())
	}
	b.Reset()
	if err := printBlocks(&b, nil); err != nil || b.String() != "nobody is blocked\n" {
		t.Errorf("printed %q, %v", b.String(), err)
	}
}
