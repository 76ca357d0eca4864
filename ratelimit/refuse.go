package ratelimit

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
	"github.com/gateway18789/caddy-ollama/ratelimit/limit"
)

// answer is what a client and the record are told of a refusal.
type answer struct {
	status  int
	message string
	kind    string
	code    string
	reason  string // of the record
	verdict string // of the metrics
}

var answers = map[limit.Reason]answer{
	limit.Blocked: {
		status:  http.StatusForbidden,
		message: "blocked for a while; see Retry-After",
		kind:    openai.TypePermission,
		code:    "client_blocked",
		reason:  record.Blocked,
		verdict: verdictBlocked,
	},
	limit.RateLimited: {
		status:  http.StatusTooManyRequests,
		message: "too many requests; see Retry-After",
		kind:    openai.TypeRateLimit,
		code:    openai.CodeRateLimitExceeded,
		reason:  record.RateLimited,
		verdict: verdictRateLimited,
	},
	limit.Unavailable: {
		status:  http.StatusServiceUnavailable,
		message: "the gateway cannot tell at the moment whether this request may pass; see Retry-After",
		kind:    openai.TypeServer,
		code:    "store_unavailable",
		reason:  record.StoreUnavailable,
		verdict: verdictUnavailable,
	},
	limit.OverCapacity:       overCapacity(verdictOverCapacity),
	limit.ClientOverCapacity: overCapacity(verdictClientOverCapacity),
}

func overCapacity(verdict string) answer {
	return answer{
		status:  http.StatusTooManyRequests,
		message: "too many requests in flight; see Retry-After",
		kind:    openai.TypeRateLimit,
		code:    openai.CodeRateLimitExceeded,
		reason:  record.OverCapacity,
		verdict: verdict,
	}
}

// refuse answers a request that may not pass.
func (t *Throttle) refuse(w http.ResponseWriter, r *http.Request, d limit.Decision) error {
	rec := record.From(r.Context())
	if d.Reason == limit.Gone && record.WasCancelled(r.Context()) {
		t.zone.count(verdictCancelled)
		rec.Explain(record.Cancelled)
		return caddyhttp.Error(http.StatusServiceUnavailable, openai.Cancelled())
	}
	if d.Reason == limit.Gone {
		t.zone.count(verdictGone)
		rec.Explain(record.ClientGone)
		return caddyhttp.Error(record.StatusClientGone, errors.New("the client left while its request waited"))
	}
	a := answers[d.Reason]
	t.zone.count(a.verdict)
	rec.Explain(a.reason)
	// the first in whole seconds (RFC 9110), the second for OpenAI's SDKs, which prefer it
	words := [2]string{strconv.Itoa(wholeSeconds(d.RetryAfter)), strconv.FormatInt(wholeMillis(d.RetryAfter), 10)}
	w.Header()["Retry-After"], w.Header()["Retry-After-Ms"] = words[0:1:1], words[1:2:2]
	return caddyhttp.Error(a.status, &openai.Error{Message: a.message, Type: a.kind, Code: a.code})
}

// wholeSeconds rounds up, so that who waits as long as told has waited enough.
func wholeSeconds(d time.Duration) int {
	return max(1, int((d+time.Second-1)/time.Second))
}

// wholeMillis rounds up likewise.
func wholeMillis(d time.Duration) int64 {
	return max(1, int64((d+time.Millisecond-1)/time.Millisecond))
}
