// Package placement decides which of several Ollamas a request goes to. It is pure: no
// HTTP, no Caddy, no clock.
package placement

import (
	"slices"
	"sync"
	"time"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/policy"
)

// loading is how long a model that an Ollama was asked for counts as loaded there,
// though it does not say so: it says so only when it has loaded it.
const loading = time.Minute

// Asked is what a request is about. Either may be empty.
type Asked struct {
	Model, Conversation string
}

// Candidate is an Ollama that a request could go to.
type Candidate struct {
	Address  string
	InFlight int
	// Tried says that the request has failed there.
	Tried bool
}

// Report is what an Ollama says it has, by the models' names.
type Report struct {
	Loaded, Installed []string
}

// Table is what is known of all Ollamas and of where conversations went. The zero value
// is empty and ready.
type Table struct {
	mu            sync.Mutex
	nodes         map[string]*node // by address
	conversations recent
}

type node struct {
	told              bool
	loaded, installed map[string]bool
	asked             map[string]time.Time // models not loaded yet, and when they were asked for
}

// Choose finds the place of a request among the candidates, and notes it. An Ollama with
// `busy` requests in flight is passed over if another has fewer: there it would wait
// longer than for another to load the model. It returns -1 if there are no candidates.
//
// What counts, in this order: that the request has not failed there; that the model is
// installed; that it is not busy; that the model is loaded; that the conversation was
// there last; that few requests are in flight; its place in the list.
func (t *Table) Choose(candidates []Candidate, asked Asked, busy, conversations int, now time.Time) int {
	if len(candidates) == 0 {
		return -1
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	model, last := "", ""
	if asked.Model != "" {
		model = policy.Canonical(asked.Model)
	}
	if asked.Conversation != "" {
		last = t.conversations.get(asked.Conversation)
	}
	rank := func(c Candidate) []int {
		n := t.nodes[c.Address]
		return []int{
			yes(c.Tried),
			yes(n.lacks(model)),
			yes(c.InFlight >= busy),
			yes(!n.has(model, now)),
			yes(c.Address != last),
			c.InFlight,
		}
	}
	for _, c := range candidates {
		if n := t.nodes[c.Address]; n != nil && c.Tried {
			delete(n.asked, model) // it failed there, and may not have been loaded
		}
	}
	best := 0
	for i := range candidates {
		if slices.Compare(rank(candidates[i]), rank(candidates[best])) < 0 {
			best = i
		}
	}
	address := candidates[best].Address
	if model != "" {
		t.node(address).ask(model, now)
	}
	if asked.Conversation != "" {
		t.conversations.set(asked.Conversation, address, conversations)
	}
	return best
}

func yes(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Told takes what an Ollama says.
func (t *Table) Told(address string, r Report, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.node(address)
	n.told, n.loaded, n.installed = true, setOf(r.Loaded), setOf(r.Installed)
	for model, since := range n.asked {
		if n.loaded[model] || now.Sub(since) >= loading {
			delete(n.asked, model)
		}
	}
}

// Silent says that an Ollama does not answer. Whatever it had loaded, it may have lost;
// but of one that never told anything there is only what it was asked for.
func (t *Table) Silent(address string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := t.nodes[address]; n != nil && n.told {
		delete(t.nodes, address)
	}
}

// maxNodes bounds the Ollamas of which something is known.
const maxNodes = 1024

func (t *Table) node(address string) *node {
	n := t.nodes[address]
	if n == nil {
		n = &node{asked: make(map[string]time.Time)}
		if t.nodes == nil || len(t.nodes) >= maxNodes {
			t.nodes = make(map[string]*node)
		}
		t.nodes[address] = n
	}
	return n
}

// maxAsked bounds the models that an Ollama is said to be loading.
const maxAsked = 64

// ask notes that the model is asked for.
func (n *node) ask(model string, now time.Time) {
	if n.loaded[model] {
		return
	}
	for other, since := range n.asked {
		if now.Sub(since) >= loading {
			delete(n.asked, other)
		}
	}
	if len(n.asked) < maxAsked || !n.asked[model].IsZero() {
		n.asked[model] = now
	}
}

// has reports whether the model is loaded, or soon will be.
func (n *node) has(model string, now time.Time) bool {
	if n == nil || model == "" {
		return false
	}
	since, asked := n.asked[model]
	return n.loaded[model] || asked && now.Sub(since) < loading
}

// lacks reports whether the model is known not to be installed.
func (n *node) lacks(model string) bool {
	return n != nil && n.told && model != "" && !n.installed[model]
}

func setOf(names []string) map[string]bool {
	set := make(map[string]bool, len(names))
	for _, name := range names {
		set[policy.Canonical(name)] = true
	}
	return set
}
