package integration

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// identityProvider publishes the key of a bot, once it can be reached.
type identityProvider struct {
	*httptest.Server
	reachable atomic.Bool
}

func startIdentityProvider(t *testing.T, jwks string) *identityProvider {
	t.Helper()
	p := new(identityProvider)
	p.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if !p.reachable.Load() {
			panic(http.ErrAbortHandler) // cuts the connection
		}
		fmt.Fprint(w, jwks)
	}))
	t.Cleanup(p.Close)
	return p
}

// While the identity provider cannot be reached nobody gets in by its keys. But that is
// neither forgery nor an error of those who come with sound tokens: nobody is woken for a
// forged token, and nobody is blocked for ten minutes.
func TestAnOutageOfTheIdentityProviderIsNoForgery(t *testing.T) {
	t.Parallel()
	receiver := startAlarms(t)
	g := prepareGateway(t, scripted(t).Address())
	g.mustRun("jwt", "keygen", "--type", "es256", "--out", g.file("bot.pem"), "--jwks", g.file("jwks.json"))
	provider := startIdentityProvider(t, readFile(t, g.file("jwks.json")))
	writeCert(t, g.file("provider.crt"), provider.Certificate().Raw)
	g.change(
		"\tgrace_period 30s\n", "\tgrace_period 30s\n\tevents {\n\t\ton audit_log.forged_token webhook "+receiver.URL+"\n\t\ton ip_throttle.blocked webhook "+receiver.URL+"\n\t}\n",
		"max_lifetime 5m\n", "max_lifetime 5m\n\t\t\tjwks "+provider.URL+" {\n\t\t\t\tca "+g.file("provider.crt")+"\n\t\t\t}\n",
	)
	g.process = startProcess(t, g.dir, "run", "--config", g.configFile(), "--adapter", "caddyfile")
	g.awaitListening(t, g.address())
	token := g.mustRun("jwt", "issue", "--private-key-file", g.file("bot.pem"), "--sub", "clawdbot")

	bot := g.from("127.0.0.2")
	for range 5 { // two more than ip_throttle forgives
		a := g.mustPost(bot, token, chatBody("hello", false))
		if a.status != 403 || a.errorCode() != "invalid_api_key" || a.header.Get("Retry-After") != "" {
			t.Errorf("got %d %s", a.status, a.body)
		}
		checkRecord(t, g.recordOf(a), record{"http.response.status_code": 403, "event.outcome": "failure", "event.reason": "bad_token:keys_unavailable"})
	}
	await(t, "the log telling once that there are no keys", func() error {
		if n := strings.Count(g.output.String(), "every token of theirs is refused"); n != 1 {
			return fmt.Errorf("it tells so %d times", n)
		}
		return nil
	})

	// it covers no enemy: what our own secret has not signed is forged, as ever
	forged := signedToken(t, strings.Repeat("x", 48), jwt.MapClaims{"sub": "bot", "iat": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix()})
	for range 3 {
		checkRecord(t, g.recordOf(g.mustPost(g.from("127.0.0.66"), forged, chatBody("hello", false))), record{"event.reason": "bad_token:signature"})
	}
	receiver.wait(t, "ip_throttle.blocked", 1)
	receiver.wait(t, "audit_log.forged_token", 3)
	all, _ := receiver.received()
	for _, a := range all {
		if a.Data["source.ip"] != "127.0.0.66" {
			t.Errorf("an alarm for the bot: %s", a.Text)
		}
	}

	provider.reachable.Store(true)
	await(t, "the bot being let in", func() error {
		if a := g.mustPost(bot, token, chatBody("hello", false)); a.status != 200 {
			return fmt.Errorf("it gets %d %s", a.status, a.body)
		}
		return nil
	})
}
