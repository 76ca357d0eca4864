package ollamaadapter

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"go.uber.org/zap"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/placement"
)

func init() {
	caddy.RegisterModule(Selection{})
}

// Selection is a policy of reverse_proxy, behind ollama_adapter, for several Ollamas
// that are to serve as one. Of those that are available it takes
//
//  1. one where this request has not failed yet,
//  2. one that has the model installed,
//  3. one that is not busy,
//  4. one that has the model loaded, or is loading it for another request,
//  5. the one that had the conversation last, and so has its prompt in the cache,
//  6. the one with the fewest requests in flight,
//
// in this order of importance. What the Ollamas have is asked in the background, never
// while a request waits; the answers, and where conversations went, outlast a reload.
// Polls speak plain HTTP. Where that is not understood, as by an upstream with TLS, the
// policy goes by the requests that it has sent there itself.
//
// For a request to be sent to another Ollama when one dies before its first byte,
// reverse_proxy needs `lb_retries`, `lb_retry_match` with `method POST GET`, and
// `request_buffers` of the size of ollama_adapter's `max_body`, which lets the body be
// sent again.
type Selection struct {
	// How often each Ollama is asked what it has loaded. 0: never. Default: 5s.
	Poll *caddy.Duration `json:"poll,omitempty"`
	// An Ollama with so many requests in flight is busy. Default: 4.
	Busy int `json:"busy,omitempty"`
	// How many conversations are remembered, of all such policies. Default: 10000.
	Conversations int `json:"conversations,omitempty"`

	table   *placement.Table
	logger  *zap.Logger
	polling *polling
}

// polling is what a policy polls.
type polling struct {
	mu     sync.Mutex
	closed bool
	poller *poller // from the first request on
}

// placements outlasts reloads. There is one table for all policies: its entries are by
// address, as those of reverse_proxy's own counters are.
var placements = caddy.NewUsagePool()

type sharedTable struct{ placement.Table }

// Destruct has nothing to end.
func (*sharedTable) Destruct() error { return nil }

const placementsKey = "ollama_model"

// CaddyModule returns the Caddy module information.
func (Selection) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.reverse_proxy.selection_policies.ollama_model",
		New: func() caddy.Module { return new(Selection) },
	}
}

// Provision sets the defaults.
func (s *Selection) Provision(ctx caddy.Context) error {
	s.logger, s.polling = ctx.Logger(), new(polling)
	if s.Poll == nil {
		every := caddy.Duration(5 * time.Second)
		s.Poll = &every
	}
	if s.Busy == 0 {
		s.Busy = 4
	}
	if s.Conversations == 0 {
		s.Conversations = 10_000
	}
	shared, _, err := placements.LoadOrNew(placementsKey, func() (caddy.Destructor, error) { return new(sharedTable), nil })
	if err != nil {
		return err
	}
	s.table = &shared.(*sharedTable).Table
	return nil
}

// Validate checks the options.
func (s *Selection) Validate() error {
	if every := time.Duration(*s.Poll); every != 0 && every < 100*time.Millisecond {
		return fmt.Errorf("poll %v: it must be at least 100ms, or 0 to switch it off", every)
	}
	if s.Busy < 1 {
		return fmt.Errorf("busy %d: it must be at least 1", s.Busy)
	}
	if s.Conversations < 1 || s.Conversations > 1_000_000 {
		return fmt.Errorf("conversations %d: it must lie between 1 and 1000000", s.Conversations)
	}
	return nil
}

// Cleanup ends the polling.
func (s *Selection) Cleanup() error {
	if s.table == nil {
		return nil
	}
	s.polling.mu.Lock()
	s.polling.closed = true
	poller := s.polling.poller
	s.polling.mu.Unlock()
	if poller != nil {
		poller.stop()
	}
	_, err := placements.Delete(placementsKey)
	return err
}

// varTried is where a request has been sent, as a variable of Caddy's.
const varTried = "ollama_model.tried"

// Select chooses an upstream.
func (s *Selection) Select(pool reverseproxy.UpstreamPool, r *http.Request, _ http.ResponseWriter) *reverseproxy.Upstream {
	s.poll(pool)
	tried, _ := caddyhttp.GetVar(r.Context(), varTried).([]string)
	if len(tried) > 0 && r.Context().Err() != nil {
		return nil // it has failed for want of time, and would fail everywhere
	}
	var available []*reverseproxy.Upstream
	var candidates []placement.Candidate
	for _, u := range pool {
		if u.Available() {
			address := u.String()
			available = append(available, u)
			candidates = append(candidates, placement.Candidate{
				Address: address, InFlight: u.NumRequests(), Tried: slices.Contains(tried, address),
			})
		}
	}
	var asked placement.Asked
	asked.Model, _ = caddyhttp.GetVar(r.Context(), varModel).(string)
	asked.Conversation, _ = caddyhttp.GetVar(r.Context(), varConversation).(string)
	chosen := s.table.Choose(candidates, asked, s.Busy, s.Conversations, time.Now())
	if chosen < 0 {
		return nil
	}
	if !candidates[chosen].Tried {
		caddyhttp.SetVar(r.Context(), varTried, append(slices.Clip(tried), candidates[chosen].Address))
	}
	return available[chosen]
}

// poll has the pool polled from now on.
func (s *Selection) poll(pool reverseproxy.UpstreamPool) {
	if *s.Poll == 0 {
		return
	}
	p := s.polling
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return // of an earlier configuration, whose last requests still run
	}
	if p.poller == nil {
		p.poller = startPoller(s.table, time.Duration(*s.Poll), s.logger)
	}
	p.poller.watch(pool)
}

// Interface guards
var (
	_ caddy.Provisioner     = (*Selection)(nil)
	_ caddy.Validator       = (*Selection)(nil)
	_ caddy.CleanerUpper    = (*Selection)(nil)
	_ reverseproxy.Selector = (*Selection)(nil)
)
