package redis

import (
	"crypto/sha256"

	"github.com/gateway18789/caddy-ollama/ratelimit/limit"
)

// keys are the names under which Redis has a zone. All begin with the same words in
// braces, so that a cluster has them on one node and a script may touch them all.
type keys struct {
	base string

	rates    string // sorted set: what each client owes, as when its next request is due
	leases   string // sorted set: requests in flight, as when they lapse
	blocks   string // hash: each client's block
	ends     string // sorted set: when each block ends
	version  string // counts changes of the blocks
	gateways string // sorted set: who lives
}

func keysOf(prefix, zone string) keys {
	base := "{" + prefix + ":" + zone + "}"
	return keys{
		base: base, rates: base + "r", leases: base + "l",
		blocks: base + "b", ends: base + "t", version: base + "v", gateways: base + "g",
	}
}

// alias is what a client is called where nobody needs to know it: in rates, errors
// and leases. Only the list of blocks has addresses and names. As a hash of few
// possible values it hides them from a glance, not from a search.
func (k keys) alias(key limit.Key) string {
	sum := sha256.Sum256(append([]byte(k.base), key[:]...))
	return string(sum[:12])
}

func (k keys) errorsOf(alias string) string { return k.base + "e" + alias }

// toldOf notes that charges have been told.
func (k keys) toldOf(name string) string { return k.base + "m" + name }

func (k keys) leasesOf(alias string) string { return k.base + "c" + alias }
