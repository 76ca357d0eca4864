package integration

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
)

// alarm is what a receiver of webhooks gets.
type alarm struct {
	Text, Event, ID, Time, Origin, Gateway string
	Data                                   record
}

// alarms is a receiver of webhooks.
type alarms struct {
	*httptest.Server
	mu     sync.Mutex
	all    []alarm
	bodies []string
	keys   []string
}

func startAlarms(t *testing.T) *alarms {
	t.Helper()
	a := new(alarms)
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var one alarm
		if err == nil {
			err = json.Unmarshal(body, &one)
		}
		if err != nil {
			t.Errorf("%s: %v", body, err)
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		a.all, a.bodies, a.keys = append(a.all, one), append(a.bodies, string(body)), append(a.keys, r.Header.Get("Authorization"))
	}))
	t.Cleanup(a.Close)
	return a
}

// received are the alarms so far.
func (a *alarms) received() ([]alarm, []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.all), slices.Clone(a.bodies)
}

// wait waits for the n-th alarm of an event, from 1.
func (a *alarms) wait(t *testing.T, event string, n int) (found alarm) {
	t.Helper()
	await(t, fmt.Sprintf("alarm %d of %s", n, event), func() error {
		all, _ := a.received()
		left := n
		for _, one := range all {
			if one.Event == event {
				if left--; left == 0 {
					found = one
					return nil
				}
			}
		}
		return fmt.Errorf("there are %d", n-left)
	})
	return found
}

// A user's Caddyfile names events, and a receiver gets each with the record of its request.
func TestAlarmsReachAReceiver(t *testing.T) {
	t.Parallel()
	receiver := startAlarms(t)
	upstream := ollamatest.NewServer(ollamatest.Says("hello", "Hello"))
	t.Cleanup(upstream.Close)
	network := startNetwork(t, upstream.Address())
	var events strings.Builder
	for _, event := range []string{
		"ip_throttle.blocked", "audit_log.forged_token", "audit_log.new_certificate", "audit_log.upstream_down", "audit_log.upstream_up",
	} {
		fmt.Fprintf(&events, "\t\ton %s webhook %s/hook {\n\t\t\theader Authorization \"Bearer {file.DIR/webhook.key}\"\n\t\t}\n", event, receiver.URL)
	}
	g := prepareGateway(t, network.address())
	writeFile(t, g.file("webhook.key"), []byte("webhook-secret\n"))
	g.caddyfile = strings.Replace(g.caddyfile, "\tgrace_period 30s\n", "\tgrace_period 30s\n\tevents {\n"+strings.ReplaceAll(events.String(), "DIR", g.dir)+"\t}\n", 1)
	g.writeConfig(g.caddyfile)
	g.process = startProcess(t, g.dir, "run", "--config", g.configFile(), "--adapter", "caddyfile")
	g.awaitListening(t, g.address())

	// as its record in the log is the alarm
	same := func(a alarm, of answer, more record) {
		t.Helper()
		logged := g.recordOf(of)
		for field, value := range logged {
			switch {
			case strings.HasPrefix(field, "event."), strings.HasPrefix(field, "log."), strings.HasPrefix(field, "service."),
				field == "ecs.version", field == "message", strings.HasPrefix(field, "related."):
				continue // the log's own
			}
			if fmt.Sprint(a.Data[field]) != fmt.Sprint(value) {
				t.Errorf("%s: %s is %v, in the log %v", a.Event, field, a.Data[field], value)
			}
		}
		if a.Data["event.reason"] != logged["event.reason"] || !strings.HasPrefix(a.Text, a.Event) || len(a.ID) != 36 || a.Gateway == "" {
			t.Errorf("the alarm is %+v", a)
		}
		for field, value := range more {
			if fmt.Sprint(a.Data[field]) != fmt.Sprint(value) {
				t.Errorf("%s: %s is %v, want %v", a.Event, field, a.Data[field], value)
			}
		}
	}

	client, token := g.from("127.0.0.2"), tokenFor(t, "bot")
	first := g.mustPost(client, token, chatBody("hello", false))
	same(receiver.wait(t, "audit_log.new_certificate", 1), first, record{"tls.client.subject": "CN=clawdbot", "user.id": "bot"})
	second := g.clientWith("127.0.0.2", &tls.Config{RootCAs: g.ca.pool(), Certificates: []tls.Certificate{g.ca.leaf(t, "newcomer")}})
	same(receiver.wait(t, "audit_log.new_certificate", 1), first, nil)
	same(alarmAfter(t, receiver, "audit_log.new_certificate", 2, func() answer { return g.mustPost(second, token, chatBody("hello", false)) }))

	forged := signedToken(t, strings.Repeat("x", 48), jwt.MapClaims{"sub": "bot", "iat": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix()})
	enemy := g.from("127.0.0.66")
	for n := range 3 {
		same(alarmAfter(t, receiver, "audit_log.forged_token", n+1, func() answer { return g.mustPost(enemy, forged, chatBody("hello", false)) }))
	}
	third := receiver.wait(t, "ip_throttle.blocked", 1)
	if third.Data["client"] != "127.0.0.66" || third.Data["event.reason"] != "bad_token:signature" || third.Data["seconds"] != 600.0 ||
		third.Data["http.response.status_code"] != 403.0 || third.Origin != "http.handlers.ip_throttle" {
		t.Errorf("the block is %+v", third)
	}

	// down for some requests and over a reload, and back
	network.proxy.Stop()
	for n := range 3 {
		a := g.mustPost(client, token, chatBody("hello", false))
		if a.status != 502 {
			t.Errorf("got %d", a.status)
		}
		if n == 0 {
			same(receiver.wait(t, "audit_log.upstream_down", 1), a, record{"server.address": network.address()})
		}
	}
	if err := g.reload(g.caddyfile + "\n"); err != nil {
		t.Fatal(err)
	}
	g.mustPost(client, token, chatBody("hello", false))
	awaitUpstream(t, network)
	for n := range 3 {
		a := g.mustPost(client, token, chatBody("hello", false))
		if a.status != 200 {
			t.Errorf("got %d", a.status)
		}
		if n == 0 {
			same(receiver.wait(t, "audit_log.upstream_up", 1), a, record{"server.address": network.address()})
		}
	}
	g.mustPost(client, tokenFor(t, "bot"), chatBody("hello", false))

	counts := make(map[string]int)
	all, _ := receiver.received()
	for _, a := range all {
		counts[a.Event]++
	}
	want := map[string]int{
		"audit_log.new_certificate": 2, "audit_log.forged_token": 3, "ip_throttle.blocked": 1, "audit_log.upstream_down": 1, "audit_log.upstream_up": 1,
	}
	if fmt.Sprint(counts) != fmt.Sprint(want) {
		t.Errorf("there were %v, want %v", counts, want)
	}
	receiver.mu.Lock()
	keys := slices.Compact(slices.Clone(receiver.keys))
	receiver.mu.Unlock()
	if fmt.Sprint(keys) != "[Bearer webhook-secret]" {
		t.Errorf("the receiver was shown %q", keys)
	}
	g.scrape(t).expect(t, series{
		`caddy_event_webhook_deliveries_total{result="delivered"}`: 8, `caddy_event_webhook_deliveries_total{result="failed"}`: 0,
		`caddy_event_webhook_deliveries_total{result="dropped"}`: 0, `caddy_event_webhook_queue_length`: 0,
	})
	if output := g.output.String(); strings.Contains(output, "webhook-secret") || strings.Contains(output, "/hook") {
		t.Error("the log tells the receiver's secrets")
	}
}

