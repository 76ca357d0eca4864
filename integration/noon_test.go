package integration

import (
	"fmt"
	"math"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
)

// Changes at noon: 50 live streams, 50 requests a second, 100 changes. A reload makes
// Caddy listen anew and close its old listener, and what waits there for being accepted
// is lost. That is the kernel's, and the gateway must not lose more than Caddy alone does,
// which also loses requests on connections that it has accepted.
func TestChangesAtNoonAreNotNoticed(t *testing.T) {
	const http2 = false
	pace, stopFeeding := feed(t)
	upstream := ollamatest.NewServer(noonModels(pace)...)
	t.Cleanup(upstream.Close)
	ours := newSide(startGateway(t, upstream.Address()), "/v1/chat/completions", http2)
	stock := newSide(prepareGateway(t, upstream.Address()), "/api/chat", http2)
	stock.tries = 20 // of how much it loses in a row nothing is said
	stock.writeConfig(stock.stockCaddyfile(upstream.Address(), 0))
	stock.process = startProcess(t, stock.dir, "run", "--config", stock.configFile(), "--adapter", "caddyfile")
	stock.awaitListening(t, stock.address())

	ours.open()
	stock.open()
	ours.work()
	stock.work()
	ours.changeALot(upstream, func(i int) {
		if err := stock.load(stock.stockCaddyfile(upstream.Address(), i)); err != nil {
			t.Errorf("stock Caddy, change %d: %v", i, err)
		}
	})
	ours.stopLoad()
	stock.stopLoad()
	stopFeeding()
	ours.finish()
	ours.slotsAreFree()
	for i, answers := range stock.streams {
		a := within(t, "the end of stock Caddy's stream", func() answer { return <-answers })
		if n := strings.Count(a.body, "\n"); n != linesOfStream+1 || !strings.Contains(a.body, `"done":true`) {
			t.Errorf("stock Caddy's stream %d has %d lines", i, n)
		}
	}

	t.Logf("%d changes: the gateway lost %d connections of %d, stock Caddy %d of %d",
		reloads(), ours.lost.Load(), ours.sent.Load(), stock.lost.Load(), stock.sent.Load())
	t.Logf("before the handshake %d and %d, after the request was sent %d and %d",
		ours.turnedAway.Load(), stock.turnedAway.Load(), ours.unread.Load(), stock.unread.Load())
	if n := ours.unread.Load(); n > 0 {
		t.Errorf("%d requests were not read on connections that were accepted", n)
	}
	if os.Getenv(kernelMigrates) != "" && ours.lost.Load() > 0 {
		t.Error("there must be none")
	}
	if p := moreThanChance(ours.lost.Load(), stock.lost.Load()); p < 0.001 {
		t.Errorf("that is more than chance: %.6f", p)
	}
	ours.auditIsSound()
}

// inEachHTTP runs a test with clients of HTTP/2, and with those of HTTP/1.1.
func inEachHTTP(t *testing.T, test func(t *testing.T, http2 bool)) {
	t.Run("HTTP 2", func(t *testing.T) { test(t, true) })
	t.Run("HTTP 1.1", func(t *testing.T) { test(t, false) })
}

// With a listener that it is given, as systemd does, no connection is lost from the queue
// either, and so nothing at all.
func TestChangesOnASocketThatIsGivenLoseNothing(t *testing.T) {
	inEachHTTP(t, changesOnASocket)
}

func changesOnASocket(t *testing.T, http2 bool) {
	pace, stopFeeding := feed(t)
	upstream := ollamatest.NewServer(noonModels(pace)...)
	t.Cleanup(upstream.Close)
	g, socket := prepareOnSocket(t, upstream.Address())
	g.startOn(socket)
	ours := newSide(g, "/v1/chat/completions", http2)
	ours.open()
	ours.work()
	ours.changeALot(upstream, func(int) {})
	ours.stopLoad()
	stopFeeding()
	ours.finish()
	ours.slotsAreFree()
	t.Logf("%d changes: lost %d connections of %d", reloads(), ours.lost.Load(), ours.sent.Load())
	if ours.lost.Load() > 0 {
		t.Errorf("%d of them before the handshake, %d after the request was sent; there must be none", ours.turnedAway.Load(), ours.unread.Load())
	}
	if n := ours.late.Load(); n > 0 {
		t.Errorf("%d requests met what had been changed", n)
	}
	ours.auditIsSound()
}

