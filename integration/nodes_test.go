package integration

import (
	"crypto/tls"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// adapterHost is adapter-node's name in the examples.
const adapterHost = "adapter-node.internal"

// nodes are caddyfile-examples/{gateway-node,adapter-node}.Caddyfile in force.
type nodes struct {
	gateway, adapter *gateway
	hosts            *authority
}

// prepareNodes writes the files of both hosts, with these changes to the Caddyfiles, and
// starts nothing.
func prepareNodes(t *testing.T, onGateway, onAdapter []string) *nodes {
	t.Helper()
	n := &nodes{hosts: newAuthority(t, "hosts CA")}
	clients := newAuthority(t, "internal CA")
	n.gateway = prepareNode(t, "gateway-node", clients, onGateway)
	n.gateway.client = clients.leaf(t, "clawdbot")
	server := clients.leaf(t, host, host)
	writeCert(t, n.gateway.file("gw.crt"), server.Certificate[0])
	writeKey(t, n.gateway.file("gw.key"), server.PrivateKey)
	writeCert(t, n.gateway.file("internal-ca.crt"), clients.cert.Raw)
	writeFile(t, n.gateway.file("jwt.key"), []byte(jwtSecret+"\n"))

	n.adapter = prepareNode(t, "adapter-node", n.hosts, onAdapter)
	n.adapter.client = n.hosts.leaf(t, "gateway-node")
	writeCert(t, n.gateway.file("host.crt"), n.adapter.client.Certificate[0])
	writeKey(t, n.gateway.file("host.key"), n.adapter.client.PrivateKey)
	server = n.hosts.leaf(t, adapterHost, adapterHost, host)
	writeCert(t, n.adapter.file("adapter.crt"), server.Certificate[0])
	writeKey(t, n.adapter.file("adapter.key"), server.PrivateKey)
	for _, node := range []*gateway{n.gateway, n.adapter} {
		writeCert(t, node.file("hosts-ca.crt"), n.hosts.cert.Raw)
	}
	return n
}

func prepareNode(t *testing.T, name string, ca *authority, changes []string) *gateway {
	t.Helper()
	dir, err := os.MkdirTemp(workDir, "n")
	if err != nil {
		t.Fatal(err)
	}
	example := readFile(t, "../caddyfile-examples/"+name+".Caddyfile")
	for i := 0; i < len(changes); i += 2 {
		if !strings.Contains(example, changes[i]) {
			t.Fatalf("%s does not say %q", name, changes[i])
		}
	}
	replace := append([]string{
		"/etc/caddy-ollama", dir, "/run/caddy-ollama", dir, "/var/log/caddy-ollama", dir, "qwen3:32b", "hello",
	}, changes...)
	g := &gateway{t: t, dir: dir, ca: ca, caddyfile: strings.NewReplacer(replace...).Replace(example)}
	g.writeConfig(g.caddyfile)
	return g
}

// startNodesOnLoopback runs both on loopback, in front of the upstream, with these changes
// to adapter-node.
func startNodesOnLoopback(t *testing.T, upstream string, onAdapter ...string) *nodes {
	t.Helper()
	outer, inner := freePort(t), freePort(t)
	n := prepareNodes(t, []string{
		"servers :18789", "servers 127.0.0.1:" + outer,
		host + ":18789, :18789 {", host + ":" + outer + ", :" + outer + " {\n\tbind 127.0.0.1",
		"10.0.0.5 10.0.0.6", "127.0.0.0/25",
		"10.0.1.2:18790", "127.0.0.1:" + inner,
	}, append([]string{
		"servers 10.0.1.2:18790", "servers 127.0.0.1:" + inner,
		adapterHost + ":18790, :18790 {", adapterHost + ":" + inner + ", :" + inner + " {",
		"bind 10.0.1.2", "bind 127.0.0.1",
		"not remote_ip 10.0.1.1", "not remote_ip 127.0.0.1",
		"trusted_proxies static 10.0.1.1", "trusted_proxies static 127.0.0.1",
		"10.0.2.2:11434", upstream,
	}, onAdapter...))
	n.gateway.port, n.adapter.port = outer, inner
	n.start(t, func(_ *gateway, cmd *exec.Cmd) *exec.Cmd { return cmd })
	n.adapter.awaitListening(t, n.adapter.address())
	n.gateway.awaitListening(t, n.gateway.address())
	return n
}

// start starts the processes of both, each by the command that `at` makes of its own.
func (n *nodes) start(t *testing.T, at func(node *gateway, cmd *exec.Cmd) *exec.Cmd) {
	t.Helper()
	for _, node := range []*gateway{n.adapter, n.gateway} {
		cmd := gatewayCommand(t, node.dir, "run", "--config", node.configFile(), "--adapter", "caddyfile")
		node.process = startCommand(t, at(node, cmd))
	}
}

// hostTLS is what a host with this certificate shows adapter-node.
func (n *nodes) hostTLS(certificates ...tls.Certificate) *tls.Config {
	return &tls.Config{RootCAs: n.hosts.pool(), Certificates: certificates, ServerName: adapterHost}
}
