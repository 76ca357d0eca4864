package integration

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
)

// torrent is an Ollama whose model says numbered pieces as fast as they are taken,
// for ever. It answers one client at a time.
type torrent struct {
	known http.Handler   // answers what is no chat
	said  atomic.Int64   // pieces
	last  atomic.Int64   // when it said the last, in ns
	ended chan time.Time // when nobody took them any more
}

const pieceSize = 16 << 10

var padding = strings.Repeat(".", pieceSize)

func startTorrent(t *testing.T) (model *torrent, address string) {
	t.Helper()
	model = &torrent{known: ollamatest.NewHandler(ollamatest.Says("hello")), ended: make(chan time.Time, 9)}
	server := httptest.NewServer(model)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return model, server.Listener.Addr().String()
}

func (m *torrent) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/api/chat" {
		m.known.ServeHTTP(w, r)
		return
	}
	_, _ = io.Copy(io.Discard, r.Body) // or net/http would not see the caller leave
	w.Header().Set("Content-Type", "application/x-ndjson")
	for n := int64(0); r.Context().Err() == nil; n++ {
		m.said.Store(n)
		m.last.Store(time.Now().UnixNano())
		_, _ = fmt.Fprintf(w, `{"model":"hello","message":{"role":"assistant","content":"%d%s"},"done":false}`+"\n", n+1, padding)
	}
	m.ended <- time.Now()
}

// heldBack reports whether the model could say nothing more for so long.
func (m *torrent) heldBack(duration time.Duration) bool {
	return time.Since(time.Unix(0, m.last.Load())) > duration
}

// awaitHeldBack waits until the model can say nothing more, because no buffer takes it.
func (m *torrent) awaitHeldBack(t *testing.T) {
	t.Helper()
	await(t, "the model held back", func() error {
		if !m.heldBack(250 * time.Millisecond) {
			return fmt.Errorf("it has said %d pieces", m.said.Load())
		}
		return nil
	})
}

// stopped waits until the model is stopped.
func (m *torrent) stopped(t *testing.T) time.Time {
	t.Helper()
	select {
	case at := <-m.ended:
		return at
	case <-time.After(20 * time.Second):
		t.Fatal("the model works for nobody")
		return time.Time{}
	}
}

// nextPiece reads the model's piece number n.
func (s *stream) nextPiece(n int) {
	s.t.Helper()
	if got := s.nextContent(); got != strconv.Itoa(n)+padding {
		s.t.Fatalf("piece %d is %.20q of %d bytes", n, got, len(got))
	}
}

// peakMemory is the most memory that a process ever had, in bytes.
func (p *process) peakMemory() (int, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, line, _ := strings.Cut(string(status), "VmHWM:")
	line, _, _ = strings.Cut(line, " kB\n")
	kib, err := strconv.Atoi(strings.TrimSpace(line))
	return kib << 10, err
}

const (
	// mostAhead is what the model may say before the client reads it, in pieces: the
	// kernel's buffers of three connections, of 4 to 6 MiB each.
	mostAhead = 32 << 20 / pieceSize
	// mostMemory is what the gateway may need for a text of this many pieces, and
	// for its first request in general, in bytes.
	mostMemory = 24 << 20
	longText   = 40 << 20 / pieceSize
)

func TestNetworkSlowReaderHoldsOllamaBack(t *testing.T) {
	const stall = time.Second
	model, address := startTorrent(t)
	g := startGatewayWith(t, address, "concurrency 200", "concurrency 1",
		"default_model", "stall_timeout 1s\n\t\t\tcoalesce_loads off\n\t\t\tdefault_model")
	for _, protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			network := startNetwork(t, g.address())
			before, unknown := g.peakMemory()
			relent := network.suffer("bandwidth", `{"rate":100}`, 1)
			client, conns := g.over(protocol, network.address())
			s := g.stream(client, tokenFor(t, protocol), chatBody("hello", true))
			s.events.Buffer(nil, 2*pieceSize)

			read := 0
			ahead := func() int { return int(model.said.Load()) - read }
			for ; !model.heldBack(3 * stall / 2); read++ { // which is no stall of Ollama's
				if ahead() > mostAhead || read > 1000 {
					t.Fatalf("after %d pieces the model is not held back, %d ahead", read, ahead())
				}
				s.nextPiece(read + 1)
			}
			t.Logf("the model was held back %d KiB ahead", ahead()*pieceSize>>10)

			relent()
			for ; read < longText; read++ {
				s.nextPiece(read + 1)
			}
			after, _ := g.peakMemory()

			// it reads no more, and leaves when no buffer takes any more
			model.awaitHeldBack(t)
			gone := time.Now()
			_ = (<-conns).NetConn().Close()
			t.Logf("the model was stopped after %s", model.stopped(t).Sub(gone))
			g.leftAfter(t, protocol, read)

			if unknown != nil {
				t.Skip("how much memory the gateway needs is told in /proc only: ", unknown)
			}
			t.Logf("the gateway needed %d KiB more for %d KiB of text", (after-before)>>10, read*pieceSize>>10)
			if after-before > mostMemory {
				t.Errorf("the gateway needed %d bytes more", after-before)
			}
		})
	}
}

// leftAfter checks the record of a client that has left after reading so many pieces.
func (g *gateway) leftAfter(t *testing.T, subject string, pieces int) {
	t.Helper()
	r := g.recordWith("user.id", subject)
	checkRecord(t, r, record{
		"http.response.status_code": 499, "event.reason": "client_gone", "labels.usage_estimated": true,
	})
	if tokens, _ := r["gen_ai.usage.output_tokens"].(float64); int(tokens) < pieces {
		t.Errorf("%v tokens are counted, %d were read", r["gen_ai.usage.output_tokens"], pieces)
	}
}

// What a client does not read must not hold the one slot for ever.
func TestNetworkClientThatReadsNoMore(t *testing.T) {
	model, address := startTorrent(t)
	g := startGatewayWith(t, address, "concurrency 200", "concurrency 1", "write_idle 60s", "write_idle 1500ms",
		"default_model", "coalesce_loads off\n\t\t\tdefault_model")
	for _, protocol := range protocols {
		// begin begins to read an answer, and stops.
		begin := func(t *testing.T) *tls.Conn {
			client, conns := g.over(protocol, g.address())
			s := g.stream(client, tokenFor(t, t.Name()), chatBody("hello", true))
			s.events.Buffer(nil, 2*pieceSize)
			s.nextPiece(1)
			model.awaitHeldBack(t)
			return <-conns
		}
		t.Run(protocol+" is given up after write_idle", func(t *testing.T) {
			begin(t)
			model.stopped(t)
			g.leftAfter(t, t.Name(), 1)
		})
		t.Run(protocol+" and closes its half has left", func(t *testing.T) {
			conn := begin(t)
			gone := time.Now()
			if err := conn.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			took := model.stopped(t).Sub(gone)
			t.Logf("the model was stopped after %s", took)
			if took > 750*time.Millisecond { // which is before write_idle
				t.Error("which is too long for a client that is gone")
			}
			g.leftAfter(t, t.Name(), 1)
		})
	}
}
