package checkup

import (
	"context"
	"sync"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/policy"
)

// Upstream is an Ollama that is looked at: what it has told, and the fault instead.
type Upstream struct {
	Address string // host:port, or unix//path
	API     Ollama

	version      string
	versionErr   error
	installed    []ollama.Tag
	installedErr error
	model        string      // that is asked for, as it is called there; empty: it is not there
	running      *ollama.Tag // that model; nil: it is not loaded
	runningErr   error
	show         *ollama.Show // of that model
	showErr      error

	blocked blocks
}

// ofEach is how a step is taken of each Ollama: all are asked at once, and then each is
// judged, by what the others have told, too.
type ofEach struct {
	ask   func(context.Context, *Upstream)
	judge func(*Patient, *Upstream) Finding
}

func (e ofEach) take(ctx context.Context, s step, p *Patient, blocked blocks) []Step {
	if len(p.Ollamas) == 0 {
		return []Step{{Name: s.name, Finding: p.noOllama(s)}}
	}
	taken := make([]Step, len(p.Ollamas))
	waits := make([]bool, len(p.Ollamas))
	var asked sync.WaitGroup
	for i, o := range p.Ollamas {
		if o.blocked == nil {
			o.blocked = make(blocks)
		}
		taken[i].Name = s.name
		if taken[i].Finding, waits[i] = o.blocked.waits(s); !waits[i] {
			asked.Go(func() { e.ask(ctx, o) })
		}
	}
	asked.Wait()
	everywhere := true
	for i, o := range p.Ollamas {
		if !waits[i] {
			taken[i].Finding = o.blocked.note(s, e.judge(p, o))
		}
		p.name(s, &taken[i], o)
		everywhere = everywhere && o.blocked[s.name] != ""
	}
	if everywhere { // what one of them can do goes on
		blocked[s.name] = p.Ollamas[0].blocked[s.name]
	}
	return taken
}

// name says which of several Ollamas a step was taken of. The first names it itself.
func (p *Patient) name(s step, taken *Step, o *Upstream) {
	if len(p.Ollamas) == 1 {
		return
	}
	taken.Ollama = o.Address
	if len(s.needs) > 0 {
		taken.Text = o.Address + ": " + taken.Text
	}
}

// noOllama is what is said of a step where there is none to take it of.
func (p *Patient) noOllama(s step) Finding {
	switch {
	case len(s.needs) > 0:
		return skipped("Ollama is not looked at")
	case p.behindIsAnEngine():
		return skipped("behind the gateway is no Ollama, but a server of OpenAI's dialect; the step adapter asks it")
	}
	return skipped("no --ollama is given, and it should not be reachable from here")
}

// ofSeveral is how a step is taken that there is only with several Ollamas.
type ofSeveral once

func (o ofSeveral) take(ctx context.Context, s step, p *Patient, blocked blocks) []Step {
	if len(p.Ollamas) < 2 {
		return nil
	}
	return once(o).take(ctx, s, p, blocked)
}

// OllamaAddresses are those of the Ollamas that are looked at.
func (p *Patient) OllamaAddresses() (addresses []string) {
	for _, o := range p.Ollamas {
		addresses = append(addresses, o.Address)
	}
	return addresses
}

// another is the first other Ollama of which something is true; nil if there is none.
func (p *Patient) another(than *Upstream, is func(*Upstream) bool) *Upstream {
	for _, o := range p.Ollamas {
		if o != than && is(o) {
			return o
		}
	}
	return nil
}

// anyModel is a model that one of them has.
func (p *Patient) anyModel() string {
	for _, o := range p.Ollamas {
		if o.model != "" {
			return o.model
		}
	}
	return ""
}

// tagOf is the model of a name among tags; nil if it is not there.
func tagOf(tags []ollama.Tag, name string) *ollama.Tag {
	for i := range tags {
		if policy.Canonical(tags[i].Name) == policy.Canonical(name) {
			return &tags[i]
		}
	}
	return nil
}
