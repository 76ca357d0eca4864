package integration

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"

	"github.com/gateway18789/caddy-ollama/auditlog/auditfile/lumberjack/lumberjacktest"
)

// TestEveryRecordReachesLogstash ships the audit log through a connection that breaks with
// lines on their way, a Logstash that does not read, one that is away, and the gateway's
// death: every line arrives, in order, and no request waits.
func TestEveryRecordReachesLogstash(t *testing.T) {
	g := prepareGateway(t, scripted(t).Address())
	shown := g.ca.leaf(t, "gateway")
	writeCert(t, g.file("ship.crt"), shown.Certificate[0])
	writeKey(t, g.file("ship.key"), shown.PrivateKey)
	b := startBeats(t, &tls.Config{
		Certificates: []tls.Certificate{g.ca.leaf(t, "logstash", "localhost")},
		ClientCAs:    g.ca.pool(), ClientAuth: tls.RequireAndVerifyClientCert,
	})
	g.change("rate 5/s", "rate 1000000/s", "burst 10", "burst 100000",
		"\t\t\tretention 180d", "\t\t\tship localhost:"+b.port+" {\n\t\t\t\tca "+g.file("internal-ca.crt")+
			"\n\t\t\t\tcertificate "+g.file("ship.crt")+" "+g.file("ship.key")+"\n\t\t\t}")
	run := func() {
		g.process = startProcess(t, g.dir, "run", "--config", g.configFile(), "--adapter", "caddyfile")
		g.awaitListening(t, g.address())
	}
	run()
	token := tokenFor(t, "bot")
	client := g.from("127.0.0.2")
	var sent []string // the ids of all requests
	send := func(n int) {
		t.Helper()
		for range n {
			sent = append(sent, g.mustPost(client, token, chatBody("hello", false)).header.Get("X-Request-Id"))
		}
	}
	send(20)
	b.awaitRecord(sent[19])
	g.scrape(t).expect(t, series{"caddy_audit_file_ship_errors_total": 0})

	b.hangUpAfter(5) // lines, with those of their window not acknowledged
	send(40)
	b.awaitRecord(sent[59])

	b.deaf(true)
	b.hangUp()
	send(40) // it takes no time, whoever reads
	b.deaf(false)
	b.hangUp()
	b.awaitRecord(sent[99])

	b.stop()
	send(20)
	if lag := g.scrape(t)["caddy_audit_file_ship_lag_lines"]; lag < 20 {
		t.Errorf("20 records wait, but the lag is %v lines", lag)
	}
	_ = g.cmd.Process.Kill()
	<-g.exited
	client.CloseIdleConnections()
	b.listen()
	run()
	send(20)
	b.awaitRecord(sent[139])
	await(t, "acknowledgements", func() error {
		if lag := g.scrape(t)["caddy_audit_file_ship_lag_lines"]; lag != 0 {
			return fmt.Errorf("%v lines wait", lag)
		}
		return nil
	})

	// the log's own lines arrive, too, so none is missing
	arrived, again := b.firsts()
	var kept []string
	for _, r := range g.records(len(sent)) {
		kept = append(kept, fmt.Sprint(r["http.request.id"]))
	}
	var got []string
	for i, r := range arrived {
		if r.Sequence != uint64(i+1) {
			t.Fatalf("line %d is the %d. that arrived", r.Sequence, i+1)
		}
		if r.HTTP.Request.ID != "" {
			got = append(got, r.HTTP.Request.ID)
		}
	}
	if !slices.Equal(got, sent) || !slices.Equal(kept, sent) {
		t.Errorf("of %d requests the file has %d records, and %d arrived, or in another order", len(sent), len(kept), len(got))
	}
	if again == 0 {
		t.Error("no line arrived twice: this proves nothing")
	}
	t.Logf("%d lines arrived, %d of them twice or more", len(arrived), again)
}

// shippedLine is what is looked at of a line.
type shippedLine struct {
	Sequence uint64 `json:"event.sequence"`
	Hash     string `json:"event.hash"`
	Metadata struct {
		ID string `json:"_id"`
	} `json:"@metadata"`
	HTTP struct{ Request struct{ ID string } }
}

// beats stands for Logstash's beats input.
type beats struct {
	t      *testing.T
	port   string
	config *tls.Config

	mu       sync.Mutex
	listener net.Listener
	conns    []net.Conn
	notReads bool
	patience int // lines until the connection is ended; negative is never
	arrived  []shippedLine
}

func startBeats(t *testing.T, config *tls.Config) *beats {
	t.Helper()
	b := &beats{t: t, port: freePort(t), config: config, patience: -1}
	b.listen()
	t.Cleanup(b.stop)
	return b
}

func (b *beats) listen() {
	b.t.Helper()
	listener, err := tls.Listen("tcp", "127.0.0.1:"+b.port, b.config)
	if err != nil {
		b.t.Fatal(err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.listener = listener
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			b.mu.Lock()
			b.conns = append(b.conns, conn)
			reads := !b.notReads
			b.mu.Unlock()
			if reads {
				go b.receive(conn)
			}
		}
	}()
}

func (b *beats) receive(conn net.Conn) {
	defer conn.Close()
	if err := lumberjacktest.Receive(conn, b.take); err != nil && !errors.Is(err, lumberjacktest.ErrHangUp) {
		b.t.Error(err)
	}
}

func (b *beats) take(object []byte) error {
	var line shippedLine
	if err := json.Unmarshal(object, &line); err != nil {
		return err
	}
	if line.Hash == "" || line.Metadata.ID != line.Hash {
		return fmt.Errorf("line %d has the id %q, not %q", line.Sequence, line.Metadata.ID, line.Hash)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.arrived = append(b.arrived, line)
	if b.patience--; b.patience == 0 {
		return lumberjacktest.ErrHangUp
	}
	return nil
}

// hangUpAfter ends a connection when so many lines have come.
func (b *beats) hangUpAfter(lines int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.patience = lines
}

// deaf makes it one that does not read.
func (b *beats) deaf(is bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.notReads = is
}

// hangUp ends the connections that there are.
func (b *beats) hangUp() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, conn := range b.conns {
		_ = conn.Close()
	}
	b.conns = nil
}

// stop ends them, and listens no more.
func (b *beats) stop() {
	b.mu.Lock()
	_ = b.listener.Close()
	b.mu.Unlock()
	b.hangUp()
}

// firsts are the lines in the order in which they arrived first, and how many came again.
func (b *beats) firsts() (lines []shippedLine, again int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	seen := make(map[uint64]bool)
	for _, line := range b.arrived {
		if seen[line.Sequence] {
			again++
			continue
		}
		seen[line.Sequence] = true
		lines = append(lines, line)
	}
	return lines, again
}

func (b *beats) awaitRecord(id string) {
	b.t.Helper()
	await(b.t, "a record to arrive", func() error {
		b.mu.Lock()
		defer b.mu.Unlock()
		if !slices.ContainsFunc(b.arrived, func(line shippedLine) bool { return line.HTTP.Request.ID == id }) {
			return errors.New("it has not")
		}
		return nil
	})
}
