package ratelimit

import (
	"slices"
	"strings"
	"time"

	"github.com/gateway18789/caddy-ollama/ratelimit/limit"
)

// ListedBlock is a block as operators are told of it.
type ListedBlock struct {
	Zone        string      `json:"zone"`
	Client      string      `json:"client"`
	Since       time.Time   `json:"since"`
	Until       time.Time   `json:"until"`
	SecondsLeft int         `json:"seconds_left"`
	Cause       limit.Cause `json:"cause"`
	Repeats     int         `json:"repeats"`
}

// Blocks is the blocks in force in the zone of that name, or in all zones.
func Blocks(name string) []ListedBlock {
	blocks := []ListedBlock{}
	for _, z := range allZones() {
		c := z.inForce()
		if c == nil || name != "" && name != z.name {
			continue
		}
		for _, b := range z.Blocks() {
			if b.Until.After(time.Now()) {
				blocks = append(blocks, z.list(c.throttle, b))
			}
		}
	}
	slices.SortFunc(blocks, func(a, b ListedBlock) int {
		return strings.Compare(a.Zone+"\x00"+a.Client, b.Zone+"\x00"+b.Client)
	})
	return blocks
}

func (z *zone) list(t *Throttle, b limit.Block) ListedBlock {
	return ListedBlock{
		Zone:        z.name,
		Client:      display(b.Client, t.IPv4Prefix, t.IPv6Prefix),
		Since:       b.Since.UTC(),
		Until:       b.Until.UTC(),
		SecondsLeft: wholeSeconds(time.Until(b.Until)),
		Cause:       b.Cause,
		Repeats:     b.Repeats,
	}
}

// ListedZone is how things are in a zone now, and what its limits are; 0: no limit.
type ListedZone struct {
	Zone        string `json:"zone"`
	InFlight    int    `json:"in_flight"`
	Concurrency int    `json:"concurrency"`
	Waiting     int    `json:"waiting"`
	Places      int    `json:"places"` // for those who wait
	Blocked     int    `json:"blocked"`
	Clients     int    `json:"clients"` // that are remembered
	Rate        string `json:"rate"`
	Burst       int    `json:"burst"`
	PerClient   int    `json:"per_client"`
}

// Zones is the zones of the configuration in force, by name.
func Zones() []ListedZone {
	listed := []ListedZone{}
	for _, z := range allZones() {
		c := z.inForce()
		if c == nil {
			continue
		}
		p := c.throttle.policy
		listed = append(listed, ListedZone{
			Zone: z.name, InFlight: z.InFlight(), Concurrency: p.Concurrency, Waiting: z.Waiting(), Places: p.Queue,
			Blocked: z.BlocksInForce(), Clients: z.Clients(), Rate: c.throttle.Rate, Burst: p.Burst, PerClient: p.PerClient,
		})
	}
	slices.SortFunc(listed, func(a, b ListedZone) int { return strings.Compare(a.Zone, b.Zone) })
	return listed
}
