package ratelimit

import (
	"context"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gateway18789/caddy-ollama/ratelimit/limit"
)

// standing is where the client of one request stands with its rate. If several
// handlers count the request, the answer tells of the one that leaves least.
type standing struct {
	tightest atomic.Pointer[told]
	first    told // which most often is the tightest too
	// refused: one of the handlers has refused the request. That is no error of the
	// client's by which another might judge it.
	refused atomic.Bool
}

// told is a quota in the words of its three headers, which are set more than once.
type told struct {
	quota limit.Quota
	words [3]string
}

// standingVar is the variable of a request that has its standing. A context of its own
// would need a copy of the request.
const standingVar = "ip_throttle.standing"

// standingOf returns the standing of a request, for this handler and those further in. It
// knows of the quota then.
func standingOf(ctx context.Context, quota limit.Quota) *standing {
	s, ok := caddyhttp.GetVar(ctx, standingVar).(*standing)
	if !ok {
		s = new(standing)
		caddyhttp.SetVar(ctx, standingVar, s)
	}
	if quota.Limit == 0 {
		return s // there is no rate
	}
	switch known := s.tightest.Load(); {
	case known == nil:
		s.first = tell(quota)
		s.tightest.Store(&s.first)
	case tighter(quota, known.quota):
		t := tell(quota)
		s.tightest.Store(&t)
	}
	return s
}

func tell(quota limit.Quota) told {
	return told{quota, [3]string{strconv.Itoa(quota.Limit), strconv.Itoa(quota.Remaining), resetTime(quota.Reset)}}
}

func tighter(a, b limit.Quota) bool {
	if a.Remaining != b.Remaining {
		return a.Remaining < b.Remaining
	}
	return a.Reset > b.Reset
}

// announce tells the client, in place of what an upstream may have told it.
func (s *standing) announce(header http.Header) {
	t := s.tightest.Load()
	if t == nil {
		return // there is no rate
	}
	// names as http.Header has them; who adds a value does not write into ours
	header["X-Ratelimit-Limit-Requests"] = t.words[0:1:1]
	header["X-Ratelimit-Remaining-Requests"] = t.words[1:2:2]
	header["X-Ratelimit-Reset-Requests"] = t.words[2:3:3]
}

// resetTime writes a time as OpenAI does, such as 6m0s or 200ms, rounded up.
func resetTime(d time.Duration) string {
	return (time.Duration(wholeMillis(d+time.Millisecond)-1) * time.Millisecond).String()
}
