package integration

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
)

// threeHosts are the examples as they stand, but for their files' places, on three hosts, and
// clients on a fourth. Each cable is a network; the client sends everything that he has no
// cable for to the gateway.
//
//	client 10.0.0.5, .7 ── 10.0.0.1 gateway 10.0.1.1 ── 10.0.1.2 adapter 10.0.2.1 ── 10.0.2.2 Ollama
type threeHosts struct {
	*nodes
	outside, onGateway, onAdapter, onOllama *netns
}

func startThreeHosts(t *testing.T) *threeHosts {
	t.Helper()
	h := &threeHosts{outside: newNetns(t), onGateway: newNetns(t), onAdapter: newNetns(t), onOllama: newNetns(t)}
	join(t, h.outside, "10.0.0.5/24", h.onGateway, "10.0.0.1/24")
	join(t, h.onGateway, "10.0.1.1/24", h.onAdapter, "10.0.1.2/24")
	join(t, h.onAdapter, "10.0.2.1/24", h.onOllama, "10.0.2.2/24")
	h.outside.run("ip", "address", "add", "10.0.0.7/24", "dev", h.outside.cable())
	// everybody tries to get past his neighbour, and would get an answer
	h.outside.run("ip", "route", "add", "default", "via", "10.0.0.1")
	h.onGateway.run("ip", "route", "add", "10.0.2.0/24", "via", "10.0.1.2")
	h.onAdapter.run("ip", "route", "add", "10.0.0.0/24", "via", "10.0.1.1")
	h.onOllama.run("ip", "route", "add", "default", "via", "10.0.2.1")

	ollama := &http.Server{Handler: ollamatest.NewHandler(ollamatest.Says("hello", "I ", "am ", "well"))}
	listener := h.onOllama.listen("10.0.2.2:11434")
	var serving sync.WaitGroup
	serving.Go(func() { _ = ollama.Serve(listener) })
	t.Cleanup(func() {
		_ = ollama.Close()
		serving.Wait()
	})

	h.nodes = prepareNodes(t, nil, nil)
	h.start(t, func(node *gateway, cmd *exec.Cmd) *exec.Cmd {
		if node == h.gateway {
			return h.onGateway.command(cmd)
		}
		return h.onAdapter.command(cmd)
	})
	h.adapter.awaitListeningBy(t, "adapter-node", func() (net.Conn, error) { return h.onGateway.dial(t.Context(), "", "10.0.1.2:18790") })
	h.gateway.awaitListeningBy(t, "gateway-node", func() (net.Conn, error) { return h.outside.dial(t.Context(), "", "10.0.0.1:18789") })
	return h
}

// cable is the name of the only cable that the network has.
func (n *netns) cable() (name string) {
	n.t.Helper()
	if err := n.within(func() error {
		all, err := net.Interfaces()
		for _, one := range all {
			if one.Flags&net.FlagLoopback == 0 {
				name = one.Name
			}
		}
		return err
	}); err != nil || name == "" {
		n.t.Fatalf("it has no cable: %v", err)
	}
	return name
}

// client is an HTTP client at an address of a network, which shows a server this.
func (h *threeHosts) client(at *netns, from, to string, config *tls.Config) *http.Client {
	transport := &http.Transport{
		TLSClientConfig: config,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return at.dial(ctx, from, to)
		},
	}
	h.gateway.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// bot is a client whom the gateway knows.
func (h *threeHosts) bot(from string) *http.Client {
	return h.client(h.outside, from, "10.0.0.1:18789", &tls.Config{
		RootCAs: h.gateway.ca.pool(), Certificates: []tls.Certificate{h.gateway.client}, ServerName: host,
	})
}

