package checkup

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// verdict is what became of a request at the gates before the model.
type verdict int

const (
	passed verdict = iota
	strange
	blockedClient
	limited
	undecided // no store
	noToken
	badToken
	badScope
)

// verdictOf tells by the headers, which are there with or without openai_error.
func verdictOf(r *Reply) verdict {
	challenge := r.Header.Get("Www-Authenticate")
	again := r.Header.Get("Retry-After") != ""
	switch {
	case strings.Contains(challenge, `error="insufficient_scope"`):
		return badScope
	case strings.Contains(challenge, `error="invalid_token"`):
		return badToken
	case r.Status == http.StatusUnauthorized:
		return noToken
	case r.Status == http.StatusForbidden && r.Header.Get("Via") != "" && r.Body == "":
		return passed // it is Ollama that refuses so who comes under another name
	case r.Status == http.StatusForbidden && again:
		return blockedClient
	case r.Status == http.StatusForbidden:
		return strange
	case r.Status == http.StatusTooManyRequests:
		return limited
	case r.Status == http.StatusServiceUnavailable && strings.Contains(r.Body, `"store_unavailable"`):
		return undecided
	}
	return passed
}

// onlyGateways is why an inner gateway need not ask for what others must.
const onlyGateways = "nobody may come here but other gateways (trusted_proxies), and that is their business"

func checkAddress(ctx context.Context, p *Patient) Finding {
	if p.Gateway == nil {
		return skipped("there is no gateway to look at")
	}
	reply, err := p.ask(ctx)
	if err != nil { // the client certificate was not looked at
		return failed("no answer: %v", err).because("The gateway hangs.", "Look at its log.")
	}
	if c := p.gatewayConfigured(); verdictOf(reply) == strange && c != nil && c.AllowList && !p.Abroad {
		return warning("the gateway's own host is not on its allow-list (403), so what comes behind that cannot be seen from here").because(
			"The allow-list names clients, as it should.",
			"Examine the rest from a client's host with --url; or say --from <address> with one of this host's that is on the list.").final()
	}
	if f := refusal(reply); f.Status != "" {
		return f
	}
	if c := p.gatewayConfigured(); c != nil && !c.AllowList {
		return warning("this address is let in, as all are").because(
			"The configuration has no allow-list.",
			"Add `@stranger not remote_ip <addresses>` and `error @stranger \"address not on the allow-list\" 403`, if your clients' addresses are known.")
	}
	return ok("this address is let in")
}

// refusal is why a request was not even asked for its token; empty if it was.
func refusal(reply *Reply) Finding {
	wait := reply.Header.Get("Retry-After")
	switch verdictOf(reply) {
	case strange:
		return failed("this address is not let in (403)").because(
			"It is not on the allow-list; behind a proxy or NAT the gateway sees another address than you think.",
			"Add the address that the audit record has as source.ip to remote_ip in the Caddyfile and reload, or say --from <address> with one of this host's that is on it.")
	case blockedClient:
		return failed("this address is blocked for %s s more (403)", wait).because(
			"It made as many errors as the penalty of ip_throttle allows, such as requests with expired tokens, or those of this examination without any.",
			"Mend what makes the errors, then wait, or `caddy ip-throttle unblock <address> --config <Caddyfile>` on the gateway.")
	case limited:
		return failed("this address is over its limit (429), for %s s", wait).because(
			"It sends more than the rate of ip_throttle allows, or the gateway is full.",
			"Wait and try again; raise rate, burst or concurrency if that is how your clients are.")
	case undecided:
		return failed("the gateway cannot tell whether requests may pass (503)").because(
			"Redis does not answer, and on_store_failure is refuse.", "Start Redis, or check its address in `store redis`.")
	}
	return Finding{}
}

// Bounds of how far clocks may differ: jwt_mint dates its tokens back by 5 s, and
// jwt_auth has a leeway of 30 s at most.
const (
	skewToTell = 3 * time.Second
	skewToFail = 30 * time.Second
)

func checkClock(ctx context.Context, p *Patient) Finding {
	if p.Gateway == nil {
		return skipped("there is no gateway to look at")
	}
	reply, err := p.ask(ctx)
	if err != nil {
		return failed("no answer: %v", err).because("The gateway hangs.", "Look at its log.")
	}
	skew, dated := skewOf(reply)
	cause := "One of the two clocks is not set by NTP, and tokens live by the clock: they seem to have expired, or to come from the future."
	remedy := "Set both by NTP (`timedatectl set-ntp true`); until then a `leeway` in jwt_auth bridges up to 30s."
	switch {
	case !dated:
		return skipped("the gateway's answer has no date")
	case skew.Abs() > skewToFail:
		return failed("the gateway's clock is %s", offBy(skew)).because(cause, remedy)
	case skew.Abs() > skewToTell:
		return warning("the gateway's clock is %s", offBy(skew)).because(cause, remedy)
	}
	return ok("the clocks agree to about a second")
}

// skewOf is how far the gateway's clock is ahead of this one, to about a second: the
// header Date has whole ones.
func skewOf(reply *Reply) (time.Duration, bool) {
	date, err := http.ParseTime(reply.Header.Get("Date"))
	if err != nil {
		return 0, false
	}
	middle := reply.Sent.Add(reply.Came.Sub(reply.Sent) / 2)
	skew := date.Add(500 * time.Millisecond).Sub(middle)
	if skew.Abs() <= time.Second {
		return 0, true // nobody can tell
	}
	return skew.Round(time.Second), true
}

func offBy(skew time.Duration) string {
	if skew < 0 {
		return fmt.Sprintf("%s behind this one", -skew)
	}
	return fmt.Sprintf("%s ahead of this one", skew)
}

func checkNoToken(ctx context.Context, p *Patient) Finding {
	if p.Gateway == nil {
		return skipped("there is no gateway to look at")
	}
	if p.inner() {
		return skipped(onlyGateways)
	}
	reply, err := p.reply, p.err
	if p.Token != "" {
		reply, err = p.Gateway.Models(ctx, Credentials{Certificate: p.Certificate != nil})
	}
	if err != nil {
		return failed("no answer without a token: %v", err).because("The gateway hangs.", "Look at its log.")
	}
	if verdictOf(reply) == noToken {
		return ok("who has none is refused (401)")
	}
	if f := refusal(reply); f.Status != "" {
		return f
	}
	return failed("who has no token is answered %d", reply.Status).because(
		"jwt_auth is missing, or stands behind what answers.",
		"Put jwt_auth before ollama_adapter in the site's route.")
}

func checkRateHeaders(ctx context.Context, p *Patient) Finding {
	if p.Gateway == nil {
		return skipped("there is no gateway to look at")
	}
	reply, err := p.ask(ctx)
	if err != nil {
		return failed("no answer: %v", err).because("The gateway hangs.", "Look at its log.")
	}
	limit, left := reply.Header.Get("X-Ratelimit-Limit-Requests"), reply.Header.Get("X-Ratelimit-Remaining-Requests")
	if limit != "" {
		return ok("%s at once, %s left", limit, left)
	}
	if c := p.gatewayConfigured(); c != nil && c.Rate {
		return failed("answers do not say what is left of the rate").because(
			"The running gateway has another configuration than this one, or a proxy takes the headers away.",
			"`caddy reload`, and look at what stands in between.")
	}
	if p.inner() {
		return skipped(onlyGateways)
	}
	return failed("there is no rate").because(
		"ip_throttle is missing or has no `rate`, so one client can take everything.",
		"Add ip_throttle with `rate 5/s` and `burst 10` before jwt_auth.")
}
