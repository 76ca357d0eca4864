package ratelimit

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"regexp"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
	"github.com/gateway18789/caddy-ollama/ratelimit/limit"
)

func (t *Throttle) setDefaults() {
	if t.Burst == 0 {
		t.Burst = 1
	}
	if t.PenaltyStatus == nil {
		t.PenaltyStatus = []int{400, 401, 403, 404, 405, 413, 415, 422}
	}
	if t.PerClient == 0 {
		t.PerClient = 20
	}
	if t.IPv4Prefix == 0 {
		t.IPv4Prefix = 32
	}
	if t.IPv6Prefix == 0 {
		t.IPv6Prefix = 64
	}
	if t.MaxClients == 0 {
		t.MaxClients = 1_000_000
	}
	if t.Zone == "" {
		t.Zone = "default"
	}
}

// Bounds of what makes sense, far from where the arithmetic would overflow.
const (
	most    = 1_000_000
	longest = 366 * 24 * time.Hour
	// mostInWindow bounds what is remembered of one client's errors.
	mostInWindow = 100
	// longestWait is about as long as clients wait for the first byte of an answer.
	longestWait = 5 * time.Minute
)

// plainName is what a zone may be called: the name is a label of metrics, and in the
// names of files and in URLs.
var plainName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

var placeholder = regexp.MustCompile(`^\{[^{}\s]+\}$`)

// compile checks the options and makes the policy of them.
func (t *Throttle) compile() error {
	interval, err := parseRate(t.Rate)
	if err != nil {
		return err
	}
	switch {
	case t.Burst < 1 || t.Burst > most:
		return fmt.Errorf("burst %d: give a number from 1 to %d", t.Burst, most)
	case t.Burst > 1 && interval == 0:
		return errors.New("burst without rate: give a rate such as 5/s")
	case t.Concurrency < 0 || t.Concurrency > most:
		return fmt.Errorf("concurrency %d: give a number from 1 to %d", t.Concurrency, most)
	case t.PerClient < 0 || t.PerClient > most:
		return fmt.Errorf("per_client %d: give a number from 1 to %d", t.PerClient, most)
	case t.IPv4Prefix < 8 || t.IPv4Prefix > 32:
		return fmt.Errorf("ipv4_prefix %d: give a number from 8 to 32", t.IPv4Prefix)
	case t.IPv6Prefix < 16 || t.IPv6Prefix > 128:
		return fmt.Errorf("ipv6_prefix %d: give a number from 16 to 128", t.IPv6Prefix)
	case t.MaxClients < 0 || t.MaxClients > 100*most:
		return fmt.Errorf("max_clients %d: give a number from 1 to %d", t.MaxClients, 100*most)
	case !plainName.MatchString(t.Zone):
		return fmt.Errorf("zone %q: give a name of up to 64 letters, digits, dots, dashes and underscores", t.Zone)
	case t.Key != "" && !placeholder.MatchString(t.Key):
		return fmt.Errorf("key %q: give a placeholder such as {http.auth.user.id}", t.Key)
	}
	for _, status := range t.PenaltyStatus {
		if status < 400 || status > 499 || status == http.StatusTooManyRequests || status == record.StatusClientGone {
			return fmt.Errorf("penalty_status %d: only 4xx that the client causes count, never 429, 499 or 5xx", status)
		}
	}
	t.policy = limit.Policy{
		Interval:      interval,
		Burst:         t.Burst,
		Concurrency:   t.Concurrency,
		PerClient:     t.PerClient,
		PenaltyStatus: t.PenaltyStatus,
		MaxClients:    t.MaxClients,
		Gateways:      t.Gateways,
	}
	if err := t.compilePenalties(); err != nil {
		return err
	}
	if q := t.Queue; q != nil {
		if q.Places < 1 || q.Places > most || q.Wait <= 0 || time.Duration(q.Wait) > longestWait {
			return fmt.Errorf("queue %d %s: give a number of places and a time up to %s, such as 100 5s",
				q.Places, time.Duration(q.Wait), longestWait)
		}
		t.policy.Queue, t.policy.QueueWait = q.Places, time.Duration(q.Wait)
	}
	if err := t.compileStore(); err != nil {
		return err
	}
	return t.compileExempt()
}

func (t *Throttle) compilePenalties() error {
	if w := t.PenaltyWindow; w != nil {
		if w.Errors < 1 || w.Errors > mostInWindow || w.Duration <= 0 || time.Duration(w.Duration) > 24*time.Hour {
			return fmt.Errorf("penalty_window %d %s: give a number of errors up to %d and a time up to 24h, such as 15 10m",
				w.Errors, time.Duration(w.Duration), mostInWindow)
		}
		t.policy.Window, t.policy.WindowTime = w.Errors, time.Duration(w.Duration)
		t.policy.PenaltyTime = t.policy.WindowTime
	}
	if p := t.Penalty; p != nil {
		if p.Errors < 1 || p.Errors > most || p.Duration <= 0 || time.Duration(p.Duration) > longest {
			return fmt.Errorf("penalty %d %s: give a number of errors and a duration up to a year, such as 3 10m",
				p.Errors, time.Duration(p.Duration))
		}
		t.policy.Penalty, t.policy.PenaltyTime = p.Errors, time.Duration(p.Duration)
	}
	return nil
}

func (t *Throttle) compileExempt() error {
	t.exempt = nil
	for _, network := range t.Exempt {
		prefix, err := caddyhttp.CIDRExpressionToPrefix(network)
		if err != nil {
			return fmt.Errorf("exempt %q: give an address or a network such as 10.0.0.0/8", network)
		}
		if prefix.Addr().Is4In6() && prefix.Bits() >= 96 {
			prefix = netip.PrefixFrom(prefix.Addr().Unmap(), prefix.Bits()-96)
		}
		t.exempt = append(t.exempt, prefix)
	}
	return nil
}
