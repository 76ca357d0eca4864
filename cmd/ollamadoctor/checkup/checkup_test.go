package checkup

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
)

func TestWhoIsWellIsTold(t *testing.T) {
	p, w := well()
	found := examine(p)
	for _, name := range Names() {
		// there is nothing that one Ollama could differ from
		if f, taken := found[name]; taken == strings.HasPrefix(name, "same ") || taken && f.Status != OK {
			t.Errorf("%s: %+v", name, f)
		}
	}
	// who has an error too many on his account is blocked: so one that is wrong, and a right one after it
	want := []string{"models, certificate true, token true", "models, certificate false, token false", "models, certificate true, token false", "chat with qwen3:32b"}
	if !slices.Equal(w.asked, want) {
		t.Errorf("asked %q", w.asked)
	}
}

func TestEachFaultHasItsDiagnosis(t *testing.T) {
	alert := func(text string) error { return errors.New("remote error: tls: " + text) }
	for _, test := range []struct {
		name   string
		spoil  func(p *Patient, w *world)
		step   string
		status Status
		says   string // somewhere in its words
	}{
		{"nothing listens where Ollama should", func(_ *Patient, w *world) { w.versionErr = fmt.Errorf("dial: %w", syscall.ECONNREFUSED) }, "ollama", Failed, "ollama serve"},
		{"there is no socket where Ollama should be", func(_ *Patient, w *world) { w.versionErr = fmt.Errorf("dial: %w", syscall.ENOENT) }, "ollama", Failed, "nothing listens"},
		{"Ollama is silent", func(_ *Patient, w *world) { w.versionErr = context.DeadlineExceeded }, "ollama", Failed, "hangs"},
		{"it is another program", func(_ *Patient, w *world) { w.versionErr = errors.New("404 Not Found") }, "ollama", Failed, "upstream openai"},
		{"an old Ollama cuts conversations", func(_ *Patient, w *world) { w.version = "0.12.5" }, "ollama", Warning, "Update Ollama"},
		{"an alias leads to a model that is not there", func(p *Patient, _ *world) { p.Asked, p.Model = "gpt-4o", "qwen4" }, "model", Failed, "or correct the alias gpt-4o"},
		{"another alias leads to a model that is not there", func(p *Patient, _ *world) {
			p.Configured.Offers.Aliases = map[string]string{"gpt-4o:latest": "qwen4", "gpt-5:latest": "qwen3:32B"}
		}, "model", Warning, "is there, but not what these aliases mean: gpt-4o (qwen4)"},
		{"an alias leads to a model of the cloud, which is nowhere", func(p *Patient, _ *world) {
			p.Configured.Offers.Aliases = map[string]string{"gpt-4o:latest": "qwen4:cloud"}
		}, "model", OK, ""},
		{"its models cannot be listed", func(_ *Patient, w *world) { w.installedErr = errors.New("500") }, "model", Failed, "does not list"},
		{"it has no model", func(_ *Patient, w *world) { w.installed = nil }, "model", Failed, "ollama pull qwen3:32b"},
		{"it has only others", func(_ *Patient, w *world) { w.installed = []ollama.Tag{{Name: "a"}, {Name: "b"}} }, "model", Failed, "there are a, b"},
		{"the name has another case and no tag", func(p *Patient, w *world) { p.Model, w.installed = "QWEN", []ollama.Tag{{Name: "qwen:latest"}} }, "model", OK, "qwen:latest"},
		{"the model runs elsewhere", func(_ *Patient, w *world) { w.installed[0].RemoteHost = "ollama.com" }, "model", Warning, "leave this house"},
		{"no model is named", func(p *Patient, _ *world) { p.Model, p.Asked = "", "" }, "model", OK, "newest"},
		{"the model is cold", func(_ *Patient, w *world) { w.running = nil }, "loaded", Warning, "keep_alive -1"},
		{"another one is warm", func(_ *Patient, w *world) { w.running = []ollama.Tag{{Name: "qwen3:8b"}} }, "loaded", Warning, "not loaded"},
		{"it cannot be shown", func(_ *Patient, w *world) { w.showErr = errors.New("500") }, "context", Failed, "damaged"},
		{"num_ctx is not set", func(p *Patient, _ *world) { p.Configured.NumCtx = 0 }, "context", Warning, "defaults { num_ctx"},
		{"num_ctx is too long", func(p *Patient, _ *world) { p.Configured.NumCtx = 32769 }, "context", Failed, "32768 or less"},
		{"num_ctx is just as long as can be", func(p *Patient, w *world) { p.Configured.NumCtx, w.running = 32768, nil }, "context", OK, "num_ctx 32768"},
		{"it is loaded with another num_ctx", func(_ *Patient, w *world) { w.running[0].ContextLength = 8192 }, "context", Warning, "goes around the gateway"},
		{"nobody knows num_ctx", func(p *Patient, _ *world) { p.Configured = nil }, "context", OK, "loaded with 4096"},

		{"Ollama listens everywhere", func(_ *Patient, w *world) {
			w.listeners = append(w.listeners, netip.MustParseAddrPort("0.0.0.0:11434"))
		}, "exposure", Failed, "OLLAMA_HOST=127.0.0.1"},
		{"Ollama listens everywhere, by IPv6", func(_ *Patient, w *world) { w.listeners = append(w.listeners, netip.MustParseAddrPort("[::]:11434")) }, "exposure", Failed, "[::]:11434"},
		{"Ollama listens on an outer address", func(_ *Patient, w *world) {
			w.listeners = append(w.listeners, netip.MustParseAddrPort("10.0.0.7:11434"))
		}, "exposure", Failed, "10.0.0.7"},
		{"Ollama listens on IPv6's loopback, too", func(_ *Patient, w *world) { w.listeners = append(w.listeners, netip.MustParseAddrPort("[::1]:11434")) }, "exposure", OK, ""},
		{"of several Ollamas here, those that listen everywhere are told", func(p *Patient, w *world) {
			p.Ollamas = append(p.Ollamas, &Upstream{Address: "127.0.0.1:11435", API: w}, &Upstream{Address: "localhost:11436", API: w})
			w.listeners = append(w.listeners, netip.MustParseAddrPort("127.0.0.1:11435"), netip.MustParseAddrPort("0.0.0.0:11436"))
		}, "exposure", Failed, "port 11436 is open to the network at 0.0.0.0:11436"},
		{"all of several Ollamas here listen everywhere", func(p *Patient, w *world) {
			p.Ollamas = append(p.Ollamas, &Upstream{Address: "127.0.0.1:11435", API: w})
			w.listeners = append(w.listeners, netip.MustParseAddrPort("[::]:11435"), netip.MustParseAddrPort("0.0.0.0:11434"))
		}, "exposure", Failed, "open to the network, at 0.0.0.0:11434, [::]:11435"},
		{"several upstreams have a public address", func(p *Patient, _ *world) {
			p.Configured.Upstreams = []string{"203.0.113.9:11434", "10.0.0.9:11434", "203.0.113.8:11434"}
		}, "exposure", Failed, "upstreams are 203.0.113.9:11434, 203.0.113.8:11434, each a public address"},
		{"an upstream is across a private network", func(p *Patient, _ *world) { p.Configured.Upstreams = []string{"127.0.0.1:11434", "10.0.0.9:11434"} }, "exposure", Warning, "a firewall on that host"},
		{"several are across a private network", func(p *Patient, _ *world) {
			p.Configured.Upstreams = []string{"10.0.2.2:11434", "100.64.3.4:11434", "[fd00::7]:11434", "169.254.1.1:11434"}
		}, "exposure", Warning, "in the clear: 10.0.2.2:11434, 100.64.3.4:11434, [fd00::7]:11434, 169.254.1.1:11434"},
		{"it is across a private network by TLS", func(p *Patient, _ *world) {
			p.Configured.Secured, p.Configured.Upstreams = true, []string{"10.0.0.9:11434"}
		}, "exposure", OK, ""},
		{"an upstream has a public address", func(p *Patient, _ *world) { p.Configured.Upstreams = []string{"10.0.0.9:11434", "203.0.113.9:11434"} }, "exposure", Failed, "203.0.113.9:11434, a public address"},
		{"an upstream has a public address of IPv6", func(p *Patient, _ *world) { p.Configured.Upstreams = []string{"[2001:db8::9]:11434"} }, "exposure", Failed, "a public address"},
		{"an upstream has a public address, and TLS", func(p *Patient, _ *world) {
			p.Configured.Secured, p.Configured.Upstreams = true, []string{"203.0.113.9:443"}
		}, "exposure", OK, ""},
		{"an upstream is an outer address of this host", func(p *Patient, w *world) {
			w.own, p.Configured.Upstreams = []netip.Addr{netip.MustParseAddr("10.0.0.9")}, []string{"10.0.0.9:11434"}
		}, "exposure", Failed, "10.0.0.9:11434, an address of this host"},
		{"TLS does not make that one better", func(p *Patient, w *world) {
			w.own, p.Configured.Upstreams, p.Configured.Secured = []netip.Addr{netip.MustParseAddr("10.0.0.9")}, []string{"10.0.0.9:443"}, true
		}, "exposure", Failed, "an address of this host"},
		{"an upstream is every address of this host", func(p *Patient, _ *world) { p.Configured.Upstreams = []string{"0.0.0.0:11434"} }, "exposure", Failed, "an address of this host"},
		{"an upstream is the name of a private address", func(p *Patient, w *world) {
			w.names, p.Configured.Upstreams = map[string]string{"ollama": "172.18.0.2"}, []string{"ollama:11434"}
		}, "exposure", Warning, "ollama:11434"},
		{"an upstream is the name of a public address", func(p *Patient, w *world) {
			w.names, p.Configured.Upstreams = map[string]string{"ollama.example.com": "203.0.113.9"}, []string{"ollama.example.com:11434"}
		}, "exposure", Failed, "ollama.example.com:11434, a public address"},
		{"an upstream is another name of loopback", func(p *Patient, w *world) {
			w.names, p.Configured.Upstreams = map[string]string{"ollama": "127.0.0.1"}, []string{"ollama:11434"}
		}, "exposure", OK, ""},
		{"an upstream is a name that nobody knows", func(p *Patient, _ *world) { p.Configured.Upstreams = []string{"ollama.example.com:11434"} }, "exposure", Warning, "ollama.example.com"},
		{"an open admin API is worse than an upstream that is elsewhere", func(p *Patient, _ *world) {
			p.Configured.Upstreams, p.Configured.Admin = []string{"10.0.0.9:11434"}, ":2019"
		}, "exposure", Failed, "admin API"},
		{"an engine is across the network, by TLS", func(p *Patient, _ *world) {
			p.Ollamas, p.Configured.Engine, p.Configured.Secured, p.Configured.Upstreams = nil, true, true, []string{"10.0.1.2:18790"}
		}, "exposure", OK, "what is behind"},
		{"an engine is across the network, in the clear", func(p *Patient, _ *world) {
			p.Ollamas, p.Configured.Engine, p.Configured.Upstreams = nil, true, []string{"10.0.1.2:8000"}
		}, "exposure", Warning, "in the clear"},
		{"where the upstream is the configuration does not say", func(p *Patient, _ *world) { p.Ollamas, p.Configured.Upstreams = nil, nil }, "exposure", Skipped, ""},
		{"an engine is no Ollama", func(p *Patient, _ *world) { p.Ollamas, p.Configured.Engine = nil, true }, "ollama", Skipped, "OpenAI's dialect"},
		{"an upstream is a socket", func(p *Patient, _ *world) { p.Configured.Upstreams = []string{"unix//run/ollama.sock"} }, "exposure", OK, ""},
		{"the admin API is open", func(p *Patient, _ *world) { p.Configured.Admin = ":2019" }, "exposure", Failed, "admin unix//"},
		{"the admin API is on loopback", func(p *Patient, _ *world) { p.Configured.Admin = "localhost:2019" }, "exposure", OK, ""},
		{"Ollama can be reached from a client's host", func(p *Patient, w *world) {
			p.Ollamas, p.Configured, p.GatewayAddress, w.answers = nil, nil, "10.0.0.7:18789", "10.0.0.7:11434"
		}, "exposure", Failed, "can be reached from here"},
		{"Ollama cannot be reached from a client's host", func(p *Patient, _ *world) { p.Ollamas, p.Configured, p.GatewayAddress = nil, nil, "10.0.0.7:18789" }, "exposure", OK, "port 11434 of 10.0.0.7"},
		{"nothing is to be seen", func(p *Patient, _ *world) { p.Ollamas, p.Configured = nil, nil }, "exposure", Skipped, ""},

		{"the gateway is down", func(_ *Patient, w *world) { w.connectErr = fmt.Errorf("dial: %w", syscall.ECONNREFUSED) }, "gateway", Failed, "systemctl status"},
		{"its name is not known", func(_ *Patient, w *world) { w.connectErr = &net.DNSError{Err: "no such host"} }, "gateway", Failed, "--connect"},
		{"this host does not have the address to come from", func(_ *Patient, w *world) {
			w.connectErr = fmt.Errorf("dial: %w", os.NewSyscallError("bind", syscall.EADDRNOTAVAIL))
		}, "gateway", Failed, "`ip addr`"},
		{"a firewall is in between", func(_ *Patient, w *world) { w.connectErr = os.ErrDeadlineExceeded }, "gateway", Failed, "port 18789"},
		{"it speaks no TLS", func(_ *Patient, w *world) {
			w.handshakeErr = errors.New("tls: first record does not look like a TLS handshake")
		}, "server certificate", Failed, "http://"},
		{"it has no certificate", func(_ *Patient, w *world) { w.handshakeErr = alert("internal error") }, "server certificate", Failed, "no certificate for the name"},
		{"the handshake is broken off", func(_ *Patient, w *world) { w.handshakeErr = errors.New("EOF") }, "server certificate", Failed, "in between"},
		{"its certificate has ended", func(_ *Patient, w *world) { w.leaf.NotAfter = now.Add(-50 * time.Hour) }, "server certificate", Failed, "2 days ago"},
		{"its certificate begins later", func(_ *Patient, w *world) { w.leaf.NotBefore = now.Add(2 * time.Hour) }, "server certificate", Failed, "in 2h"},
		{"its certificate has another name", func(_ *Patient, w *world) { w.trustErr = x509.HostnameError{Certificate: w.leaf} }, "server certificate", Failed, "not for gw.example.com but for gw.example.com"},
		{"its certificate has no name", func(_ *Patient, w *world) {
			w.leaf.DNSNames, w.trustErr = nil, x509.HostnameError{Certificate: w.leaf}
		}, "server certificate", Failed, "subjectAltName"},
		{"its CA is unknown", func(_ *Patient, w *world) { w.trustErr = x509.UnknownAuthorityError{} }, "server certificate", Failed, "--cacert"},
		{"its certificate is for something else", func(_ *Patient, w *world) { w.trustErr = x509.CertificateInvalidError{Reason: x509.IncompatibleUsage} }, "server certificate", Failed, "serverAuth"},
		{"its certificate ends in days", func(_ *Patient, w *world) { w.leaf.NotAfter = now.Add(13 * 24 * time.Hour) }, "server certificate", Warning, "13 days"},
		{"its certificate never lives for long", func(_ *Patient, w *world) {
			w.leaf.NotBefore, w.leaf.NotAfter = now.Add(-time.Hour), now.Add(11*time.Hour)
		}, "server certificate", OK, ""},
		{"plain http gets no answer", func(_ *Patient, w *world) { w.plainErr = errors.New("EOF") }, "redirect", Failed, "http_redirect"},
		{"plain http is refused", func(_ *Patient, w *world) { w.plain = reply(400, "") }, "redirect", Failed, "not sent to https"},
		{"plain http is refused behind another gateway", func(p *Patient, w *world) { p.Configured.Inner, w.plain = true, reply(400, "") }, "redirect", OK, "is refused"},
		{"plain http is served behind another gateway", func(p *Patient, w *world) { p.Configured.Inner, w.plain = true, reply(200, "") }, "redirect", Failed, "tokens can be read"},
		{"plain http is served", func(_ *Patient, w *world) { w.plain = reply(200, "") }, "redirect", Failed, "tokens can be read"},
		{"plain http goes to plain http", func(_ *Patient, w *world) { w.plain = reply(308, "", "Location", "http://elsewhere/") }, "redirect", Failed, "not to https"},

		{"the client certificate has ended", func(p *Patient, _ *world) { p.Certificate.NotAfter = now.Add(-time.Minute) }, "client certificate", Failed, "ended 1m0s ago"},
		{"the client certificate begins later", func(p *Patient, _ *world) { p.Certificate.NotBefore = now.Add(time.Minute) }, "client certificate", Failed, "begins only in 1m0s"},
		{"the client certificate is a server's", func(p *Patient, _ *world) { p.Certificate.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }, "client certificate", Failed, "clientAuth"},
		{"the client certificate is for anything", func(p *Patient, _ *world) { p.Certificate.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageAny} }, "client certificate", OK, ""},
		{"the client certificate is refused", func(_ *Patient, w *world) { w.modelsErr = alert("unknown certificate authority") }, "client certificate", Failed, "some CA"},
		{"one is wanted and none is given", func(p *Patient, _ *world) { p.Certificate = nil }, "client certificate", Failed, "--cert"},
		{"none is wanted and none is given", func(p *Patient, w *world) { p.Certificate, w.bare, w.bareErr = nil, w.models, nil }, "client certificate", Skipped, "asks for none"},
		{"the connection ends without a word", func(_ *Patient, w *world) { w.modelsErr = errors.New("EOF") }, "client certificate", Failed, "abort"},
		{"who has no certificate is answered", func(_ *Patient, w *world) { w.bare, w.bareErr = reply(401, ""), nil }, "no certificate", Failed, "require_and_verify"},
		{"who has no certificate hears nothing", func(_ *Patient, w *world) { w.bareErr = errors.New("EOF") }, "no certificate", Warning, "no answer"},

		{"a stranger's address", func(p *Patient, w *world) {
			p.Abroad, w.models = true, reply(403, `{"error":{"code":"forbidden"}}`)
		}, "address", Failed, "source.ip"},
		{"a stranger's address, with no handle_errors", func(p *Patient, w *world) { p.Abroad, w.models = true, reply(403, "") }, "address", Failed, "allow-list"},
		{"a stranger's address, behind another proxy", func(p *Patient, w *world) {
			p.Abroad, w.models = true, reply(403, `{"error":{"code":"forbidden"}}`, "Via", "1.1 Caddy")
		}, "address", Failed, "allow-list"},
		{"Ollama itself refuses a name that is not its own", func(_ *Patient, w *world) { w.models = reply(403, "", "Via", "1.1 Caddy") }, "address", OK, ""},
		{"the gateway's own host is not on its list", func(_ *Patient, w *world) { w.models = reply(403, "") }, "address", Warning, "a client's host with --url"},
		{"and nothing behind that is looked at", func(_ *Patient, w *world) { w.models = reply(403, "") }, "token", Skipped, `"address"`},
		{"a list that the configuration does not have", func(p *Patient, w *world) { p.Configured.AllowList, w.models = false, reply(403, "") }, "address", Failed, "allow-list"},
		{"a block", func(_ *Patient, w *world) { w.models = reply(403, "", "Retry-After", "599") }, "address", Failed, "those of this examination"},
		{"too many requests", func(_ *Patient, w *world) { w.models = reply(429, "", "Retry-After", "1") }, "address", Failed, "burst"},
		{"Redis is away", func(_ *Patient, w *world) { w.models = reply(503, `{"error":{"code":"store_unavailable"}}`) }, "address", Failed, "Start Redis"},
		{"there is no allow-list", func(p *Patient, _ *world) { p.Configured.AllowList = false }, "address", Warning, "as all are"},

		{"the clocks differ by seconds", func(_ *Patient, w *world) {
			w.models.Header.Set("Date", now.Add(-8*time.Second).Format(http.TimeFormat))
		}, "clock", Warning, "behind this one"},
		{"the clocks differ by an hour", func(_ *Patient, w *world) { w.models.Header.Set("Date", now.Add(time.Hour).Format(http.TimeFormat)) }, "clock", Failed, "timedatectl"},
		{"there is no date", func(_ *Patient, w *world) { w.models.Header.Del("Date") }, "clock", Skipped, ""},

		{"there is no token", func(p *Patient, _ *world) { p.Token, p.NoTokenWhy = "", "there is no secret" }, "token", Skipped, "there is no secret"},
		{"the token has little left", func(p *Patient, _ *world) { p.Token = living(-280*time.Second, 20*time.Second) }, "token", Warning, "only 20s of 5m0s"},
		{"the token has just enough left", func(p *Patient, _ *world) { p.Token = living(-270*time.Second, 30*time.Second) }, "token", OK, "30s of 5m0s"},
		{"the token is none", func(p *Patient, w *world) { p.Token, w.models = "top secret", refused(403) }, "token", Failed, "a secret or a key"},
		{"the token has no subject", func(p *Patient, w *world) { p.Token, w.models = tokenOf(`{"iat":1,"exp":2}`), refused(403) }, "token", Failed, "lacks sub"},
		{"the token has expired", func(p *Patient, w *world) {
			p.Token, w.models = living(-600*time.Second, -300*time.Second), refused(403)
		}, "token", Failed, "expired 5m0s ago"},
		{"the token has expired by the gateway's clock", func(p *Patient, w *world) {
			w.models = refused(401)
			w.models.Header.Set("Date", now.Add(time.Hour).Format(http.TimeFormat))
		}, "token", Failed, "expired 55m"},
		{"the token is from the future", func(p *Patient, w *world) { p.Token, w.models = living(60*time.Second, 120*time.Second), refused(403) }, "token", Failed, "issued 1m0s in the future"},
		{"the token lives too long", func(p *Patient, w *world) { p.Token, w.models = living(0, 301*time.Second), refused(403) }, "token", Failed, "max_lifetime, which is 5m0s"},
		{"the token lives longer than the configuration has it", func(p *Patient, w *world) {
			p.Configured.MaxLifetime, w.models = time.Minute, refused(403)
		}, "token", Failed, "which is 1m0s"},
		{"the token is another's", func(p *Patient, w *world) { w.models = refused(403) }, "token", Failed, "audit record request-1"},
		{"the token lacks a scope", func(p *Patient, w *world) {
			w.models = reply(403, "", "Www-Authenticate", `Bearer error="insufficient_scope"`)
		}, "token", Failed, "scope"},

		{"answers do not tell of the rate", func(_ *Patient, w *world) { w.models.Header.Del("X-Ratelimit-Limit-Requests") }, "rate headers", Failed, "another configuration"},
		{"there is no rate", func(p *Patient, w *world) {
			w.models.Header.Del("X-Ratelimit-Limit-Requests")
			p.Configured.Rate = false
		}, "rate headers", Failed, "rate 5/s"},

		{"the model takes too long", func(_ *Patient, w *world) { w.chatErr = context.DeadlineExceeded }, "adapter", Failed, "ollama ps"},
		{"the answer breaks off", func(_ *Patient, w *world) { w.chatErr = errors.New("unexpected EOF") }, "adapter", Failed, "breaks off"},
		{"Ollama is not where the gateway looks", func(_ *Patient, w *world) { w.chat = reply(502, "") }, "adapter", Failed, "reverse_proxy"},
		{"Ollama is busy", func(_ *Patient, w *world) { w.chat = reply(503, "") }, "adapter", Failed, "too much to do"},
		{"Ollama takes too long for the gateway", func(_ *Patient, w *world) { w.chat = reply(504, "") }, "adapter", Failed, "first_byte_timeout"},
		{"the model is not for this client", func(_ *Patient, w *world) { w.chat = reply(404, `{"error":{"code":"model_not_found"}}`) }, "adapter", Failed, "models_claim"},
		{"the path is not known", func(_ *Patient, w *world) { w.chat = reply(404, "404 page not found") }, "adapter", Failed, "ollama_adapter is missing"},
		{"something else is answered", func(_ *Patient, w *world) { w.chat = reply(418, "I am a teapot") }, "adapter", Failed, "teapot"},
		{"the chat is over the rate", func(_ *Patient, w *world) { w.chat = reply(429, "") }, "adapter", Failed, "over its limit"},
		{"Ollama itself answers", func(_ *Patient, w *world) { w.chat = stream(strings.Replace(goodStream, "fp_1", "fp_ollama", 1)) }, "adapter", Failed, "not the adapter's"},
		{"the answer is no stream", func(_ *Patient, w *world) { w.chat = reply(200, "{}", "Content-Type", "application/json") }, "adapter", Failed, "application/json"},
		{"the stream has no end", func(_ *Patient, w *world) { w.chat = stream(strings.TrimSuffix(goodStream, "data: [DONE]\n\n")) }, "adapter", Failed, "without [DONE]"},
		{"the stream has nothing but an end", func(_ *Patient, w *world) { w.chat = stream("data: [DONE]\n\n") }, "adapter", Failed, "without [DONE]"},
		{"the stream ends with an error", func(_ *Patient, w *world) {
			w.chat = stream("data: {\"error\":{\"message\":\"out of memory\",\"code\":\"upstream_error\"}}\n\n")
		}, "adapter", Failed, "out of memory"},
		{"no request is wanted", func(p *Patient, _ *world) { p.NoRequest = true }, "adapter", Skipped, "--no-request"},

		{"the configuration's key is no good", func(p *Patient, _ *world) { p.Token, p.BadKeyWhy = "", "it is empty" }, "token", Warning, "it is empty"},
		{"behind another gateway is no rate", func(p *Patient, w *world) {
			p.Configured.Inner = true
			w.models.Header.Del("X-Ratelimit-Limit-Requests")
			p.Configured.Rate = false
		}, "rate headers", Skipped, "other gateways"},
		{"behind another gateway is a rate all the same", func(p *Patient, _ *world) { p.Configured.Inner = true }, "rate headers", OK, ""},
		{"behind another gateway is no token", func(p *Patient, _ *world) { p.Configured.Inner, p.Token = true, "" }, "token", Skipped, "other gateways"},
		{"behind another gateway nobody needs one", func(p *Patient, _ *world) { p.Configured.Inner, p.Token = true, "" }, "no token", Skipped, "other gateways"},
		{"behind another gateway the model is asked without", func(p *Patient, w *world) {
			p.Configured.Inner, p.Token = true, ""
			w.chat.Status = 502
		}, "adapter", Failed, "reverse_proxy"},

		{"nobody records", func(_ *Patient, w *world) { w.chat.Header.Del("X-Request-Id") }, "audit", Failed, "Put audit_log first"},
		{"the configuration does not record", func(p *Patient, _ *world) { p.Configured.Audit = false }, "audit", Failed, "another configuration"},
		{"records go to the standard output", func(p *Patient, _ *world) { p.Configured.AuditFile, p.Configured.AuditOutput = "", "stdout" }, "audit", Skipped, "stdout"},
		{"the log is not for this user", func(_ *Patient, w *world) { w.logErr = fs.ErrPermission }, "audit", Skipped, "as that user"},
		{"there is no log", func(_ *Patient, w *world) { w.logErr = fs.ErrNotExist }, "audit", Failed, "gateway's host"},
		{"the log cannot be read", func(_ *Patient, w *world) { w.logErr = errors.New("input/output error") }, "audit", Failed, "disk"},
		{"the log lacks the request", func(_ *Patient, w *world) { w.recorded = false }, "audit", Failed, "no record of request request-1"},
		{"where the log is nobody knows", func(p *Patient, _ *world) { p.Configured = nil }, "audit", OK, "--config"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, w := well()
			test.spoil(p, w)
			token := p.Token
			found := examine(p)
			f := found[test.step]
			if f.Status != test.status || !strings.Contains(f.Text+" "+f.Cause+" "+f.Remedy, test.says) {
				t.Errorf("%s: %+v, want %s and %q", test.step, f, test.status, test.says)
			}
			for name, f := range found {
				if told := f.Cause != "" && f.Remedy != ""; told != (f.Status == Failed || f.Status == Warning) {
					t.Errorf("%s has cause and remedy: %t: %+v", name, told, f)
				}
				if token != "" && strings.Contains(fmt.Sprint(f), token) {
					t.Errorf("%s tells the token", name)
				}
			}
		})
	}
}

func TestWhatNeedsAFailedStepIsNotTaken(t *testing.T) {
	p, w := well()
	w.versionErr = errors.New("no")
	found := examine(p)
	for _, name := range []string{"model", "loaded", "context", "adapter"} {
		if f := found[name]; f.Status != Skipped || !strings.Contains(f.Text, `"ollama"`) {
			t.Errorf("%s: %+v", name, f)
		}
	}
	for _, name := range []string{"token", "audit"} {
		if found[name].Status != OK {
			t.Errorf("%s: %+v", name, found[name])
		}
	}
	if Sound([]Step{{Finding: Finding{Status: Warning}}, {Finding: Finding{Status: Failed}}}) || !Sound([]Step{{Finding: Finding{Status: Warning}}}) {
		t.Error("only a step that failed makes it unsound")
	}
}

func TestNothingIsTakenOfWhatIsNotThere(t *testing.T) {
	p, w := well()
	p.Ollamas, p.Gateway, p.Configured, p.Plan.GatewayAddress = nil, nil, nil, ""
	for name, f := range examine(p) {
		if f.Status != Skipped {
			t.Errorf("%s: %+v", name, f)
		}
	}
	if len(w.asked) > 0 {
		t.Errorf("asked %q", w.asked)
	}
}
