package redis_test

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/gateway18789/caddy-ollama/ratelimit/limit"
	"github.com/gateway18789/caddy-ollama/ratelimit/memory"
	"github.com/gateway18789/caddy-ollama/ratelimit/redis"
	"github.com/gateway18789/caddy-ollama/ratelimit/redis/redistest"
	"github.com/gateway18789/caddy-ollama/ratelimit/storetest"
)

// TestMain runs the tests, or a gateway for them in a process of its own.
func TestMain(m *testing.M) {
	if address := os.Getenv("TEST_GATEWAY_REDIS"); address != "" {
		runGateway(address)
		return
	}
	goleak.VerifyTestMain(m,
		// toxiproxy, which stands for the network, leaves these behind when it stops
		goleak.IgnoreAnyFunction("github.com/Shopify/toxiproxy/v2/toxics.(*LatencyToxic).Pipe"),
		goleak.IgnoreAnyFunction("github.com/Shopify/toxiproxy/v2.(*ToxicLink).write"),
		goleak.IgnoreAnyFunction("github.com/Shopify/toxiproxy/v2.(*ToxicLink).read"),
	)
}

// processPolicy is that of gateways that are processes. Its rate refills too slowly to
// matter, so that how many pass does not depend on how fast the test runs.
var processPolicy = limit.Policy{Interval: time.Hour, Burst: 777, Concurrency: 60, PerClient: 60}

const processLease = 3 * time.Second

// runGateway obeys one command a line: "ask <client>" and "hold <client>", and answers
// each with a line. It ends with its standard input.
func runGateway(address string) {
	client := goredis.NewClient(&goredis.Options{Addr: address, MaxRetries: -1, DialerRetries: 1, ContextTimeoutEnabled: true})
	z := redis.New(redis.Config{
		Client: client, Prefix: "test", Name: "processes", Timeout: 5 * time.Second, OnFailure: redis.Local,
		Clock: time.Now, Lease: processLease,
	})
	commands := bufio.NewScanner(os.Stdin)
	for commands.Scan() {
		verb, n, _ := strings.Cut(commands.Text(), " ")
		number, _ := strconv.Atoi(n)
		d := z.Admit(storetest.Client(number), &processPolicy)
		status := http.StatusTooManyRequests
		if d.Ticket != nil {
			status = http.StatusOK
			if verb == "ask" {
				d.Ticket.Release(200)
			}
		}
		fmt.Println(status, d.Reason)
	}
}

// process is a gateway in a process of its own.
type process struct {
	mu      sync.Mutex
	command *exec.Cmd
	send    *bufio.Writer
	answers *bufio.Scanner
}

func startGateway(t *testing.T, server *redistest.Server) *process {
	t.Helper()
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), "TEST_GATEWAY_REDIS="+server.Address)
	command.Stderr = os.Stderr
	in, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{command: command, send: bufio.NewWriter(in), answers: bufio.NewScanner(out)}
	t.Cleanup(p.kill)
	return p
}

func (p *process) kill() {
	_ = p.command.Process.Kill() // SIGKILL; it may be dead already
	_ = p.command.Wait()
}

func (p *process) ask(t *testing.T, command string) (passed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, err := p.send.WriteString(command + "\n"); err != nil {
		t.Error(err)
	}
	if err := p.send.Flush(); err != nil || !p.answers.Scan() {
		t.Errorf("the gateway is dead: %v", err)
	}
	return strings.HasPrefix(p.answers.Text(), "200")
}

func TestThreeProcessesLetPassWhatOneWould(t *testing.T) {
	server := redistest.Start(t)
	var gateways []*process
	for range 3 {
		gateways = append(gateways, startGateway(t, server))
	}
	const requests, clients = 10_000, 4
	began := time.Now()
	var passed [clients]atomic.Int64
	var all sync.WaitGroup
	for worker := range 3 {
		all.Go(func() {
			for n := worker; n < requests; n += 3 {
				who := n / 3 % clients
				if gateways[(n+n/3)%3].ask(t, fmt.Sprint("ask ", who)) {
					passed[who].Add(1)
				}
			}
		})
	}
	all.Wait()
	took := time.Since(began)
	// the oracle: one gateway, in memory
	oracle := memory.New()
	for who := range clients {
		want := int64(0)
		for range requests / clients {
			if d := oracle.Admit(storetest.Client(who), &processPolicy); d.Ticket != nil {
				d.Ticket.Release(200)
				want++
			}
		}
		if got := passed[who].Load(); got != want {
			t.Errorf("client %d: %d passed, the oracle lets %d pass", who, got, want)
		}
	}
	t.Logf("%d requests in %v", requests, took)
}

func TestSlotsOfAKilledGatewayComeBack(t *testing.T) {
	server := redistest.Start(t)
	dying, living := startGateway(t, server), startGateway(t, server)
	for n := range 50 {
		if !dying.ask(t, fmt.Sprint("hold ", n)) {
			t.Fatalf("stream %d is refused", n)
		}
	}
	for n := range 10 {
		if !living.ask(t, fmt.Sprint("hold ", 100+n)) {
			t.Fatalf("stream %d of the other gateway is refused", n)
		}
	}
	if living.ask(t, "ask 200") {
		t.Fatal("61 requests in flight, want 60 at most")
	}
	dying.kill()
	killed := time.Now()
	// one by one, as their leases end
	for n := range 50 {
		eventually(t, fmt.Sprintf("slot %d comes back", n), func() bool { return living.ask(t, fmt.Sprint("hold ", 400+n)) })
	}
	took := time.Since(killed)
	t.Logf("%v after the gateway was killed, with leases of %v", took, processLease)
	if took > processLease+time.Second {
		t.Errorf("the slots came back after %v", took)
	}
	if living.ask(t, "ask 999") {
		t.Error("the living gateway's own slots came back too")
	}
}