func TestThreeHosts(t *testing.T) {
	h := startThreeHosts(t)

	for _, stream := range []bool{true, false} {
		t.Run(fmt.Sprintf("what the gateway's record counts was counted two hops away, stream %t", stream), func(t *testing.T) {
			a := h.post(t, h.bot("10.0.0.5"), chatBody("hello", stream))
			if got := said(t, a); got != "I am well" {
				t.Errorf("says %q", got)
			}
			outer := h.gateway.recordOf(a)
			checkRecord(t, outer, record{
				"event.reason": "ok", "user.id": "bot", "source.ip": "10.0.0.5",
				"gen_ai.usage.output_tokens": 3, "gen_ai.provider.name": "openai_compatible", "gen_ai.response.model": "hello",
			})
			inner := h.adapter.recordOf(a) // by the same X-Request-Id
			checkRecord(t, inner, record{
				"event.reason": "ok", "source.ip": "10.0.0.5",
				"gen_ai.usage.output_tokens": 3, "gen_ai.provider.name": "ollama",
				"gen_ai.usage.input_tokens": outer["gen_ai.usage.input_tokens"],
				"gen_ai.conversation.id":    outer["gen_ai.conversation.id"],
			})
			if outer["gen_ai.conversation.id"] == nil || outer["gen_ai.conversation.id"] != a.header.Get("X-Conversation-Id") {
				t.Errorf("the conversation is %v, and %q to the client", outer["gen_ai.conversation.id"], a.header.Get("X-Conversation-Id"))
			}
			if _, told := outer["labels.usage_estimated"]; told {
				t.Error("the gateway has estimated what adapter-node tells")
			}
		})
	}

	t.Run("the id that a client gives its request is not taken", func(t *testing.T) {
		req := h.request(t, chatBody("hello", false))
		req.Header.Set("X-Request-Id", "forged")
		if a := h.do(t, h.bot("10.0.0.5"), req); a.status != 200 || a.header.Get("X-Request-Id") == "forged" {
			t.Errorf("got %d %v", a.status, a.header)
		}
	})

	t.Run("a model that is not there is told through both hops", func(t *testing.T) {
		a := h.post(t, h.bot("10.0.0.5"), chatBody("unknown", false))
		if a.status != 404 || a.errorCode() != "model_not_found" {
			t.Errorf("got %d %s", a.status, a.body)
		}
		checkRecord(t, h.gateway.recordOf(a), record{"event.reason": "model_not_found"})
		checkRecord(t, h.adapter.recordOf(a), record{"event.reason": "model_not_found"})
	})

	t.Run("a stranger is turned away at the gateway", func(t *testing.T) {
		if a := h.post(t, h.bot("10.0.0.7"), chatBody("hello", false)); a.status != 403 {
			t.Errorf("got %d %s", a.status, a.body)
		}
	})

	t.Run("from outside there is port 18789 and nothing else", func(t *testing.T) {
		for _, address := range []string{"10.0.0.1", "10.0.1.1"} { // both are the gateway's
			if open := h.outside.openPorts(address); !slices.Equal(open, []int{18789}) {
				t.Errorf("open at %s: %v", address, open)
			}
		}
	})

	t.Run("nobody gets past his neighbour", func(t *testing.T) {
		for _, way := range []struct {
			name string
			from *netns
			to   string
		}{
			{"from outside to the adapter", h.outside, "10.0.1.2:18790"},
			{"from outside to Ollama", h.outside, "10.0.2.2:11434"},
			{"from the gateway to Ollama", h.onGateway, "10.0.2.2:11434"},
		} {
			if conn, err := way.from.dial(t.Context(), "", way.to); err == nil {
				conn.Close()
				t.Errorf("%s there is a way", way.name)
			}
		}
		// so that it is not for want of an address
		for _, way := range []struct {
			from *netns
			to   string
		}{{h.onGateway, "10.0.1.2:18790"}, {h.onAdapter, "10.0.2.2:11434"}} {
			conn, err := way.from.dial(t.Context(), "", way.to)
			if err != nil {
				t.Errorf("the way to %s is closed to the neighbour too: %v", way.to, err)
				continue
			}
			conn.Close()
		}
	})

	t.Run("adapter-node takes nobody but gateway-node", func(t *testing.T) {
		for _, test := range []struct {
			name   string
			client *http.Client
			status int // 0: no TLS at all
		}{
			{"without a certificate", h.client(h.onGateway, "", "10.0.1.2:18790", h.hostTLS()), 0},
			{"with a client's certificate", h.client(h.onGateway, "", "10.0.1.2:18790", h.hostTLS(h.gateway.client)), 0},
			{"with gateway-node's certificate, but not from there", h.client(h.onOllama, "", "10.0.1.2:18790", h.hostTLS(h.adapter.client)), 403},
			{"as gateway-node", h.client(h.onGateway, "", "10.0.1.2:18790", h.hostTLS(h.adapter.client)), 200},
		} {
			resp, err := test.client.Post("https://"+adapterHost+"/v1/chat/completions", "application/json", strings.NewReader(chatBody("hello", false)))
			if err == nil {
				resp.Body.Close()
			}
			if test.status == 0 && err == nil || test.status != 0 && (err != nil || resp.StatusCode != test.status) {
				t.Errorf("%s: got %v, %v", test.name, resp, err)
			}
		}
	})

	t.Run("the doctor finds nothing wrong on any of them", func(t *testing.T) { h.examine(t) })

	t.Run("without adapter-node there is an honest answer", func(t *testing.T) {
		h.adapter.stop()
		a := h.post(t, h.bot("10.0.0.5"), chatBody("hello", false))
		if a.status != 502 || a.errorCode() != "upstream_error" {
			t.Errorf("got %d %s", a.status, a.body)
		}
		checkRecord(t, h.gateway.recordOf(a), record{"event.reason": "upstream_error", "event.outcome": "failure"})
	})
}

