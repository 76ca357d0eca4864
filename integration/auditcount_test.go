package integration

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
)

// TestEveryRequestIsFoundInTheAuditLog sends thousands of requests of every kind,
// kills clients in the middle of their streams, and the gateway in the middle of
// everything: each request has one record, by its User-Agent, or is one of those that
// the next start closed.
func TestEveryRequestIsFoundInTheAuditLog(t *testing.T) {
	requests, clientKills, gatewayKills := 10_000, 200, 20
	if testing.Short() || raceEnabled { // which is ten times slower
		requests, clientKills, gatewayKills = 1000, 20, 4
	}
	upstream := ollamatest.NewServer(byTopic(map[string]ollamatest.Answer{
		"short": {Content: []string{"One", " two", " three"}},
		"long":  {Content: lasting, Interval: 10 * time.Millisecond},
	}))
	t.Cleanup(upstream.Close)
	g := startGatewayWith(t, upstream.Address(),
		"rate 5/s", "rate 1000000/s", "burst 10", "burst 100000", "penalty 3 10m", "", "penalty_window 15 10m", "")
	count := &counter{g: g, fates: make(map[string]fate)}

	// clients are killed while others go on
	var others sync.WaitGroup
	others.Go(func() { count.send(requests / 2) })
	for n := range clientKills {
		count.killClient(n)
	}
	others.Wait()
	killed := make(map[string]bool)
	for agent, f := range count.fates {
		if f == started {
			killed[agent] = true
		}
	}
	if len(killed) != clientKills {
		t.Fatalf("%d streams were broken off, want those of %d clients that were killed", len(killed), clientKills)
	}

	// then the gateway
	done := make(chan struct{})
	go func() {
		defer close(done)
		count.send(requests / 2)
	}()
	kills := 0
	for ; kills < gatewayKills; kills++ {
		count.awaitProgress(requests/2/(gatewayKills+1), done)
		_ = g.cmd.Process.Kill()
		<-g.exited
		g.process = startProcess(t, g.dir, "run", "--config", g.configFile(), "--adapter", "caddyfile")
		g.awaitListening(t, g.address())
	}
	<-done
	count.check(t, requests+clientKills, killed)
}

// fate is what became of a request as its client saw it.
type fate int

const (
	unheard  fate = iota // no answer at all
	started              // an answer that broke off
	answered             // a whole one
)

// counter keeps account of requests by their User-Agent.
type counter struct {
	g    *gateway
	sent atomic.Int64

	mu    sync.Mutex
	fates map[string]fate
}

func (c *counter) note(agent string, f fate) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fates[agent] = f
}

// send sends n requests of all kinds on a few connections at a time.
func (c *counter) send(n int) {
	token := tokenFor(c.g.t, "bot")
	kinds := []func() (*http.Request, error){
		func() (*http.Request, error) {
			return c.g.request(context.Background(), token, about("short", false))
		},
		func() (*http.Request, error) {
			return c.g.request(context.Background(), token, about("short", true))
		},
		func() (*http.Request, error) {
			return c.g.request(context.Background(), "", about("short", true))
		},
		func() (*http.Request, error) {
			return c.g.request(context.Background(), "not.a.token", about("short", true))
		},
		func() (*http.Request, error) { return c.g.request(context.Background(), token, "not json") },
		func() (*http.Request, error) {
			// no GET: net/http would send it again if its connection broke
			return http.NewRequest(http.MethodPost, c.g.url("/nowhere"), strings.NewReader("{}"))
		},
	}
	var next atomic.Int64
	var senders sync.WaitGroup
	for s := range 8 {
		client := c.g.from(fmt.Sprintf("127.0.0.%d", 2+s))
		senders.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				number := c.sent.Add(1)
				agent := fmt.Sprintf("probe-%d", number)
				req, err := kinds[number%int64(len(kinds))]()
				if err != nil {
					c.g.t.Error(err)
					return
				}
				req.Header.Set("User-Agent", agent)
				c.note(agent, c.ask(client, req))
			}
		})
	}
	senders.Wait()
}

