package limit

import (
	"net/netip"
	"testing"
)

func TestAddressKey(t *testing.T) {
	for _, test := range []struct {
		name   string
		one    string
		other  string
		v4, v6 int
		same   bool
	}{
		{"two IPv4 addresses are two clients", "192.0.2.1", "192.0.2.2", 32, 64, false},
		{"an IPv4 address is one client", "192.0.2.1", "192.0.2.1", 32, 64, true},
		{"ipv4_prefix 24 makes a /24 one client", "192.0.2.1", "192.0.2.254", 24, 64, true},
		{"ipv4_prefix 24 keeps two /24 apart", "192.0.2.1", "192.0.3.1", 24, 64, false},
		{"a mapped address is its IPv4 address", "::ffff:192.0.2.1", "192.0.2.1", 32, 64, true},
		{"a mapped address in hex is its IPv4 address", "::ffff:c000:201", "192.0.2.1", 32, 64, true},
		{"a mapped address in capitals is its IPv4 address", "::FFFF:192.0.2.1", "192.0.2.1", 32, 64, true},
		{"a mapped address written out is its IPv4 address", "0:0:0:0:0:ffff:192.0.2.1", "192.0.2.1", 32, 64, true},
		{"mapped addresses do not share one /64", "::ffff:192.0.2.1", "::ffff:192.0.2.2", 32, 64, false},
		{"a mapped address is cut by ipv4_prefix, not ipv6_prefix", "::ffff:192.0.2.1", "192.0.2.9", 24, 128, true},
		{"the compatible form, long deprecated, is not the IPv4 address", "::192.0.2.1", "192.0.2.1", 32, 64, false},
		{"a /64 of IPv6 is one client", "2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", 32, 64, true},
		{"two /64 of IPv6 are two clients", "2001:db8:1:2::1", "2001:db8:1:3::1", 32, 64, false},
		{"ipv6_prefix 48 makes a /48 one client", "2001:db8:1:2::1", "2001:db8:1:ffff::1", 32, 48, true},
		{"ipv6_prefix 128 keeps addresses apart", "2001:db8::1", "2001:db8::2", 32, 128, false},
		{"spelling does not matter", "2001:0DB8:0000::0001", "2001:db8::1", 32, 128, true},
		{"a zone id does not make another client", "fe80::1%eth0", "fe80::1%eth1", 32, 64, true},
		{"nor does it make an unknown one", "fe80::1%eth0", "fe80::1", 32, 64, true},
		{"a zone id on a mapped address does not matter", "::ffff:192.0.2.1%eth0", "192.0.2.1", 32, 64, true},
		{"an address that a NAT64 translator wrote is its IPv4 address", "64:ff9b::192.0.2.1", "192.0.2.1", 32, 64, true},
		{"so clients behind NAT64 do not share one /64", "64:ff9b::192.0.2.1", "64:ff9b::192.0.2.2", 32, 64, false},
		{"the local-use NAT64 prefix is not the well-known one", "64:ff9b:1::192.0.2.1", "192.0.2.1", 32, 64, false},
		{"6to4 is one client for each IPv4 address behind it", "2002:c000:201:1::1", "2002:c000:201:2::1", 32, 64, true},
		{"6to4 of two IPv4 addresses is two clients", "2002:c000:201::1", "2002:c000:202::1", 32, 64, false},
		{"6to4 cannot pass for the IPv4 address in it", "2002:c000:201::1", "192.0.2.1", 32, 64, false},
		{"a wider ipv6_prefix holds for 6to4 too", "2002:c000:201::1", "2002:c000:2ff::1", 32, 40, true},
		{"loopback of either family is not the same", "127.0.0.1", "::1", 32, 64, false},
		{"the unspecified address is not the unknown client", "::", "", 32, 64, false},
		{"the broadcast address is not the unknown client", "255.255.255.255", "", 32, 64, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			one := AddressKey(test.one, test.v4, test.v6)
			other := AddressKey(test.other, test.v4, test.v6)
			if (one == other) != test.same {
				t.Errorf("%q is %x, %q is %x", test.one, one, test.other, other)
			}
		})
	}
}

func TestAddressesThatCannotBeReadAreOneClient(t *testing.T) {
	for _, address := range []string{
		"", "@", "unknown", "localhost", "192.0.2", "192.0.2.256", "192.0.2.1:80", "[2001:db8::1]", "2001:db8::/64",
		" 192.0.2.1", "192.0.2.1 ", "192.0.2.1\x00", "010.0.0.1", "0x7f.1", "3221225985", "192.0.2.1%eth0", "fe80::1%",
		"2001:db8::1::2", "192.0.2.1, 192.0.2.2", "ff02::1", "224.0.0.1", "::ffff:224.0.0.1",
	} {
		if key := AddressKey(address, 32, 64); key != unknown {
			t.Errorf("%q is client %x", address, key)
		}
	}
}

func FuzzAddressKey(f *testing.F) {
	for _, address := range []string{
		"192.0.2.1", "::ffff:192.0.2.1", "::ffff:c000:201", "2001:db8::1", "fe80::1%eth0", "@", "", "::", "255.255.255.255",
	} {
		f.Add(address, uint8(32), uint8(64))
	}
	f.Fuzz(func(t *testing.T, address string, v4, v6 uint8) {
		bits4, bits6 := 8+int(v4)%25, 16+int(v6)%113
		key := AddressKey(address, bits4, bits6)
		ip, err := netip.ParseAddr(address)
		if err != nil || ip.Unmap().IsMulticast() {
			if key != unknown {
				t.Fatalf("%q, no address, is client %x", address, key)
			}
			return
		}
		if nat64.Contains(ip) || sixTo4.Contains(ip) {
			return // see the table
		}
		network := netip.AddrFrom16(key)
		bits := bits6
		if ip.Unmap().Is4() {
			network, bits = network.Unmap(), bits4
		}
		prefix := netip.PrefixFrom(network, bits)
		if !prefix.Contains(ip.Unmap().WithZone("")) || prefix.Masked().Addr() != network {
			t.Fatalf("%q is client %v, want its /%d", address, network, bits)
		}
		if again := AddressKey(ip.WithZone("").StringExpanded(), bits4, bits6); again != key {
			t.Fatalf("%q is client %x, written out %x", address, key, again)
		}
		var none Key
		if key == none && !ip.IsUnspecified() && ip.As16()[0] != 0 {
			t.Fatalf("%q is no client", address)
		}
	})
}
