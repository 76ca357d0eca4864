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
	tightest atomic.Pointer[told]
	// refused: one of the handlers has refused the request. That is no error of the
	// client's by which another might judge it.
	refused atomic.Bool
}

// told is a quota in the words of its three headers, which are set more than once.
type told struct {
	quota limit.Quota
	words [3]string
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
	if known := s.tightest.Load(); quota.Limit > 0 && (known == nil || tighter(quota, known.quota)) {
		s.tightest.Store(&told{quota, [3]string{
			strconv.Itoa(quota.Limit), strconv.Itoa(quota.Remaining), resetTime(quota.Reset),
		}})
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
