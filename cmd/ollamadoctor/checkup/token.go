package checkup

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
)

// shortLife is what a token must still live for clients to make use of it.
const shortLife = 30 * time.Second

// claims are those of a token that say who and when.
type claims struct {
	Subject string  `json:"sub"`
	Issued  float64 `json:"iat"`
	Expires float64 `json:"exp"`
}

// claimsOf reads a token's claims, whoever signed it.
func claimsOf(compact string) (c claims, ok bool) {
	parts := strings.Split(compact, ".")
	if len(parts) != 3 {
		return c, false
	}
	data, err := base64.RawURLEncoding.DecodeString(parts[1])
	return c, err == nil && json.Unmarshal(data, &c) == nil
}

func at(seconds float64) time.Time { return time.Unix(int64(seconds), 0) }

func checkToken(ctx context.Context, p *Patient) Finding {
	if p.Gateway == nil {
		return skipped("there is no gateway to look at")
	}
	if p.Token == "" && p.inner() {
		return skipped(onlyGateways)
	}
	if p.Token == "" && p.BadKeyWhy != "" {
		return warning("no token can be made with the configuration's key: %s", p.BadKeyWhy).because(
			"Caddy does not start with this configuration, unless it is only you who cannot read the key.",
			"Mend the key, or run this as the user who runs the gateway; or give a token by --token-file.")
	}
	if p.Token == "" {
		return skipped("%s", orElse(p.NoTokenWhy, "none is given: --token-file <file>, or - for standard input"))
	}
	reply, err := p.ask(ctx)
	if err != nil {
		return failed("no answer: %v", err).because("The gateway hangs.", "Look at its log.")
	}
	// times are those of the gateway, who judges by its clock
	skew, _ := skewOf(reply)
	now := reply.Came.Add(skew)
	c, readable := claimsOf(p.Token)
	switch verdictOf(reply) {
	case passed:
		if !readable {
			return ok("accepted")
		}
		life, left := at(c.Expires).Sub(at(c.Issued)), at(c.Expires).Sub(now).Round(time.Second)
		if left < shortLife {
			return warning("accepted, for %s; but only %s of %s are left", c.Subject, left, life).because(
				"It was issued a while ago.", "Issue one for each session, or let the client come through the sidecar (jwt_mint), which makes one for each request.")
		}
		return ok("accepted, for %s; %s of %s are left", c.Subject, left, life)
	case badScope:
		return failed("the token is sound, but does not permit this").because(
			"It lacks a scope that `require scope` in jwt_auth names.", "Issue it with that scope: `caddy jwt issue --claim scope=…`.")
	}
	return whyRefused(p, c, readable, now, skew, reply)
}

// whyRefused explains a token that the gateway does not take. The gateway itself tells
// only its operator.
func whyRefused(p *Patient, c claims, readable bool, now time.Time, skew time.Duration, reply *Reply) Finding {
	longest := 5 * time.Minute
	if g := p.gatewayConfigured(); g != nil && g.MaxLifetime > 0 {
		longest = g.MaxLifetime
	}
	issue := "Issue a new one: `caddy jwt issue --secret-file <file> --sub <name> --ttl 5m`."
	clocks := ""
	if skew.Abs() > skewToTell {
		clocks = fmt.Sprintf(" The gateway's clock is %s.", offBy(skew))
	}
	switch {
	case !readable:
		return failed("refused: it is no JSON Web Token").because(
			"The file holds a secret or a key in place of a token, or more than the token.", issue)
	case c.Expires == 0 || c.Issued == 0 || c.Subject == "":
		return failed("refused: it lacks sub, iat or exp").because(
			"Who made it left them out.", issue)
	case at(c.Expires).Before(now):
		return failed("refused: it has expired %s ago", about(now.Sub(at(c.Expires)))).because(
			"Tokens live for minutes, and the client keeps one for longer."+clocks, issue)
	case at(c.Issued).After(now.Add(time.Second)):
		return failed("refused: it was issued %s in the future", about(at(c.Issued).Sub(now))).because(
			"The clock where it was issued is ahead of the gateway's."+clocks, "Set both clocks by NTP, or set `leeway` in jwt_auth.")
	case at(c.Expires).Sub(at(c.Issued)) > longest:
		return failed("refused: it lives %s", at(c.Expires).Sub(at(c.Issued))).because(
			fmt.Sprintf("jwt_auth takes none that lives longer than max_lifetime, which is %s.", longest), issue)
	}
	why := "`caddy jwt inspect --config <Caddyfile>` on the gateway says which"
	if id := reply.Header.Get("X-Request-Id"); id != "" {
		why += ", and so does event.reason of the audit record " + id
	}
	return failed("refused (%d), though it is not too old", reply.Status).because(
		"It is signed with another secret than the gateway's, or iss, aud, a claim or its certificate is not the one that jwt_auth wants."+clocks, why+".")
}