// alarmAfter is the n-th alarm of an event, and the answer of the request that raised it.
func alarmAfter(t *testing.T, receiver *alarms, event string, n int, request func() answer) (alarm, answer, record) {
	t.Helper()
	a := request()
	return receiver.wait(t, event, n), a, nil
}

// awaitUpstream starts the network again and waits until it carries.
func awaitUpstream(t *testing.T, n *network) {
	t.Helper()
	if err := n.proxy.Start(); err != nil {
		t.Fatal(err)
	}
	await(t, "the network", func() error {
		conn, err := net.DialTimeout("tcp", n.address(), time.Second)
		if err == nil {
			conn.Close()
		}
		return err
	})
}

// A receiver that does not answer keeps no request waiting, and nobody is kept from
// stopping the gateway.
func TestADeadReceiverSlowsNobody(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // accepts, says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	g := startGatewayWith(t, scripted(t).Address(),
		"\tgrace_period 30s\n", "\tgrace_period 30s\n\tevents {\n\t\ton audit_log.forged_token webhook http://"+silent.Addr().String()+" {\n\t\t\ttimeout 30s\n\t\t\tqueue 5\n\t\t}\n\t}\n",
		"rate 5/s", "exempt 127.0.0.2\n\t\t\trate 5/s")
	client := g.from("127.0.0.2")
	forged := signedToken(t, strings.Repeat("x", 48), jwt.MapClaims{"sub": "bot", "iat": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix()})
	began := time.Now()
	for range 20 {
		if a := g.mustPost(client, forged, chatBody("hello", false)); a.status != 403 {
			t.Fatalf("got %d", a.status)
		}
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("20 requests took %v", took)
	}
	await(t, "the drops", func() error {
		s := g.scrape(t)
		if s[`caddy_event_webhook_deliveries_total{result="dropped"}`] != 15 || s["caddy_event_webhook_queue_length"] != 5 {
			return fmt.Errorf("dropped %v, waiting %v", s[`caddy_event_webhook_deliveries_total{result="dropped"}`], s["caddy_event_webhook_queue_length"])
		}
		return nil
	})
	// the last attempts take five seconds together, and no more
	stopping := time.Now()
	if err := g.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-g.exited:
	case <-time.After(20 * time.Second):
		t.Fatal("the gateway does not stop")
	}
	if took := time.Since(stopping); took < 4*time.Second || took > 12*time.Second {
		t.Errorf("it took %v to stop", took)
	}
}
