package integration

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
)

// TestRecordsReachLogstash sends the audit log straight to Logstash, by Caddy's `output
// net`, beside the file. What arrives is whole and in order. What does not, because the
// connection was broken or nobody listened, is what caddyfile-examples/elk/README.md
// says; the file has it.
func TestRecordsReachLogstash(t *testing.T) {
	l := startLogstash(t)
	g := startGatewayWith(t, scripted(t).Address(),
		"rate 5/s", "rate 1000000/s", "burst 10", "burst 100000", "penalty 3 10m", "", "penalty_window 15 10m", "",
		"\tlog default {", "\tlog logstash {\n\t\tinclude http.handlers.audit_log\n\t\toutput net "+l.address+" {\n\t\t\tsoft_start\n\t\t\tdial_timeout 1s\n\t\t}\n\t\tformat ecs\n\t}\n\tlog default {")
	client, token := g.from("127.0.0.2"), tokenFor(t, "bot")
	var sent []string // the ids of all requests
	send := func(n int) {
		t.Helper()
		for range n {
			sent = append(sent, g.mustPost(client, token, chatBody("hello", false)).header.Get("X-Request-Id"))
		}
	}

	send(40)
	l.awaitRecord(sent[39])
	if got := l.ids(); !slices.Equal(got, sent) {
		t.Fatalf("%d of 40 records arrived, or in another order", len(got))
	}

	l.hangUp()
	send(40)
	l.awaitRecord(sent[79]) // by a new connection

	l.stop()
	send(40)
	l.listen()
	after := len(sent)
	await(t, "Caddy to try again, 10 s after it did last", func() error { // 20 s at most
		send(1)
		if !slices.ContainsFunc(sent[after:], func(id string) bool { return slices.Contains(l.ids(), id) }) {
			return errors.New("no record arrives")
		}
		return nil
	})
	send(40)
	l.awaitRecord(sent[len(sent)-1])

	arrived := l.ids()
	if rest := slices.DeleteFunc(slices.Clone(sent), func(id string) bool { return !slices.Contains(arrived, id) }); !slices.Equal(rest, arrived) {
		t.Error("records arrived twice, or in another order")
	}
	printed := make(map[string]bool)
	for line := range strings.Lines(g.output.String()) {
		var r struct {
			HTTP  struct{ Request struct{ ID string } }
			Event struct{ Dataset string }
		}
		if json.Unmarshal([]byte(line), &r) == nil && r.Event.Dataset == "caddy_ollama.audit" {
			printed[r.HTTP.Request.ID] = true
		}
	}
	// at each end of a connection those are lost without a word that were on their way
	lost := make(map[string][]int)
	for i, id := range sent {
		if !slices.Contains(arrived, id) && !printed[id] {
			phase := "while all is well"
			switch {
			case i >= 40 && i < 80:
				phase = "when the connection breaks"
			case i >= 80:
				phase = "when Logstash ends"
			}
			lost[phase] = append(lost[phase], i)
		}
	}
	t.Logf("of %d records %d arrived, %d are on the standard error, and these are lost: %v", len(sent), len(arrived), len(printed), lost)
	if len(lost["while all is well"]) > 0 || len(lost["when the connection breaks"]) > 10 || len(lost["when Logstash ends"]) > 10 {
		t.Errorf("more is lost than the README says: %v", lost)
	}
	if len(printed) < 30 {
		t.Errorf("%d records are on the standard error: this proves nothing", len(printed))
	}

	// nothing is missing where it counts
	var kept []string
	for _, r := range g.records(len(sent)) {
		kept = append(kept, fmt.Sprint(r["http.request.id"]))
	}
	if !slices.Equal(kept, sent) {
		t.Errorf("the file has %d records of %d requests, or in another order", len(kept), len(sent))
	}
}

// logstash stands for Logstash's tcp input with the codec json_lines.
type logstash struct {
	t       *testing.T
	address string

	mu       sync.Mutex
	listener net.Listener
	conns    []net.Conn
	arrived  []string
}

func startLogstash(t *testing.T) *logstash {
	t.Helper()
	l := &logstash{t: t, address: "127.0.0.1:" + freePort(t)}
	l.listen()
	t.Cleanup(l.stop)
	return l
}

func (l *logstash) listen() {
	l.t.Helper()
	listener, err := net.Listen("tcp", l.address)
	if err != nil {
		l.t.Fatal(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.listener = listener
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			l.mu.Lock()
			l.conns = append(l.conns, conn)
			l.mu.Unlock()
			go l.read(conn)
		}
	}()
}

// read takes one record a line. What was cut off by the end of a connection is none.
func (l *logstash) read(conn net.Conn) {
	reader := bufio.NewReader(conn)
	for {
		line, err := reader.ReadBytes('\n')
		if err != nil {
			return
		}
		var r struct {
			HTTP struct{ Request struct{ ID string } }
		}
		if err := json.Unmarshal(line, &r); err != nil || r.HTTP.Request.ID == "" {
			l.t.Errorf("no record: %s (%v)", line, err)
		}
		l.mu.Lock()
		l.arrived = append(l.arrived, r.HTTP.Request.ID)
		l.mu.Unlock()
	}
}

// hangUp ends the connections that there are.
func (l *logstash) hangUp() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, conn := range l.conns {
		_ = conn.Close()
	}
	l.conns = nil
}

// stop ends them, and listens no more.
func (l *logstash) stop() {
	l.mu.Lock()
	_ = l.listener.Close()
	l.mu.Unlock()
	l.hangUp()
}

// ids are those of the requests whose records have arrived.
func (l *logstash) ids() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.arrived)
}

func (l *logstash) awaitRecord(id string) {
	l.t.Helper()
	await(l.t, "a record to arrive", func() error {
		if !slices.Contains(l.ids(), id) {
			return errors.New("it has not")
		}
		return nil
	})
}
