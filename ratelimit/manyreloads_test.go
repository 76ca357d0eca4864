package ratelimit

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
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

// Reloads of a real Caddy, with a real listener, while clients ask as fast as they can.
func TestAThousandReloadsOfCaddyUnderLoad(t *testing.T) {
	reloads := 1000
	if testing.Short() || raceDetector { // under which each takes ten times as long
		reloads = 50
	}
	release := make(chan struct{})
	g := newGateway(t, func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/stream" {
			<-release
		}
	})
	const throttle = `ip_throttle {
		rate 50/s
		burst 5
		penalty 1 10m
		concurrency 4
		zone reloaded
		key {http.request.header.X-User}
	}`
	live := g.config(t, "", throttle)
	rejected := g.config(t, "", strings.Replace(throttle, "burst 5", "burst 500", 1)+"\n"+throttle)
	if err := caddy.Load(live, true); err != nil {
		t.Fatal(err)
	}
	ask := func(user, path string) (int, error) {
		req, err := http.NewRequest(http.MethodGet, "http://"+g.address+path, nil)
		if err != nil {
			return 0, err
		}
		req.Header.Set("X-User", user)
		response, err := g.client.Do(req)
		if err != nil {
			return 0, err
		}
		defer response.Body.Close()
		_, err = io.Copy(io.Discard, response.Body)
		return response.StatusCode, err
	}
	if status, err := ask("mallory", "/denied"); status != 401 || err != nil {
		t.Fatal(status, err)
	}
	var clients sync.WaitGroup
	clients.Go(func() {
		if status, err := ask("streamer", "/stream"); status != 200 || err != nil {
			t.Errorf("the stream of the first configuration ends with %d, %v", status, err)
		}
	})
	one, _, err := zoneNamed("reloaded")
	if err != nil {
		t.Fatal(err)
	}
	until(t, "the stream has begun", func() bool { return one.InFlight() == 1 })

	const senders = 2
	var passed [senders]int64
	var asked, cut atomic.Int64
	stop := make(chan struct{})
	start := time.Now()
	for s := range senders {
		clients.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				status, err := ask("user"+strconv.Itoa(s), "/")
				asked.Add(1)
				switch {
				case err != nil:
					cut.Add(1) // with its old listener Caddy closes connections that nobody has served yet
				case status == 200:
					passed[s]++
				case status != 429:
					t.Errorf("status %d", status)
				}
				if n%10 == 0 {
					if status, err := ask("mallory", "/"); status != 403 && err == nil {
						t.Errorf("the blocked client gets %d", status)
					}
				}
				if in := one.InFlight(); in > 4 {
					t.Errorf("%d in flight", in)
				}
			}
		})
	}
	for n := range reloads {
		if n%20 == 0 {
			if err := caddy.Load(rejected, true); err == nil {
				t.Fatal("one zone with two limits is accepted")
			}
		}
		if err := caddy.Load(live, true); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	took := time.Since(start)
	close(release)
	clients.Wait()
	t.Logf("%d reloads in %v, %d requests, passed %v, %d not served by Caddy", reloads, took, asked.Load(), passed, cut.Load())

	for s, n := range passed {
		if most := 5 + int64(took/(20*time.Millisecond)) + 1; n > most || n < most/4 {
			t.Errorf("client %d: %d requests passed in %v, want about %d and no more", s, n, took, most)
		}
	}
	if n := one.InFlight(); n != 0 {
		t.Errorf("%d slots are lost", n)
	}
	if n := one.BlocksInForce(); n != 1 {
		t.Errorf("%d blocks, want the one", n)
	}
	if uses, _ := zones.References(zoneKey{name: "reloaded"}); uses != 1 {
		t.Errorf("the zone is used %d times", uses)
	}
	if files, err := filepath.Glob(g.storage + "/ip_throttle/reloaded.*"); err != nil || len(files) != 1 {
		t.Errorf("blocks are kept in %v, %v", files, err)
	} else if text, err := os.ReadFile(files[0]); err != nil || !strings.Contains(string(text), "mallory") {
		t.Errorf("kept: %s, %v", text, err)
	}
}
