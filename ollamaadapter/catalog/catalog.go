// Package catalog knows what the upstream is able to do: its version, the models
// it has and what each of them can. It asks when it must and remembers.
package catalog

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/policy"
)

const (
	// fresh is how long the version and the list of models count as known.
	fresh = 30 * time.Second
	// patience is how long a question may take. Chats wait for the first answer.
	patience = 5 * time.Second
	// backoff is how long nothing is asked after a question failed.
	backoff = 5 * time.Second
)

// Ask puts one question to the upstream and returns the body of a 200.
type Ask func(ctx context.Context, method, path string, body []byte) ([]byte, error)

// Model is what is known of one model.
type Model struct {
	ollama.Tag
	// Known says that the upstream has told what follows.
	Known         bool
	Capabilities  []string // empty before Ollama 0.6.4
	ContextLength int      // of the model itself; 0 if not told
}

// Can reports whether the model has a capability, and whether that is known.
func (m Model) Can(capability string) (can, known bool) {
	return slices.Contains(m.Capabilities, capability), m.Known && len(m.Capabilities) > 0
}

// Catalog is the memory of one upstream. The zero value is empty and ready.
type Catalog struct {
	// Now tells the time; nil means time.Now.
	Now func() time.Time
	// Engine says that the upstream is none of Ollama's, but speaks OpenAI's dialect.
	Engine bool

	asking sync.Mutex // held while the upstream is asked

	mu        sync.Mutex // guards what follows
	version   string
	models    []ollama.Tag
	abilities map[string]abilities // by digest, so that nothing is asked twice
	silent    map[string]time.Time // digests of which nothing was told, and until when not to ask
	complete  bool                 // all of it was told at least once
	fault     error                // of the last question
	until     time.Time            // do not ask before
}

// abilities are what /api/show tells of a model, as far as it is of use.
type abilities struct {
	capabilities  []string
	contextLength int
}

// Version is the upstream's version; empty if it has not told.
func (c *Catalog) Version(ctx context.Context, ask Ask) string {
	c.refresh(ctx, ask)
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.version
}

// Models are the installed models, without their capabilities.
func (c *Catalog) Models(ctx context.Context, ask Ask) ([]ollama.Tag, error) {
	c.refresh(ctx, ask)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fault != nil {
		return nil, c.fault
	}
	if !c.complete {
		return nil, errors.New("the upstream has not told its models yet")
	}
	return slices.Clone(c.models), nil
}

// Model is what is known of the model of this name.
func (c *Catalog) Model(ctx context.Context, ask Ask, name string) Model {
	c.refresh(ctx, ask)
	name = policy.Canonical(name)
	c.mu.Lock()
	i := slices.IndexFunc(c.models, func(t ollama.Tag) bool { return policy.Canonical(t.Name) == name })
	if i < 0 {
		c.mu.Unlock()
		return Model{}
	}
	tag := c.models[i]
	able, known := c.abilities[tag.Digest]
	due := !c.Engine && !known && !c.now().Before(c.silent[tag.Digest])
	c.mu.Unlock()
	if due {
		able, known = c.show(ctx, ask, tag)
	}
	if c.Engine {
		return Model{Tag: tag, ContextLength: tag.ContextLength}
	}
	return Model{Tag: tag, Known: known, Capabilities: able.capabilities, ContextLength: able.contextLength}
}

// refresh asks for version and models if they are not fresh. While somebody else
// asks, what was told before will do; only the first time everybody waits.
func (c *Catalog) refresh(ctx context.Context, ask Ask) {
	due, complete := c.due()
	if !due {
		return
	}
	if complete {
		if !c.asking.TryLock() {
			return
		}
	} else {
		c.asking.Lock()
	}
	defer c.asking.Unlock()
	if due, _ := c.due(); !due {
		return // the one before us has asked
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	version, models, err := c.ask(ctx, ask)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err == nil:
		c.version, c.models, c.complete, c.fault = version, models, true, nil
		c.until = c.now().Add(fresh)
		c.forget()
	case errors.Is(ctx.Err(), context.Canceled):
		// the client left; that tells nothing of the upstream
	default:
		c.fault = err
		c.until = c.now().Add(backoff)
	}
}

// ask asks for the version and the installed models.
func (c *Catalog) ask(ctx context.Context, ask Ask) (version string, models []ollama.Tag, err error) {
	if c.Engine {
		models, err = engineModels(ctx, ask)
		return "", models, err
	}
	var v ollama.Version
	var tags ollama.Tags
	err = errors.Join(
		get(ctx, ask, "/api/version", &v),
		get(ctx, ask, "/api/tags", &tags),
	)
	return v.Version, tags.Models, err
}

func (c *Catalog) due() (due, complete bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.now().Before(c.until), c.complete
}

// show asks what one model can do.
func (c *Catalog) show(ctx context.Context, ask Ask, tag ollama.Tag) (able abilities, known bool) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	body, err := json.Marshal(ollama.ShowRequest{Model: tag.Name})
	if err != nil {
		return able, false
	}
	var show ollama.Show
	answer, err := ask(ctx, http.MethodPost, "/api/show", body)
	if err == nil {
		err = json.Unmarshal(answer, &show, tolerant)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.abilities == nil {
		c.abilities, c.silent = make(map[string]abilities), make(map[string]time.Time)
	}
	if err != nil {
		if !errors.Is(ctx.Err(), context.Canceled) { // else it was the client that left
			c.silent[tag.Digest] = c.now().Add(fresh)
		}
		return able, false
	}
	able = abilities{show.Capabilities, show.ContextLength()}
	c.abilities[tag.Digest] = able
	return able, true
}

// LoadedContext is the context of a model that is loaded, in tokens; 0 if it is not, or
// before Ollama 0.10.0. It is asked each time, because nobody tells when it changes.
func (c *Catalog) LoadedContext(ctx context.Context, ask Ask, name string) int {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var loaded ollama.Tags
	if get(ctx, ask, "/api/ps", &loaded) != nil {
		return 0
	}
	name = policy.Canonical(name)
	for _, tag := range loaded.Models {
		if policy.Canonical(tag.Name) == name {
			return tag.ContextLength
		}
	}
	return 0
}

// forget drops what is known of models that are gone.
func (c *Catalog) forget() {
	for digest := range c.abilities {
		if !slices.ContainsFunc(c.models, func(t ollama.Tag) bool { return t.Digest == digest }) {
			delete(c.abilities, digest)
		}
	}
	for digest, until := range c.silent {
		if !c.now().Before(until) {
			delete(c.silent, digest)
		}
	}
}

func (c *Catalog) now() time.Time {
	if c.Now != nil {
		return c.Now()
	}
	return time.Now()
}

func get(ctx context.Context, ask Ask, path string, into any) error {
	answer, err := ask(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	return json.Unmarshal(answer, into, tolerant)
}

var tolerant = json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
