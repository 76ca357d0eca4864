package jwks

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gateway18789/caddy-ollama/jwtauth/key"
)

// askEvery is how often tokens with a kid that nobody knows can cause a fetch. It
// is one bound for all clients together: anyone can make such tokens.
const askEvery = 30 * time.Second

// Remote is a key.Source of the keys at a URL. It asks for them from the first Find
// on, not before: a configuration that is only validated fetches nothing. It can
// live in a caddy.UsagePool.
type Remote struct {
	options  Options
	provider *provider
	set      atomic.Pointer[set]

	ctx     context.Context // of the fetches; ends with Destruct
	cancel  context.CancelFunc
	fetches sync.WaitGroup

	// of the fetch under way, of which there is one at most
	failures int // in a row
	health   health

	mu       sync.Mutex
	stopped  bool
	underway chan struct{} // closed when the fetch under way has ended; nil if none is
	timer    *time.Timer   // of the next fetch; nil until the first has ended
	asked    time.Time     // when an unknown kid last caused a fetch
}

// New makes a Remote. It neither fetches nor starts anything.
func New(o Options) (*Remote, error) {
	o = o.withDefaults()
	if err := o.check(); err != nil {
		return nil, err
	}
	address, err := parseURL(o.URL)
	if err != nil {
		return nil, err
	}
	r := &Remote{options: o, provider: newProvider(address, o)}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.set.Store(new(set))
	return r, nil
}

// Find implements key.Source. For a kid that is not in the set it waits for a fetch,
// if there may be one; else it answers at once. While no set serves, keys of every
// algorithm are missing.
func (r *Remote) Find(ctx context.Context, algorithm, kid string) (keys []*key.Key, decoy, missing bool) {
	// as a rule it does, and nobody waits for a lock
	if !r.set.Load().settles(algorithm, kid, time.Now()) {
		r.await(ctx, algorithm, kid)
	}
	return r.set.Load().find(ctx, algorithm, kid, time.Now())
}

// await waits until the set settles the matter, or nothing that could is to be expected.
func (r *Remote) await(ctx context.Context, algorithm, kid string) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		done, begun := r.fetchFor(algorithm, kid)
		if done == nil {
			return
		}
		select {
		case <-done:
		case <-ctx.Done():
			return
		}
		// A fetch that was under way when the token came may have been answered
		// before its key was published: only one begun after that is the last word.
		if begun {
			return
		}
	}
}

// fetchFor returns the end of the fetch that a token with this kid must wait for, and
// whether that fetch began here; nil if there is none.
func (r *Remote) fetchFor(algorithm, kid string) (done <-chan struct{}, begun bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	switch {
	case r.stopped, r.set.Load().settles(algorithm, kid, now):
		return nil, false
	case r.underway != nil:
		return r.underway, false
	case r.timer == nil:
		// the first fetch of all is nobody's in particular
	case now.Sub(r.asked) < askEvery:
		return nil, false
	default:
		r.asked = now
	}
	return r.begin(), true
}

// refresh is what the timer does.
func (r *Remote) refresh() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.stopped && r.underway == nil {
		r.begin()
	}
}

// begin starts a fetch. The caller holds the lock and knows that none is under way.
func (r *Remote) begin() <-chan struct{} {
	if r.timer != nil {
		r.timer.Stop()
	}
	done := make(chan struct{})
	r.underway = done
	r.fetches.Go(func() {
		defer close(done)
		r.fetch()
	})
	return done
}

// fetch replaces the set, or keeps it if there is no good one to be had, and sees to
// the next fetch.
func (r *Remote) fetch() {
	began := time.Now()
	ctx, cancel := context.WithTimeout(r.ctx, patience)
	defer cancel()
	keys, header, err := r.provider.fetch(ctx)
	if r.ctx.Err() != nil {
		return // it says nothing about the provider
	}
	var next time.Time
	if err == nil {
		current := interval(r.options.Refresh, header)
		r.set.Store(&set{keys: keys, expires: began.Add(current + r.options.StaleFor)})
		r.failures = 0
		// counted from the beginning: what was withdrawn since then is not known here
		next = began.Add(early(current))
	} else {
		r.failures++
		next = time.Now().Add(early(backoff(r.options.Refresh, r.failures)))
	}
	r.report(err)

	r.mu.Lock()
	defer r.mu.Unlock()
	r.underway = nil
	r.timer = time.AfterFunc(time.Until(next), r.refresh)
}

// Destruct ends all fetches. Find goes on with the last set until that expires, for
// the requests that are still on their way through an old configuration.
func (r *Remote) Destruct() error {
	r.mu.Lock()
	r.stopped = true
	r.mu.Unlock()
	r.cancel()
	r.fetches.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.timer != nil {
		r.timer.Stop()
	}
	return nil
}

// Interface guard
var _ key.Source = (*Remote)(nil)
