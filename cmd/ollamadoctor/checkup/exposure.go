package checkup

import (
	"context"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// ollamaPort is where Ollama listens if nobody says otherwise.
const ollamaPort = "11434"

// checkExposure looks for ways to Ollama and to Caddy's admin API around the gateway.
func checkExposure(ctx context.Context, p *Patient) Finding {
	var looked []string
	if c := p.gatewayConfigured(); c != nil {
		for _, upstream := range c.Upstreams {
			switch {
			case local(upstream), c.Engine && c.Secured:
			case c.Engine:
				return failed("the configuration's upstream is %s, across the network and in the clear", upstream).because(
					"The engine listens on the network there, where whoever reaches its port goes around the gateway.",
					"Have it listen on loopback, and run the gateway, or a second one, on that host; or put TLS before it.")
			default:
				return failed("the configuration's upstream is %s, across the network", upstream).because(
					"Ollama listens on the network there, where whoever reaches its port goes around the gateway.",
					"Set OLLAMA_HOST=127.0.0.1:11434 there, and run the gateway, or a second one, on that host.")
			}
		}
		if c.Admin != "" && !local(c.Admin) {
			return failed("Caddy's admin API listens on %s", c.Admin).because(
				"The configuration says so with `admin`.",
				"Take a Unix socket: `admin unix//run/caddy-ollama/admin.sock`.")
		}
		looked = append(looked, "the configuration")
	}
	if p.Ollama != nil && local(p.OllamaAddress) && !strings.HasPrefix(p.OllamaAddress, "unix/") {
		listeners, err := p.Host.Listeners()
		if err == nil {
			if open := openTo(listeners, portOf(p.OllamaAddress)); open != "" {
				return failed("port %s is open to the network at %s", portOf(p.OllamaAddress), open).because(
					"OLLAMA_HOST is 0.0.0.0 or an outer address, or a container publishes the port.",
					"Set OLLAMA_HOST=127.0.0.1:11434 (`systemctl edit ollama`; of a container, publish 127.0.0.1:11434:11434) and restart Ollama.")
			}
			looked = append(looked, "who listens here")
		}
	}
	if host, _, err := net.SplitHostPort(p.GatewayAddress); err == nil && !local(p.GatewayAddress) {
		if there := net.JoinHostPort(host, ollamaPort); p.Host.Answers(ctx, there) {
			return failed("%s can be reached from here", there).because(
				"Ollama listens on the network on the gateway's host.",
				"Set OLLAMA_HOST=127.0.0.1:11434 there and restart Ollama; close the port in the firewall.")
		}
		looked = append(looked, "port "+ollamaPort+" of "+host)
	}
	if looked == nil {
		return skipped("neither the configuration nor the ports can be seen from here")
	}
	behind := "Ollama"
	if p.behindIsAnEngine() {
		behind = "what is behind"
	}
	return ok("%s is not open to the network (by %s)", behind, strings.Join(looked, ", "))
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

// openTo is the first listener at a port that others can reach; empty if there is none.
func openTo(listeners []netip.AddrPort, port string) string {
	for _, l := range listeners {
		if strconv.Itoa(int(l.Port())) == port && !l.Addr().Unmap().IsLoopback() {
			return l.String()
		}
	}
	return ""
}

func portOf(address string) string {
	_, port, _ := net.SplitHostPort(address)
	return port
}