func (c *counter) ask(client *http.Client, req *http.Request) fate {
	resp, err := client.Do(req)
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		// the gateway is down: what is not sent does not count
		await(c.g.t, "the gateway that was killed to come back", func() error {
			conn, err := net.DialTimeout("tcp", c.g.address(), time.Second)
			if err == nil {
				conn.Close()
			}
			return err
		})
		body, err := req.GetBody()
		if err != nil {
			c.g.t.Error(err)
		}
		req.Body = body
		return c.ask(client, req)
	}
	if err != nil {
		return unheard
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.Header.Get("Content-Type") == "text/event-stream" && !strings.Contains(string(body), "[DONE]") {
		return started
	}
	return answered
}

// awaitProgress waits until so many more requests were sent, or all.
func (c *counter) awaitProgress(n int, done <-chan struct{}) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for from := c.sent.Load(); c.sent.Load() < from+int64(n); {
		select {
		case <-tick.C:
		case <-done:
			return
		}
	}
}

// clientProcess tells this test's binary to be a client: see TestMain.
const clientProcess = "CADDY_OLLAMA_TEST_CLIENT"

// clientOrder is what such a client does.
type clientOrder struct{ Address, Token, Body, Agent, Dir string }

// killClient starts a client as a process of its own and kills it in the middle of an
// answer.
func (c *counter) killClient(n int) {
	t, g := c.g.t, c.g
	agent := fmt.Sprintf("killed-%d", n)
	if n == 0 {
		writeCert(t, g.file("probe.crt"), g.client.Certificate[0])
		writeKey(t, g.file("probe.key"), g.client.PrivateKey)
	}
	order, err := json.Marshal(clientOrder{g.address(), tokenFor(t, "bot"), about("long", true), agent, g.dir})
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), clientProcess+"="+string(order))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if err != nil || !strings.HasPrefix(line, "data: ") {
		t.Fatalf("client %d got %q (%v), want the beginning of a stream", n, line, err)
	}
	c.note(agent, started)
}

// beClient is the client's process: it prints the lines of its answer.
func beClient(text string) error {
	var order clientOrder
	if err := json.Unmarshal([]byte(text), &order); err != nil {
		return err
	}
	cert, err := tls.LoadX509KeyPair(order.Dir+"/probe.crt", order.Dir+"/probe.key")
	if err != nil {
		return err
	}
	// whom it talks to is not what is tested here
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{
		ServerName: host, InsecureSkipVerify: true, Certificates: []tls.Certificate{cert},
	}}}
	req, err := http.NewRequest(http.MethodPost, "https://"+order.Address+"/v1/chat/completions", strings.NewReader(order.Body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+order.Token)
	req.Header.Set("User-Agent", order.Agent)
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(os.Stdout, resp.Body); err != nil {
		return err
	}
	return errors.New("the stream has ended")
}

// check compares the account with the log.
func (c *counter) check(t *testing.T, sent int, killed map[string]bool) {
	t.Helper()
	if len(c.fates) != sent {
		t.Fatalf("%d requests are accounted for, want %d", len(c.fates), sent)
	}
	found, crashed := make(map[string]int), 0
	for _, r := range c.g.records(sent / 2) {
		agent, _ := r["user_agent.original"].(string)
		switch {
		case r["event.reason"] == "crash":
			crashed++
		case agent == "":
			t.Errorf("a record of nobody's request: %v", r)
		default:
			found[agent]++
		}
		if killed[agent] && (r["event.reason"] != "client_gone" || fmt.Sprint(r["http.response.status_code"]) != "499") {
			t.Errorf("the record of a client that was killed says %v, %v", r["event.reason"], r["http.response.status_code"])
		}
	}
	var whole, lostStarted, lost int
	for agent, f := range c.fates {
		n := found[agent]
		if n > 1 || f == answered && n != 1 || killed[agent] && n != 1 {
			t.Errorf("%s has %d records", agent, n)
		}
		switch {
		case f == answered:
			whole++
		case n == 0 && f == started:
			lostStarted++
			lost++
		case n == 0:
			lost++ // perhaps it never arrived
		}
	}
	t.Logf("%d requests: %d answered, %d clients killed, %d without a record of their own, %d closed by the next start",
		sent, whole, len(killed), lost, crashed)
	if crashed < lostStarted || crashed > lost {
		t.Errorf("%d requests were closed by the next start; %d must have been, and %d may", crashed, lostStarted, lost)
	}
	if crashed == 0 {
		t.Error("no request was in flight when the gateway was killed: that proves nothing")
	}
}
