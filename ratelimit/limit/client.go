package limit

import (
	"crypto/sha256"
	"net/netip"
)

// Key names a client: an address in its IPv6 form, masked to the prefix that
// counts as one client, or a hash of a name. It holds no pointer, so that the
// garbage collector never walks a table of clients.
type Key [16]byte

// Client is who sends a request.
type Client struct {
	Key Key
	// Name is what people call the client; empty if its key is an address.
	Name string
}

// unknown is shared by all whose address cannot be read (a peer on a Unix socket,
// garbage from a proxy). It is no address that a client can have: the last of the
// multicast range.
var unknown = Key{
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
}

// everyone is whom clients count as when there is no room for them or their prefix.
var everyone = Key{0xff, 1}

var (
	nat64  = netip.MustParsePrefix("64:ff9b::/96")
	sixTo4 = netip.MustParsePrefix("2002::/16")
)

// AddressKey is the client that an address belongs to: its prefix of ipv4Bits or
// ipv6Bits. An IPv4 address written as IPv6 (::ffff:192.0.2.1), or as a NAT64
// translator writes it (64:ff9b::192.0.2.1, RFC 6052), is that IPv4 address, not
// one of a /64 that would hold the whole IPv4 internet (CVE-2026-30827 in another
// limiter). 6to4 (RFC 3056) gives each IPv4 address a /48: one client, no more.
func AddressKey(address string, ipv4Bits, ipv6Bits int) Key {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return unknown
	}
	ip = ip.Unmap().WithZone("")
	if nat64.Contains(ip) {
		b := ip.As16()
		ip = netip.AddrFrom4([4]byte(b[12:]))
	}
	bits := ipv6Bits
	switch {
	case ip.IsMulticast(): // never a source; also where our own keys are
		return unknown
	case ip.Is4():
		bits = ipv4Bits
	case sixTo4.Contains(ip):
		bits = min(bits, 48)
	}
	prefix, err := ip.Prefix(bits)
	if err != nil {
		return unknown
	}
	return prefix.Addr().As16()
}

// NameKey is the key of a client that is known by name.
func NameKey(name string) Key {
	sum := sha256.Sum256([]byte(name))
	return Key(sum[:16])
}

// Address is the address of a key made by AddressKey, without the bits that were
// masked away; false for those whose address could not be read.
func (k Key) Address() (netip.Addr, bool) {
	if k == unknown {
		return netip.Addr{}, false
	}
	return netip.AddrFrom16(k).Unmap(), true
}

// Neighbours is the key that a client shares with its neighbours when there is no
// room for its own: the /16 of an IPv4 address, the /32 of an IPv6 address. It is
// the key of no client.
func (k Key) Neighbours() Key {
	wide := Key{0xff, 2}
	if netip.AddrFrom16(k).Is4In6() {
		copy(wide[4:], k[10:14])
	} else {
		copy(wide[4:], k[:4])
	}
	return wide
}

// Everyone is the key that is left when there is no room for neighbours either.
func Everyone() Key { return everyone }
