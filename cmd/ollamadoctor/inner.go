package ollamadoctor

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
)

// inner reports whether a site is one behind other gateways, and nobody else may come: it
// has no jwt_auth, everybody needs a client certificate, and whoever comes from elsewhere
// than from a trusted proxy is refused.
func (s site) inner() bool {
	policies := s.server.Policies
	for _, policy := range policies {
		if policy.ClientAuthentication.Mode != "require_and_verify" {
			return false
		}
	}
	if s.first("jwt_auth") != nil || len(policies) == 0 || s.server.Trusted.Source != "static" {
		return false
	}
	trusted, ok := prefixes(s.server.Trusted.Ranges)
	if !ok {
		return false
	}
	return slices.ContainsFunc(s.admitted, func(ranges []string) bool {
		admitted, ok := prefixes(ranges)
		return ok && !slices.ContainsFunc(admitted, func(a netip.Prefix) bool {
			return !slices.ContainsFunc(trusted, func(t netip.Prefix) bool { return t.Bits() <= a.Bits() && t.Contains(a.Addr()) })
		})
	})
}

// refusing are handlers of a route that lets nobody pass.
var refusing = []string{"error", "static_response"}

// admits takes in the addresses that a route does not refuse, if that is what it does.
func (s *site) admits(r route) {
	if len(r.Match) != 1 || len(r.Match[0]) != 1 || len(r.Handle) == 0 || !slices.Contains(refusing, r.Handle[0].Name) {
		return
	}
	var not []map[string]struct {
		Ranges []string `json:"ranges"`
	}
	if json.Unmarshal(r.Match[0]["not"], &not) != nil || len(not) != 1 || len(not[0]) != 1 {
		return
	}
	if remote, ok := not[0]["remote_ip"]; ok {
		s.admitted = append(s.admitted, remote.Ranges)
	}
}

// prefixes reads networks and addresses; there must be one.
func prefixes(ranges []string) (all []netip.Prefix, ok bool) {
	for _, text := range ranges {
		prefix, err := netip.ParsePrefix(text)
		if !strings.Contains(text, "/") {
			var ip netip.Addr
			if ip, err = netip.ParseAddr(text); err == nil {
				prefix = netip.PrefixFrom(ip, ip.BitLen())
			}
		}
		if err != nil {
			return nil, false
		}
		all = append(all, prefix)
	}
	return all, len(all) > 0
}
