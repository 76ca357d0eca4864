// Package catalog knows what the upstream is able to do: its version, the models
// it has and what each of them can. It asks when it must and remembers.
package catalog

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
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

// Server is what is known of the upstream itself.
type Server struct {
	Version  string // empty if it has not told
	Features ollama.Features
}

// Model is what is known of one model.
type Model struct {
	ollama.Tag
	// Fingerprint changes when the model or the upstream changes, as OpenAI's does; empty
	// if there is nothing to tell that by.
	Fingerprint string
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
	server    Server
	models    []ollama.Tag
	installed map[string]installed // by canonical name
	abilities map[string]abilities // by digest, so that nothing is asked twice
	silent    map[string]time.Time // digests of which nothing was told, and until when not to ask
	complete  bool                 // all of it was told at least once
	fault     error                // of the last question
	until     time.Time            // do not ask before
}

// installed is a model that the upstream has.
type installed struct {
	ollama.Tag
	fingerprint string
}

// abilities are what /api/show tells of a model, as far as it is of use.
type abilities struct {
	capabilities  []string
	contextLength int
}

// Server is what the upstream has told of itself.
func (c *Catalog) Server(ctx context.Context, ask Ask) Server {
	c.refresh(ctx, ask)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.complete {
		return Server{Features: ollama.Newest}
	}
	return c.server
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
	found, ok := c.installed[name]
	if !ok {
		c.mu.Unlock()
		return Model{}
	}
	able, known := c.abilities[found.Digest]
	due := !c.Engine && !known && !c.now().Before(c.silent[found.Digest])
	c.mu.Unlock()
	if due {
		able, known = c.show(ctx, ask, found.Tag)
	}
	m := Model{Tag: found.Tag, Fingerprint: found.fingerprint, Known: known, Capabilities: able.capabilities, ContextLength: able.contextLength}
	if c.Engine {
		m.Capabilities, m.ContextLength = found.Tag.Capabilities, found.ContextLength
	}
	return m
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
		c.take(version, models)
		c.until = c.now().Add(fresh)
	case errors.Is(ctx.Err(), context.Canceled):
		// the client left; that tells nothing of the upstream
	default:
		c.fault = err
		c.until = c.now().Add(backoff)
	}
}

// take takes in what the upstream has told.
func (c *Catalog) take(version string, models []ollama.Tag) {
	if version != c.server.Version {
		clear(c.abilities) // another Ollama may know its models better
	}
	c.server = Server{Version: version, Features: ollama.FeaturesOf(version)}
	c.models, c.complete, c.fault = models, true, nil
	c.installed = make(map[string]installed, len(models))
	for _, tag := range models {
		name := policy.Canonical(tag.Name)
		if _, twice := c.installed[name]; !twice {
			c.installed[name] = installed{tag, fingerprint(tag.Digest, version)}
		}
	}
	c.forget()
}

func fingerprint(digest, version string) string {
	if digest == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(digest + " " + version))
	return "fp_" + hex.EncodeToString(sum[:5])
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
