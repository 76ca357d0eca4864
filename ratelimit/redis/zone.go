// Package redis decides which requests may pass as the package memory does, for
// several gateways together: what they must agree on is in Redis or Valkey. Each
// decision is one round trip, by the clock of Redis. Without Redis each gateway
// goes on with its share of the budget, and charges what it took when Redis returns.
package redis

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/gateway18789/caddy-ollama/ratelimit/limit"
	"github.com/gateway18789/caddy-ollama/ratelimit/memory"
	"github.com/gateway18789/caddy-ollama/ratelimit/queue"
)

// OnFailure is what happens to requests while Redis does not answer.
type OnFailure string

const (
	Local  OnFailure = "local"  // each gateway has its share of the budget
	Refuse OnFailure = "refuse" // none passes
	Allow  OnFailure = "allow"  // all pass that are not blocked
)

// Config is how a zone reaches its Redis.
type Config struct {
	Client    goredis.UniversalClient
	Prefix    string
	Name      string
	Timeout   time.Duration // how long one decision may take
	OnFailure OnFailure
	Clock     func() time.Time // of this gateway
	// Met is called when Redis has answered for the first time, unless it had failed
	// before. Down and Up are called when it has failed, and when it is back.
	Met  func()
	Down func(error)
	Up   func(outage time.Duration)
	// Blocked is called when a client is blocked for a request whose ticket has been
	// released already, so that Release could not tell.
	Blocked func(limit.Block)
	// Lease is how long the slots of a gateway that has died stay taken. 0: 29 s.
	Lease time.Duration
}

// defaultLease lets the slots of a dead gateway be in use again within 30 s.
const defaultLease = 29 * time.Second

// unlimited stands for any number where Lua counts in floating point.
const unlimited = 1 << 52

// Zone is a gateway's part of a zone that gateways share.
type Zone struct {
	config  Config
	keys    keys
	gateway [8]byte

	// local has what this gateway knows of the zone, and decides without Redis.
	local *memory.Zone
	queue queue.Queue
	// polling: somebody looks for slots that other gateways set free.
	polling atomic.Bool

	down atomic.Bool
	// Only run reads and writes these.
	version   int64        // of the blocks that local has
	joined    bool         // Redis has heard of this gateway
	forgotten bool         // Redis has lost what it knew, and has not been told yet
	unsure    *batch       // of charges, which Redis may have heard or not
	gateways  atomic.Int64 // that live, by the last word
	leases    leases
	outage    outage
	// releasing are releases that go on, though nobody waits for them any more.
	releasing sync.WaitGroup

	stopping, stopped chan struct{}
}

// New returns a zone, which asks Redis in the background from now on until stopped.
// It does not wait for Redis.
func New(config Config) *Zone {
	if config.Lease == 0 {
		config.Lease = defaultLease
	}
	start := config.Clock()
	z := &Zone{
		config:   config,
		keys:     keysOf(config.Prefix, config.Name),
		local:    memory.NewZone(func() time.Duration { return config.Clock().Sub(start) }, config.Clock),
		stopping: make(chan struct{}),
		stopped:  make(chan struct{}),
	}
	_, _ = rand.Read(z.gateway[:]) // never fails
	z.gateways.Store(1)
	z.leases.held = make(map[string]string)
	z.outage.charges.of = make(map[limit.Key]charge)
	go z.run()
	return z
}

// Stop ends what goes on in the background, once no request is in flight any more:
// until then its lease is renewed. done is called at the end.
func (z *Zone) Stop(done func()) {
	close(z.stopping)
	go func() {
		<-z.stopped
		z.releasing.Wait()
		done()
	}()
}

// Admit implements limit.Store.
func (z *Zone) Admit(who limit.Client, p *limit.Policy) limit.Decision {
	began := time.Now()
	d := z.admit(who, p)
	if t, ok := d.Ticket.(*ticket); ok {
		t.waited = time.Since(began)
	}
	if pl, ok := d.Place.(*place); ok {
		pl.waited = time.Since(began)
	}
	return d
}

func (z *Zone) admit(who limit.Client, p *limit.Policy) limit.Decision {
	if !z.down.Load() {
		d, err := z.admitTogether(who, p)
		if err == nil {
			return d
		}
		z.fail(err)
	}
	return z.admitAlone(who, p)
}

// admitTogether lets Redis decide.
func (z *Zone) admitTogether(who limit.Client, p *limit.Policy) (limit.Decision, error) {
	what := "rs"
	switch {
	case p.Queue > 0 && z.queue.Len() > 0:
		what = "rq" // who comes while others wait does not get past them
	case p.Queue > 0:
		what = "rsq"
	}
	since := z.config.Clock()
	lease := z.leases.name(z.gateway)
	a, err := z.ask(who, p, lease, what)
	if err != nil {
		return limit.Decision{}, err
	}
	if a.reason != limit.Blocked {
		z.local.Owe(a.place, p, a.due)
	}
	quota := p.Quota(a.due)
	switch {
	case a.reason == 0:
		return limit.Decision{Ticket: z.newTicket(who, a.place, p, lease), Quota: quota}, nil
	case a.reason == limit.Blocked:
		return limit.Decision{Reason: limit.Blocked, RetryAfter: a.wait, Quota: p.NoQuota(a.wait)}, nil
	case a.reason == limit.RateLimited:
		return limit.Decision{Reason: limit.RateLimited, RetryAfter: a.wait, Quota: quota}, nil
	case p.Queue > 0:
		return z.line(&place{zone: z, who: who, charged: a.place, policy: p, quota: quota, since: since, due: a.now + micros(a.due), reason: a.reason}), nil
	default:
		return limit.Decision{Reason: a.reason, RetryAfter: z.local.RetryAfter(p, a.reason), Quota: quota}, nil
	}
}

// InFlight implements limit.Store.
func (z *Zone) InFlight() int { return z.local.InFlight() }

// Waiting implements limit.Store.
func (z *Zone) Waiting() int { return z.queue.Len() + z.local.Waiting() }

// Clients implements limit.Store.
func (z *Zone) Clients() int { return z.local.Clients() }

// Down reports whether Redis is out of reach.
func (z *Zone) Down() bool { return z.down.Load() }

// leases are this gateway's requests in flight, as Redis knows them.
type leases struct {
	count atomic.Uint64

	mu   sync.Mutex
	held map[string]string // the alias of whom each counts under
}

// name makes up the name of one more.
func (l *leases) name(gateway [8]byte) string {
	return string(binary.BigEndian.AppendUint64(gateway[:8:8], l.count.Add(1)))
}

func (l *leases) add(lease, alias string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held[lease] = alias
}

func (l *leases) drop(lease string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.held, lease)
}

func (l *leases) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.held)
}

// errForgotten is why a Redis that answers is taken for lost.
var errForgotten = errors.New("redis has lost what it knew")

// nobody is the policy of a request that is not to be judged.
var nobody = new(limit.Policy)

func places(p *limit.Policy) int64 { return min(unlimited, int64(p.Places())) }

// micros is a duration as the scripts have it.
func micros(d time.Duration) int64 {
	return int64(math.Round(float64(d) / float64(time.Microsecond)))
}

// Interface guard
var _ limit.Store = (*Zone)(nil)
