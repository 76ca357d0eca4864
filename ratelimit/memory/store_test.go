package memory_test

import (
	"testing"

	"github.com/gateway18789/caddy-ollama/ratelimit/storetest"
)

func TestZoneIsAStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) storetest.Subject {
		z, clock := newZone()
		return storetest.Subject{Store: z, Advance: clock.advance, Frozen: true}
	})
}
