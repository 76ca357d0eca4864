package ollamaadapter

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/translate"
)

func TestAnUpstreamTurnsOnlyOnce(t *testing.T) {
	down := func(address string) record.UpstreamTurn { return record.UpstreamTurn{Address: address} }
	up := func(address string) record.UpstreamTurn { return record.UpstreamTurn{Address: address, Up: true} }
	for _, test := range []struct {
		name string
		seen []record.UpstreamTurn
		want []record.UpstreamTurn
	}{
		{"one that answers has not turned", []record.UpstreamTurn{up("a"), up("a")}, nil},
		{"one that is gone turns once", []record.UpstreamTurn{up("a"), down("a"), down("a")}, []record.UpstreamTurn{down("a")}},
		{"one that was never there too", []record.UpstreamTurn{down("a"), down("a")}, []record.UpstreamTurn{down("a")}},
		{"and once when it is back", []record.UpstreamTurn{down("a"), up("a"), up("a")}, []record.UpstreamTurn{down("a"), up("a")}},
		{"one that answers says nothing of another", []record.UpstreamTurn{down("a"), up("b"), down("a"), up("b")}, []record.UpstreamTurn{down("a")}},
		{"where none could be asked, the first that answers is back", []record.UpstreamTurn{down(""), down(""), up("a"), up("b")}, []record.UpstreamTurn{down(""), up("a")}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := new(sights)
			for _, seen := range test.seen {
				s.note(seen.Address, seen.Up)
			}
			if got := s.take(true); !slices.Equal(got, test.want) {
				t.Errorf("it turned %v, want %v", got, test.want)
			}
			if again := s.take(true); again != nil {
				t.Errorf("and again: %v", again)
			}
		})
	}
}

// An alarm that an upstream is down must not come with the record of a success.
func TestWhoTellsOfAnUpstreamsTurn(t *testing.T) {
	s := new(sights)
	s.note("a", false)
	if turns := s.take(false); turns != nil {
		t.Errorf("a request that went well tells of %v", turns)
	}
	s.note("b", false)
	if turns := s.take(true); len(turns) != 2 {
		t.Errorf("one that failed tells of %v", turns)
	}
	s.note("a", true)
	if turns := s.take(false); len(turns) != 1 || !turns[0].Up {
		t.Errorf("one that went well again tells of %v", turns)
	}
}

func TestWhichFailuresAreTheUpstreams(t *testing.T) {
	for _, test := range []struct {
		name   string
		reason string
		status int
		want   string
	}{
		{"what the record calls so", record.UpstreamStalled, 0, record.UpstreamStalled},
		{"a proxy that reaches nobody", "", http.StatusBadGateway, record.UpstreamError},
		{"a request that went well", "", 0, ""},
		{"a request that was wrong", "", http.StatusBadRequest, ""},
		{"a mistake of ours", "", http.StatusInternalServerError, ""},
		{"a client that left while nobody was reached", record.ClientGone, http.StatusBadGateway, ""},
		{"a gateway that stops", record.ShuttingDown, http.StatusServiceUnavailable, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			var err error
			if test.status != 0 {
				err = caddyhttp.Error(test.status, errors.New("failed"))
			}
			if got := upstreamFailure(&record.Record{Reason: test.reason}, err); got != test.want {
				t.Errorf("it is %q, want %q", got, test.want)
			}
		})
	}
}

func TestWhatIsRememberedOfUpstreamsIsBounded(t *testing.T) {
	s := new(sights)
	for n := range 10_000 {
		s.note(fmt.Sprint(n), false)
		s.note("flaps", n%2 == 0)
	}
	if len(s.down) > mostSights || len(s.turns) > mostSights {
		t.Errorf("%d upstreams and %d turns", len(s.down), len(s.turns))
	}
}

func TestWhatCanBeSeenOfAnUpstream(t *testing.T) {
	left, leave := context.WithCancel(t.Context())
	leave()
	stalled, stall := context.WithCancelCause(t.Context())
	stall(translate.ErrStalled)
	stopping, stop := context.WithCancelCause(t.Context())
	stop(translate.ErrStopping)
	failed := func(status int) *upstreamAnswer {
		return &upstreamAnswer{err: caddyhttp.Error(status, errors.New("failed"))}
	}
	for _, test := range []struct {
		name     string
		answer   *upstreamAnswer
		ctx      context.Context
		up, seen bool
	}{
		{"it has answered", &upstreamAnswer{status: 200}, t.Context(), true, true},
		{"an error is an answer", &upstreamAnswer{status: 500}, t.Context(), true, true},
		{"so is one that breaks off", &upstreamAnswer{status: 200, cut: true}, t.Context(), true, true},
		{"one whose client left while it answered", &upstreamAnswer{status: 200}, left, true, true},
		{"nobody could be reached", failed(http.StatusBadGateway), t.Context(), false, true},
		{"nobody was there to ask", failed(http.StatusServiceUnavailable), t.Context(), false, true},
		{"it came to no answer in the proxy's time", failed(http.StatusGatewayTimeout), t.Context(), false, true},
		{"it kept silent too long", failed(499), stalled, false, true},
		{"its client left before it could answer", failed(499), left, false, false},
		{"its client left, and the proxy says so", &upstreamAnswer{status: record.StatusClientGone}, left, false, false},
		{"the gateway stops", failed(http.StatusBadGateway), stopping, false, false},
		{"another handler refused", failed(http.StatusForbidden), t.Context(), false, false},
		{"there is no handler that asks", &upstreamAnswer{}, t.Context(), false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.answer.asking = test.ctx
			if up, seen := test.answer.sight(); up != test.up || seen != test.seen {
				t.Errorf("up %v, seen %v", up, seen)
			}
		})
	}
}

// While all is well nobody looks which upstream it is that answers; from the first failure
// on it matters again.
func TestAnUpstreamThatComesBackIsSeenAmongThoseThatAreWell(t *testing.T) {
	s := new(sights)
	asking := func(address string) context.Context {
		repl := caddy.NewReplacer()
		repl.Set("http.reverse_proxy.upstream.hostport", address)
		return context.WithValue(t.Context(), caddy.ReplacerCtxKey, repl)
	}
	answers, fails := &upstreamAnswer{status: http.StatusOK}, &upstreamAnswer{err: caddyhttp.Error(http.StatusBadGateway, nil)}
	for _, seen := range []struct {
		address string
		answer  *upstreamAnswer
		turned  int
	}{
		{"a", answers, 0}, {"b", answers, 0}, {"a", fails, 1}, {"b", answers, 0}, {"a", fails, 0}, {"a", answers, 1}, {"a", answers, 0},
		{"b", fails, 1}, {"b", answers, 1},
	} {
		seen.answer.asking = asking(seen.address)
		s.see(seen.answer)
		if turns := s.take(true); len(turns) != seen.turned || len(turns) == 1 && turns[0].Address != seen.address {
			t.Fatalf("after %+v: %v", seen, turns)
		}
	}
}