// examine has the doctor look at each host, and from outside.
func (h *threeHosts) examine(t *testing.T) {
	writeCert(t, h.gateway.file("client.crt"), h.gateway.client.Certificate[0])
	writeKey(t, h.gateway.file("client.key"), h.gateway.client.PrivateKey)
	asBot := []string{"--cert", h.gateway.file("client.crt"), "--key", h.gateway.file("client.key")}
	asHost := []string{"--cert", h.gateway.file("host.crt"), "--key", h.gateway.file("host.key")}
	for _, test := range []struct {
		name string
		at   *netns
		args []string
		want map[string]string // step: its status, and a word of its finding
	}{
		{"on gateway-node", h.onGateway, append([]string{"--config", h.gateway.configFile()}, asBot...), map[string]string{
			"exposure": "ok", "no certificate": "ok", "address": "warning: own host", "token": "skipped: address", "audit": "ok"}},
		{"on adapter-node", h.onAdapter, append([]string{"--config", h.adapter.configFile()}, asHost...), map[string]string{
			"ollama": "ok", "model": "ok", "exposure": "warning: 10.0.2.2:11434", "no certificate": "ok", "address": "warning: own host", "audit": "ok"}},
		{"at a client", h.outside, append([]string{"--url", "https://" + host + ":18789", "--connect", "10.0.0.1:18789", "--from", "10.0.0.5",
			"--cacert", h.gateway.file("internal-ca.crt"), "--token", tokenFor(t, "bot"), "--model", "hello"}, asBot...), map[string]string{
			"exposure": "ok: 10.0.0.1", "address": "ok", "token": "ok", "no token": "ok", "rate headers": "ok", "adapter": "ok"}},
	} {
		cmd := gatewayCommand(t, h.gateway.dir, append([]string{"ollama-doctor", "--json"}, test.args...)...)
		d := examineBy(t, test.at.command(cmd))
		if d.exit != 0 || !d.Sound {
			t.Errorf("%s: ends with %d: %s", test.name, d.exit, d.all)
			continue
		}
		for step, want := range test.want {
			status, finding, _ := strings.Cut(want, ": ")
			if got, text := d.of(t, step); got != status || !strings.Contains(text, finding) {
				t.Errorf("%s: %s is %s, want %s: %s", test.name, step, got, want, text)
			}
		}
	}
}

// openPorts are the ports at an address that take connections from this network.
func (n *netns) openPorts(address string) (open []int) {
	n.t.Helper()
	if err := n.within(func() error {
		for port := 1; port < 1<<16; port++ {
			conn, err := net.Dial("tcp", net.JoinHostPort(address, strconv.Itoa(port)))
			switch {
			case err == nil:
				conn.Close()
				open = append(open, port)
			case !errors.Is(err, syscall.ECONNREFUSED):
				return err
			}
		}
		return nil
	}); err != nil {
		n.t.Fatal(err)
	}
	return open
}

func (h *threeHosts) request(t *testing.T, body string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+host+":18789/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+tokenFor(t, "bot"))
	return req
}

func (h *threeHosts) post(t *testing.T, client *http.Client, body string) answer {
	t.Helper()
	return h.do(t, client, h.request(t, body))
}

func (h *threeHosts) do(t *testing.T, client *http.Client, req *http.Request) answer {
	t.Helper()
	a, err := answerTo(client, req)
	if err != nil {
		t.Fatal(err)
	}
	return a
}
