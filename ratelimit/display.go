package ratelimit

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/gateway18789/caddy-ollama/ratelimit/limit"
)

// unknownClient is what those are called, all together, whose address cannot be read.
const unknownClient = "unknown"

// longestName bounds, in bytes, what is remembered of a user's name.
const longestName = 128

// user is a client that is known by name.
func user(name string) limit.Client {
	who := limit.Client{Key: limit.NameKey(name), Name: name}
	if len(name) > longestName {
		// a copy, or else a block would keep the whole request's memory
		who.Name = strings.ToValidUTF8(name[:longestName], "") + "…"
	}
	return who
}

// display is what people call a client: its address, its network if that has more
// than one address, or its name.
func display(c limit.Client, ipv4Bits, ipv6Bits int) string {
	if c.Name != "" {
		return c.Name
	}
	ip, known := c.Key.Address()
	if !known {
		return unknownClient
	}
	bits := ipv6Bits
	if ip.Is4() {
		bits = ipv4Bits
	}
	if bits == ip.BitLen() {
		return ip.String()
	}
	return netip.PrefixFrom(ip, bits).String()
}

// clientNamed is the client that display has called so, or that has such an address.
func (t *Throttle) clientNamed(name string) (limit.Client, error) {
	if name == unknownClient {
		return limit.Client{Key: limit.AddressKey("", t.IPv4Prefix, t.IPv6Prefix)}, nil
	}
	address := name
	if network, err := netip.ParsePrefix(name); err == nil {
		bits := t.IPv6Prefix
		if network.Addr().Is4() {
			bits = t.IPv4Prefix
		}
		if network.Bits() != bits {
			return limit.Client{}, fmt.Errorf("client %q: in this zone a client is a /%d", name, bits)
		}
		address = network.Addr().String()
	}
	if ip, err := netip.ParseAddr(address); err == nil && !ip.IsMulticast() {
		return limit.Client{Key: limit.AddressKey(address, t.IPv4Prefix, t.IPv6Prefix)}, nil
	}
	if t.Key == "" {
		return limit.Client{}, fmt.Errorf("client %q: give an address, or a network as listed", name)
	}
	return user(name), nil
}
