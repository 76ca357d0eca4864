package checkup

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// ollamaPort is where Ollama listens if nobody says otherwise.
const ollamaPort = "11434"

// checkExposure looks for ways to Ollama and to Caddy's admin API around the gateway.
func checkExposure(ctx context.Context, p *Patient) Finding {
	var looked, across []string
	if c := p.gatewayConfigured(); c != nil {
		at := p.places(ctx, c.Upstreams)
		if here := at[onThisHost]; here != nil {
			return failed("the configuration's %s an address of this host that others reach", upstreamsAre(here)).because(
				p.behind()+" listens on the network, where whoever reaches its port goes around the gateway.",
				"Have it listen on loopback (OLLAMA_HOST=127.0.0.1:11434), and say so in reverse_proxy.")
		}
		if public := at[inPublic]; public != nil && !c.Secured {
			return failed("the configuration's %s a public address, and reached in the clear", upstreamsAre(public)).because(
				"All prompts and answers can be read on the way, and whoever else is let in there goes around the gateway.",
				"Run the gateway, or a second one, on that host, and have "+p.behind()+" listen on loopback; or reach it by WireGuard.")
		}
		if !c.Secured {
			across = at[onANetwork]
		}
		if c.Admin != "" && !local(c.Admin) {
			return failed("Caddy's admin API listens on %s", c.Admin).because(
				"The configuration says so with `admin`.",
				"Take a Unix socket: `admin unix//run/caddy-ollama/admin.sock`.")
		}
		if len(c.Upstreams) > 0 {
			looked = append(looked, "the configuration")
		}
	}
	if ports := p.localPorts(); len(ports) > 0 {
		listeners, err := p.Host.Listeners()
		if err == nil {
			if open := openTo(listeners, ports); len(open) > 0 {
				inner := "127.0.0.1:" + portOf(open[0])
				return failed("%s", openAt(open)).because(
					"OLLAMA_HOST is 0.0.0.0 or an outer address, or a container publishes the port.",
					"Set OLLAMA_HOST="+inner+" (`systemctl edit ollama`; of a container, publish "+inner+":11434) and restart Ollama.")
			}
			looked = append(looked, "who listens here")
		}
	}
	if host, _, err := net.SplitHostPort(p.GatewayAddress); err == nil && !local(p.GatewayAddress) {
		there := net.JoinHostPort(host, ollamaPort)
		if p.Host.Answers(ctx, there) {
			return failed("%s can be reached from here", there).because(
				"Ollama listens on the network on the gateway's host.",
				"Set OLLAMA_HOST=127.0.0.1:11434 there and restart Ollama; close the port in the firewall.")
		}
		looked = append(looked, "port "+ollamaPort+" of "+host)
	}
	switch {
	case across != nil:
		return warning("%s is across the network, in the clear: %s", p.behind(), strings.Join(across, ", ")).because(
			"It asks nobody for a password. Whether others than the gateway reach it cannot be seen from here.",
			"Only the gateway may reach it: a firewall on that host, such as caddyfile-examples/ollama-node has; and WireGuard, if somebody could listen on the way.")
	case looked == nil:
		return skipped("neither the configuration nor the ports can be seen from here")
	}
	return ok("%s is not open to the network (by %s)", p.behind(), strings.Join(looked, ", "))
}

// behind is what stands behind the gateway.
func (p *Patient) behind() string {
	if p.behindIsAnEngine() {
		return "what is behind"
	}
	return "Ollama"
}

// upstreamsAre begins what is said of some upstreams.
func upstreamsAre(these []string) string {
	if len(these) == 1 {
		return "upstream is " + these[0] + ","
	}
	return "upstreams are " + strings.Join(these, ", ") + ", each"
}

// where an upstream is, the worst last of those that can be told.
type where int

const (
	onLoopback where = iota
	onANetwork       // a private one, or nobody knows
	inPublic         // whoever is on the internet can try
	onThisHost       // but not on loopback
)

// places tells which upstreams are where. All are looked up at once, for a name may take
// all the time that there is.
func (p *Patient) places(ctx context.Context, upstreams []string) map[where][]string {
	found := make([]where, len(upstreams))
	var looked sync.WaitGroup
	for i, upstream := range upstreams {
		looked.Go(func() { found[i] = p.whereIs(ctx, upstream) })
	}
	looked.Wait()
	at := make(map[where][]string)
	for i, upstream := range upstreams {
		at[found[i]] = append(at[found[i]], upstream)
	}
	return at
}

// whereIs tells where an upstream is: host:port, or unix//path.
func (p *Patient) whereIs(ctx context.Context, upstream string) where {
	if local(upstream) {
		return onLoopback
	}
	host, _, err := net.SplitHostPort(strings.TrimPrefix(upstream, "tcp/"))
	if err != nil {
		return onANetwork
	}
	addresses := []netip.Addr{}
	if ip, err := netip.ParseAddr(host); err == nil {
		addresses = append(addresses, ip)
	} else if addresses, err = p.Host.Lookup(ctx, host); err != nil {
		return onANetwork
	}
	own, _ := p.Host.Addresses() // without them it is a private or a public one
	worst := onLoopback
	for _, ip := range addresses {
		worst = max(worst, placeOf(ip.Unmap().WithZone(""), own))
	}
	return worst
}

// shared is what carriers have between them and their customers, and mesh networks for
// themselves.
var shared = netip.MustParsePrefix("100.64.0.0/10")

func placeOf(ip netip.Addr, own []netip.Addr) where {
	switch {
	case ip.IsLoopback():
		return onLoopback
	case slices.Contains(own, ip), ip.IsUnspecified():
		return onThisHost
	case ip.IsGlobalUnicast() && !ip.IsPrivate() && !shared.Contains(ip):
		return inPublic
	}
	return onANetwork
}

// local reports whether only this host reaches an address: host:port, or unix//path.
func local(address string) bool {
	if strings.HasPrefix(address, "unix/") {
		return true
	}
	host, _, err := net.SplitHostPort(strings.TrimPrefix(address, "tcp/"))
	if err != nil {
		return false
	}
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// localPorts are the ports of the Ollamas on this host's loopback.
func (p *Patient) localPorts() (ports []string) {
	for _, o := range p.Ollamas {
		if local(o.Address) && !strings.HasPrefix(o.Address, "unix/") {
			ports = append(ports, portOf(o.Address))
		}
	}
	return ports
}

// openTo are the listeners that others can reach, the first of each port.
func openTo(listeners []netip.AddrPort, ports []string) (open []string) {
	for _, port := range ports {
		for _, l := range listeners {
			if strconv.Itoa(int(l.Port())) == port && !l.Addr().Unmap().IsLoopback() {
				open = append(open, l.String())
				break
			}
		}
	}
	return open
}

// openAt says which listeners others can reach.
func openAt(listeners []string) string {
	if len(listeners) == 1 {
		return "port " + portOf(listeners[0]) + " is open to the network at " + listeners[0]
	}
	return "several ports are open to the network, at " + strings.Join(listeners, ", ")
}

func portOf(address string) string {
	_, port, _ := net.SplitHostPort(address)
	return port
}
