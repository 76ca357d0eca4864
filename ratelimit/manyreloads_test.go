package ratelimit

import (
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestAThousandReloadsUnderLoad replaces the configuration again and again while
// clients ask as fast as they can: as much passes as would have without.
func TestAThousandReloadsUnderLoad(t *testing.T) {
	reloads := 1000
	if testing.Short() || raceDetector { // which takes minutes
		reloads = 100
	}
	const config = `{"rate":"50/s","burst":5,"penalty":{"errors":1,"duration":"10m"},"concurrency":6,"per_client":6}`
	const rejected = `{"rate":"5000/s","burst":500}`
	ctx, end := configuration(t)
	var current atomic.Pointer[Throttle]
	current.Store(load(t, ctx, config))
	zone := current.Load().zone

	// one is blocked, a stream holds a slot all the time, others ask
	ask(current.Load(), "192.0.2.66", with(401))
	begun, release := make(chan struct{}), make(chan struct{})
	var clients sync.WaitGroup
	clients.Go(func() {
		ask(current.Load(), "192.0.2.77", func(http.ResponseWriter, *http.Request) error {
			close(begun)
			<-release
			return nil
		})
	})
	<-begun
	const senders = 4
	var passed, mostInFlight [senders]atomic.Int64
	stop := make(chan struct{})
	start := time.Now()
	for s := range senders {
		clients.Go(func() {
			address := "192.0.2." + string(rune('1'+s))
			for {
				select {
				case <-stop:
					return
				default:
				}
				if ask(current.Load(), address, with(200)).passed {
					passed[s].Add(1)
				}
				mostInFlight[s].Store(max(mostInFlight[s].Load(), int64(zone.InFlight())))
				if s == 0 && ask(current.Load(), "192.0.2.66", with(200)).passed {
					t.Error("the blocked client passes")
				}
			}
		})
	}
	for n := range reloads {
		fresh, endFresh := configuration(t)
		throttle := load(t, fresh, config)
		if n%10 == 0 { // a configuration that is rejected in the end
			bad, endBad := configuration(t)
			load(t, bad, rejected)
			if _, err := bad.LoadModuleByID("http.handlers.ip_throttle", []byte(config)); err == nil {
				t.Error("one zone with two limits is accepted")
			}
			endBad()
		}
		current.Store(throttle)
		end()
		end = endFresh
	}
	close(stop)
	took := time.Since(start)
	close(release)
	clients.Wait()

	for s := range senders {
		most := 5 + int64(took/(20*time.Millisecond)) + 1
		if n := passed[s].Load(); n > most || n < most/2 {
			t.Errorf("client %d: %d requests passed in %v, want about %d and no more", s, n, took, most)
		}
		if n := mostInFlight[s].Load(); n > 6 {
			t.Errorf("%d in flight", n)
		}
	}
	if n := zone.InFlight(); n != 0 {
		t.Errorf("%d slots are lost", n)
	}
	if n := zone.BlocksInForce(); n != 1 {
		t.Errorf("%d blocks, want the one", n)
	}
	if uses, _ := zones.References(zoneKey{name: "default"}); uses != 1 {
		t.Errorf("the zone is used %d times", uses)
	}
	end()
	t.Logf("%d reloads in %v", reloads, took)
}