// changeALot changes the gateway, and another server after it, again and again.
func (s *side) changeALot(upstream *ollamatest.Server, another func(i int)) {
	t := s.t
	t.Helper()
	blocked, greedy := s.caller("127.0.0.120"), s.caller("127.0.0.121")
	var probers []*http.Client
	for i := range 8 {
		probers = append(probers, s.caller(fmt.Sprintf("127.0.0.%d", 110+i)))
	}
	for range 3 {
		s.mustPost(blocked, "", chatBody("hello", false))
	}
	untilBlockEnds := math.MaxInt
	begun := time.Now()
	passed, stopGreed := s.beGreedy(greedy)
	changes, every, _ := noon()
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for i := 1; i <= changes; i++ {
		<-ticker.C
		prober := probers[i%len(probers)]
		var err error
		if i%20 == 0 { // as an operator does
			err = s.reload(s.edition(i))
		} else {
			err = s.load(s.edition(i))
		}
		if err != nil {
			t.Errorf("change %d: %v", i, err)
		}
		s.inForce(upstream, i, prober)
		another(i)
		if i%10 == 0 {
			for what, broken := range map[string]string{
				"an option that is not there": strings.Replace(s.edition(i+1), "max_lifetime 5m", "no_such_option", 1),
				"a block without an end":      s.edition(i+1) + "\n{",
				"a secret that is not there":  strings.Replace(s.edition(i+1), "jwt.key}", "no-such.key}", 1),
				"a certificate that is none":  strings.Replace(s.edition(i+1), "tls "+s.file("gw.crt"), "tls "+s.file("jwt.key"), 1),
			} {
				if err := s.load(broken); err == nil {
					t.Errorf("%s: it is taken", what)
				}
			}
			s.inForce(upstream, i, prober)
			a, err := s.chat(blocked, chatBody("hello", false))
			left, _ := strconv.Atoi(a.header.Get("Retry-After"))
			if err == nil && (a.status != 403 || left == 0 || left > untilBlockEnds) {
				t.Errorf("after change %d: who is blocked gets %d, for %d s, %s", i, a.status, left, a.body)
			}
			untilBlockEnds = left
		}
	}
	stopGreed()
	if n := s.late.Load(); n > int64(max(3, changes/10)) {
		t.Errorf("%d of %d changes were not in force at once", n, changes)
	}
	most := float64(burstOf(changes)) + 5*time.Since(begun).Seconds() + 1
	t.Logf("the greedy client got %d requests through, of %.0f that it may have", passed.Load(), most)
	if got := float64(passed.Load()); got > most || got < 10 {
		t.Errorf("that is not its rate")
	}
	// a configuration that is refused leaves Caddy's /metrics without the handlers' own
	// until the next one is taken
	if err := s.load(s.edition(changes + 1)); err != nil {
		t.Error(err)
	}
	// the slots of those that began under earlier configurations are still theirs
	metrics, err := s.admin(http.MethodGet, "/metrics", "")
	if err != nil {
		t.Fatal(err)
	}
	if n := metric(metrics.body, "caddy_ip_throttle_in_flight"); n < liveStreams {
		t.Errorf("%v requests are in flight, %d are streams", n, liveStreams)
	}
}

// beGreedy asks four times as often as is allowed.
func (s *side) beGreedy(client *http.Client) (passed *atomic.Int64, stop func()) {
	passed = new(atomic.Int64)
	done := make(chan struct{})
	var loop sync.WaitGroup
	loop.Go(func() {
		ticker := time.NewTicker(50 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case <-ticker.C:
			}
			a, err := s.chat(client, chatBody("hello", false))
			switch {
			case err != nil: // counted by the others
			case a.status == 200:
				passed.Add(1)
			case a.status != 429:
				s.t.Errorf("the greedy client gets %d %s", a.status, a.body)
			}
		}
	})
	stop = sync.OnceFunc(func() { close(done); loop.Wait() })
	s.t.Cleanup(stop)
	return passed, stop
}

// slotsAreFree waits until no request holds a slot any more.
func (s *side) slotsAreFree() {
	s.t.Helper()
	await(s.t, "free slots", func() error {
		metrics, err := s.admin(http.MethodGet, "/metrics", "")
		if n := metric(metrics.body, "caddy_ip_throttle_in_flight"); err != nil || n != 0 {
			return fmt.Errorf("%v are held (%v)", n, err)
		}
		return nil
	})
}

// metric is the sum of a metric's values; -1 if it is not there.
func metric(text, name string) float64 {
	sum, found := 0.0, false
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, name); ok && (rest[0] == '{' || rest[0] == ' ') {
			fields := strings.Fields(line)
			value, _ := strconv.ParseFloat(fields[len(fields)-1], 64)
			sum, found = sum+value, true
		}
	}
	if !found {
		return -1
	}
	return sum
}

// A new binary is a restart. With a socket that is not the process's own, who comes in
// between waits in its queue, and who is being answered is answered to the end.
func TestARestartOnASocketThatIsGivenLosesNothing(t *testing.T) {
	inEachHTTP(t, restartOnASocket)
}

func restartOnASocket(t *testing.T, http2 bool) {
	t.Setenv("GORACE", "atexit_sleep_ms=0") // the race detector would add a second to the end
	pace, stopFeeding := feed(t)
	upstream := ollamatest.NewServer(noonModels(pace)...)
	t.Cleanup(upstream.Close)
	g, socket := prepareOnSocket(t, upstream.Address())
	g.startOn(socket)
	old := &stoppable{g, 30 * time.Second}
	ours := newSide(g, "/v1/chat/completions", http2)
	ours.open()
	ours.work()

	stopped := old.terminate()
	old.awaitStopping()
	stopFeeding() // so that streams end within the grace period
	took := stopped()
	ours.finish()
	sent := ours.sent.Load()
	await(t, "requests while nobody serves", func() error {
		if n := ours.sent.Load() - sent; n < 25 {
			return fmt.Errorf("there are %d", n)
		}
		return nil
	})
	g.startOn(socket)
	await(t, "requests at the new process", func() error {
		if n := ours.sent.Load() - sent; n < 75 {
			return fmt.Errorf("there are %d", n)
		}
		return nil
	})
	ours.stopLoad()
	t.Logf("stopped after %v; lost %d connections of %d", took, ours.lost.Load(), ours.sent.Load())
	if ours.lost.Load() > 0 {
		t.Error("there must be none")
	}
	for _, r := range g.records(int(ours.sent.Load()) + liveStreams) {
		checkRecord(t, r, record{"event.reason": "ok"})
	}
	ours.auditIsSound()
}
