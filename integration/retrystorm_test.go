package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"github.com/gateway18789/caddy-ollama/integration/scriptedmodel"
)

// outcome is what became of one turn of a client that may have retried.
type outcome struct {
	Text    string
	Status  int
	Message string
}

// turns of a client, so many at once, with a token.
type turns func(t *testing.T, token string, count int) []outcome

// A client that has an SDK's retries must not block its host by one unlucky turn, with
// the limits that the example has.
func TestRetryStormsOfSDKs(t *testing.T) {
	server := realOllama(t)
	for _, sdk := range []string{"openai-go", "openai", "ai", "langchain"} {
		t.Run(sdk, func(t *testing.T) {
			n := startNetwork(t, upstreamOf(server))
			g := startGateway(t, n.address())
			take := g.goTurns
			if sdk != "openai-go" {
				take = g.nodeTurns(npmPackages(t, "clients/sdks"), sdk)
			}
			g.sdkStorms(t, n, take)
		})
	}
}

// sdkStorms takes a client through what makes it retry or fail. Each good turn after
// that must work.
func (g *gateway) sdkStorms(t *testing.T, n *network, take turns) {
	t.Helper()
	good := func(after string) {
		t.Helper()
		for _, o := range take(t, tokenFor(t, "bot"), 1) {
			if o.Text != scriptedmodel.HelloText {
				t.Fatalf("the turn after %s: %+v; the last requests: %v", after, o, g.lately())
			}
		}
	}
	good("the start")

	seen := len(g.records(0))
	relent := n.goDown()
	for _, o := range take(t, tokenFor(t, "bot"), 1) {
		if o.Status != 502 {
			t.Errorf("while Ollama is down: %+v", o)
		}
	}
	relent()
	if requests := len(g.records(seen+1)) - seen; requests < 2 {
		t.Errorf("the client sent %d requests while Ollama was down: this tests no retries", requests)
	}
	good("Ollama was down")

	// one turn may be several requests at once, as a program with agents has them
	old := time.Now().Add(-time.Hour)
	expired := signedToken(t, jwtSecret, jwt.MapClaims{"sub": "bot", "iat": old.Unix(), "exp": old.Add(time.Minute).Unix()})
	for _, o := range take(t, expired, 2) {
		if o.Status != 403 {
			t.Errorf("with an expired token: %+v", o)
		}
	}
	good("a token expired")

	served := 0
	for _, o := range take(t, tokenFor(t, "bot"), 25) {
		switch {
		case o.Text == scriptedmodel.HelloText:
			served++
		case o.Status != 429:
			t.Errorf("in a burst: %+v", o)
		}
	}
	if served == 0 {
		t.Error("nothing of a burst is served")
	}
	if len(g.recordsOf("rate_limited")) == 0 {
		t.Error("nothing was refused: this tests no burst")
	}
	good("a burst")
	if blocked := g.recordsOf("blocked"); len(blocked) > 0 {
		t.Errorf("the host was blocked: %v", blocked)
	}
}

// goDown makes whatever is behind the network unreachable until relent.
func (n *network) goDown() (relent func()) {
	n.proxy.Stop()
	return func() {
		n.t.Helper()
		if err := n.proxy.Start(); err != nil {
			n.t.Fatal(err)
		}
	}
}

// recordsOf are the audit records with a reason.
func (g *gateway) recordsOf(reason string) (found []record) {
	g.t.Helper()
	for _, r := range g.records(0) {
		if r["event.reason"] == reason {
			found = append(found, r)
		}
	}
	return found
}

// lately is what became of the last requests.
func (g *gateway) lately() (reasons []string) {
	g.t.Helper()
	for _, r := range g.records(0) {
		reasons = append(reasons, fmt.Sprint(r["http.response.status_code"], " ", r["event.reason"]))
	}
	return reasons[max(0, len(reasons)-15):]
}

// goTurns are turns with OpenAI's SDK for Go.
func (g *gateway) goTurns(t *testing.T, token string, count int) []outcome {
	client := openai.NewClient(option.WithBaseURL(g.url("/v1")), option.WithAPIKey(token), option.WithHTTPClient(g.from("127.0.0.1")))
	outcomes := make([]outcome, count)
	var wait sync.WaitGroup
	for i := range outcomes {
		wait.Go(func() {
			completion, err := client.Chat.Completions.New(t.Context(), ask("hello"))
			if refusal, ok := errors.AsType[*openai.Error](err); ok {
				outcomes[i] = outcome{Status: refusal.StatusCode, Message: refusal.Message}
			} else if err != nil {
				outcomes[i] = outcome{Message: err.Error()}
			} else {
				outcomes[i] = outcome{Text: completion.Choices[0].Message.Content}
			}
		})
	}
	wait.Wait()
	return outcomes
}

// nodeTurns are turns with one of the SDKs of the npm world.
func (g *gateway) nodeTurns(packages, sdk string) turns {
	return func(t *testing.T, token string, count int) (outcomes []outcome) {
		t.Helper()
		output, err := g.node(packages, "turns.mjs", "SDK="+sdk, "TOKEN="+token, "COUNT="+strconv.Itoa(count), "HURRY=30", "EXPECT={}")
		if err == nil {
			err = json.Unmarshal(output, &outcomes)
		}
		if err != nil {
			t.Fatalf("node: %v\n%s", err, output)
		}
		return outcomes
	}
}
