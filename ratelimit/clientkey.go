package ratelimit

import (
	"net/netip"

	"github.com/gateway18789/caddy-ollama/ratelimit/memory"
)

// unknownClient is shared by all whose address cannot be read (a peer on a Unix
// socket, garbage from a proxy). It is no address that a client can have: the
// last of the multicast range.
var unknownClient = memory.Key{
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
}

// clientKey is the client that an address belongs to: its prefix of ipv4Bits or
// ipv6Bits. An IPv4 address written as IPv6 (::ffff:192.0.2.1) is that IPv4
// address, not one of a /64 that would hold the whole IPv4 internet
// (CVE-2026-30827 in another limiter).
func clientKey(address string, ipv4Bits, ipv6Bits int) memory.Key {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return unknownClient
	}
	ip = ip.Unmap().WithZone("")
	bits := ipv6Bits
	if ip.Is4() {
		bits = ipv4Bits
	}
	prefix, err := ip.Prefix(bits)
	if err != nil {
		return unknownClient
	}
	return prefix.Addr().As16()
}
