package ratelimit

import (
	"context"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/gateway18789/caddy-ollama/ratelimit/limit"
)

// standing is where the client of one request stands with its rate. If several
// handlers count the request, the answer tells of the one that leaves least.
type standing struct {
	tightest atomic.Pointer[limit.Quota]
}

type standingKey struct{}

// standingOf returns the request's standing, which knows of the quota then, and the
// request that carries it to handlers further in.
func standingOf(r *http.Request, quota limit.Quota) (*http.Request, *standing) {
	s, ok := r.Context().Value(standingKey{}).(*standing)
	if !ok {
		s = new(standing)
		r = r.WithContext(context.WithValue(r.Context(), standingKey{}, s))
	}
	if known := s.tightest.Load(); quota.Limit > 0 && (known == nil || tighter(quota, *known)) {
		s.tightest.Store(&quota)
	}
	return r, s
}

func tighter(a, b limit.Quota) bool {
	if a.Remaining != b.Remaining {
		return a.Remaining < b.Remaining
	}
	return a.Reset > b.Reset
}

// announce tells the client, in place of what an upstream may have told it.
func (s *standing) announce(header http.Header) {
	quota := s.tightest.Load()
	if quota == nil {
		return // there is no rate
	}
	header.Set("X-RateLimit-Limit-Requests", strconv.Itoa(quota.Limit))
	header.Set("X-RateLimit-Remaining-Requests", strconv.Itoa(quota.Remaining))
	header.Set("X-RateLimit-Reset-Requests", resetTime(quota.Reset))
}

// resetTime writes a time as OpenAI does, such as 6m0s or 200ms, rounded up.
func resetTime(d time.Duration) string {
	return (time.Duration(wholeMillis(d+time.Millisecond)-1) * time.Millisecond).String()
}
