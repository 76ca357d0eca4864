package ollamaadapter

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"github.com/go-json-experiment/json"
	"go.uber.org/zap"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/placement"
)

const (
	// pollPatience is how long an Ollama may take to say what it has.
	pollPatience = 3 * time.Second
	// pollsAtOnce is how many are asked at the same time.
	pollsAtOnce = 8
	// maxPolled is how many Ollamas are asked at all.
	maxPolled = 256
	// maxReport bounds what one says, in bytes.
	maxReport = 4 << 20
)

// poller asks Ollamas in the background what they have.
type poller struct {
	table  *placement.Table
	every  time.Duration
	logger *zap.Logger

	cancel context.CancelFunc
	over   chan struct{}
	now    chan struct{} // there is somebody new

	mu      sync.Mutex
	targets []string
}

func startPoller(table *placement.Table, every time.Duration, logger *zap.Logger) *poller {
	ctx, cancel := context.WithCancel(context.Background())
	p := &poller{
		table: table, every: every, logger: logger, cancel: cancel,
		over: make(chan struct{}), now: make(chan struct{}, 1),
	}
	go p.run(ctx)
	return p
}

// stop ends the polling and waits until it has ended.
func (p *poller) stop() {
	p.cancel()
	<-p.over
}

// watch sets who is polled.
func (p *poller) watch(pool reverseproxy.UpstreamPool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	targets := make([]string, 0, min(len(pool), maxPolled))
	for _, u := range pool[:cap(targets)] {
		targets = append(targets, u.String())
	}
	slices.Sort(targets) // dynamic upstreams may come in any order
	if slices.Equal(targets, p.targets) {
		return
	}
	p.targets = targets
	select {
	case p.now <- struct{}{}:
	default:
	}
}

func (p *poller) run(ctx context.Context) {
	defer close(p.over)
	tick := time.NewTicker(p.every)
	defer tick.Stop()
	var last time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.now:
			if time.Since(last) < p.every/10 { // they come and go
				continue
			}
		case <-tick.C:
		}
		p.round(ctx)
		last = time.Now()
	}
}

// round asks everybody once.
func (p *poller) round(ctx context.Context) {
	p.mu.Lock()
	targets := slices.Clone(p.targets)
	p.mu.Unlock()
	places := make(chan struct{}, pollsAtOnce)
	var all sync.WaitGroup
	for _, target := range targets {
		if strings.Contains(target, "{") {
			continue // an address that is known with each request only
		}
		places <- struct{}{}
		all.Go(func() {
			defer func() { <-places }()
			report, err := p.ask(ctx, target)
			switch {
			case ctx.Err() != nil:
			case err != nil:
				p.table.Silent(target)
				if c := p.logger.Check(zap.DebugLevel, "an upstream does not say what it has"); c != nil {
					c.Write(zap.String("upstream", target), zap.Error(err))
				}
			default:
				p.table.Told(target, report, time.Now())
			}
		})
	}
	all.Wait()
}

// ask asks one Ollama what it has.
func (p *poller) ask(ctx context.Context, target string) (r placement.Report, err error) {
	address, err := caddy.ParseNetworkAddress(target)
	if err != nil {
		return r, err
	}
	ctx, cancel := context.WithTimeout(ctx, min(p.every, pollPatience))
	defer cancel()
	transport := &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, address.Network, address.JoinHostPort(0))
		},
	}
	for path, names := range map[string]*[]string{"/api/ps": &r.Loaded, "/api/tags": &r.Installed} {
		if *names, err = modelNames(ctx, transport, path); err != nil {
			return r, fmt.Errorf("%s: %w", path, err)
		}
	}
	return r, nil
}

// modelNames are the models that an Ollama lists at a path.
func modelNames(ctx context.Context, transport http.RoundTripper, path string) (names []string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost"+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answers %s", resp.Status)
	}
	var tags ollama.Tags
	if err := json.UnmarshalRead(io.LimitReader(resp.Body, maxReport), &tags); err != nil {
		return nil, err
	}
	for _, tag := range tags.Models {
		names = append(names, tag.Name)
	}
	return names, nil
}
