package shipper

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/gateway18789/caddy-ollama/auditlog/auditfile/logfile"
	"github.com/gateway18789/caddy-ollama/auditlog/auditfile/lumberjack/lumberjacktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench is a log, a Logstash, and what ships the one to the other.
type bench struct {
	*testing.T
	path    string
	options logfile.Options
	log     *logfile.Log
	shipper *Shipper
	told    *observer.ObservedLogs

	mu       sync.Mutex
	logger   *zap.Logger
	failed   int
	dialled  int
	arrived  []uint64 // the numbers of lines, as they came
	hashes   map[uint64]string
	receiver func(net.Conn) // nil refuses connections
	work     sync.WaitGroup
}

func newBench(t *testing.T) *bench {
	b := &bench{T: t, path: filepath.Join(t.TempDir(), "audit.log"), hashes: make(map[uint64]string)}
	b.options = logfile.Options{RollSize: 100 << 20, Gzip: true, Retention: 180 * 24 * time.Hour, Shipped: true}
	core, told := observer.New(zapcore.InfoLevel)
	b.logger, b.told = zap.New(core), told
	b.receiver = b.receive
	return b
}

// start is the gateway's start.
func (b *bench) start() {
	b.Helper()
	b.open()
	b.ship()
}

func (b *bench) open() {
	b.Helper()
	var err error
	b.log, err = logfile.Open(logfile.Config{Path: b.path, Options: b.options, Logger: func() *zap.Logger { return b.logger }})
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bench) ship() {
	b.shipper = Start(b.log, Options{
		Receiver: "logstash", Dial: b.dial, Logger: func() *zap.Logger { return b.logger },
		Failed: func() {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.failed++
		},
	})
}

// stop is its end.
func (b *bench) stop() {
	b.Helper()
	b.shipper.Stop()
	if err := b.log.Close(); err != nil {
		b.Error(err)
	}
	b.work.Wait()
}

// write writes records. It fails the test if that takes any time.
func (b *bench) write(n int) {
	b.Helper()
	began := time.Now()
	for range n {
		if _, err := b.log.Write([]byte(`{"message":"some record with \u2028 and more"}` + "\n")); err != nil {
			b.Fatal(err)
		}
	}
	if took := time.Since(began); took > 0 { // time stands still unless somebody waits
		b.Errorf("who writes has waited %v", took)
	}
}

// meet says how connections are received from now on.
func (b *bench) meet(receiver func(net.Conn)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.receiver = receiver
}

func (b *bench) dial(context.Context) (net.Conn, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.dialled++
	if b.receiver == nil {
		return nil, errors.New("connection refused")
	}
	client, server := net.Pipe()
	receiver := b.receiver
	b.work.Go(func() {
		defer server.Close()
		receiver(server)
	})
	return client, nil
}

// receive is a Logstash that is well.
func (b *bench) receive(conn net.Conn) { b.receiveBy(conn) }

func (b *bench) receiveBy(conn io.ReadWriter) {
	if err := lumberjacktest.Receive(conn, b.take); err != nil {
		b.Error(err)
	}
}

func (b *bench) take(object []byte) error {
	var line struct {
		Sequence uint64 `json:"event.sequence"`
		Hash     string `json:"event.hash"`
		Metadata struct {
			ID string `json:"_id"`
		} `json:"@metadata"`
	}
	if err := json.Unmarshal(object, &line); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if line.Hash == "" || line.Metadata.ID != line.Hash {
		b.Errorf("line %d has the id %q, not its hash %q", line.Sequence, line.Metadata.ID, line.Hash)
	}
	if before, again := b.hashes[line.Sequence]; again && before != line.Hash {
		b.Errorf("line %d is another one the second time", line.Sequence)
	}
	b.hashes[line.Sequence] = line.Hash
	b.arrived = append(b.arrived, line.Sequence)
	return nil
}

// forget forgets what has arrived.
func (b *bench) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.arrived = nil
}

// seen is what there was so far.
func (b *bench) seen() (arrived []uint64, failed, dialled int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.arrived), b.failed, b.dialled
}

// expectConnections wants so many, and no failure.
func (b *bench) expectConnections(want int) {
	b.Helper()
	if _, failed, dialled := b.seen(); failed != 0 || dialled != want {
		b.Errorf("%d attempts failed, of %d connections; want none of %d", failed, dialled, want)
	}
}

// expectOnce wants exactly these lines, in their order.
func (b *bench) expectOnce(first, last uint64) {
	b.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	want := first
	for i, got := range b.arrived {
		if got != want {
			b.Fatalf("the %d. line that arrived is %d, want %d", i+1, got, want)
		}
		want++
	}
	if want != last+1 {
		b.Fatalf("%d lines arrived, want %d to %d", len(b.arrived), first, last)
	}
}

// expectAll wants all lines of the log, in the order in which they arrived first. It tells
// how many came again.
func (b *bench) expectAll() (again int) {
	b.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	next := uint64(1)
	for i, got := range b.arrived {
		if got > next {
			b.Fatalf("the %d. line that arrived is %d before there was %d", i+1, got, next)
		}
		if got == next {
			next++
		} else {
			again++
		}
	}
	if last := b.log.Sequence(); next != last+1 {
		b.Fatalf("lines 1 to %d arrived, of %d", next-1, last)
	}
	return again
}

// errors are what the operator was told at a level.
func (b *bench) at(level zapcore.Level) (messages []string) {
	for _, entry := range b.told.All() {
		if entry.Level == level {
			messages = append(messages, fmt.Sprint(entry.Message, " ", entry.ContextMap()["error"]))
		}
	}
	return messages
}
