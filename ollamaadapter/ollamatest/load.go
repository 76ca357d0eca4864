package ollamatest

import (
	"context"
	"maps"
	"net/http"
	"reflect"
	"slices"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
)

// Load is a load of a model that has Model.Load or Model.LoadTime. The request
// that began it has to wait for it, and aborts it by leaving; the next in the queue
// then begins a load of its own.
type Load struct {
	Model string
	// Options are those that count for a load, such as num_ctx. A request with others
	// than the model was loaded with makes it load again.
	Options map[string]any

	ended   chan struct{}
	aborted bool
}

// Ended is closed when the model has been loaded, or the load aborted.
func (l *Load) Ended() <-chan struct{} { return l.ended }

// Aborted reports, after Ended, whether the load's request left before it was complete.
func (l *Load) Aborted() bool { return l.aborted }

// Loads returns the loads so far, in the order in which they began.
func (h *Handler) Loads() []*Load {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.loads)
}

// WaitForLoad waits until n loads have begun, and returns the nth.
func (h *Handler) WaitForLoad(n int) *Load {
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(h.loads) < n {
		h.news.Wait()
	}
	return h.loads[n-1]
}

func (h *Handler) addLoad(l *Load) {
	if !h.keep {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.loads = append(h.loads, l)
	h.news.Broadcast()
}

// runner is what a model that has to be loaded is loaded into.
type runner struct {
	turn    chan struct{}  // held by the request that loads, or looks whether it has to
	options map[string]any // that it is loaded with; nil if it is not
}

// newRunners has a runner for each model that has to be loaded.
func newRunners(models []Model) map[string]*runner {
	runners := make(map[string]*runner)
	for _, m := range models {
		if m.Load != nil || m.LoadTime > 0 {
			runners[m.Name] = &runner{turn: make(chan struct{}, 1)}
		}
	}
	return runners
}

// load sees to it that the model is loaded with these options. It reports whether
// the caller has stayed for that.
func (h *Handler) load(ctx context.Context, m *Model, options map[string]any) bool {
	runner := h.runners[m.Name]
	if runner == nil {
		return true
	}
	select {
	case runner.turn <- struct{}{}:
		defer func() { <-runner.turn }()
	case <-ctx.Done():
	}
	if ctx.Err() != nil {
		return false
	}
	wanted := loadOptions(options)
	if suits(h.loadedWith(runner), wanted) {
		return true
	}
	h.setLoaded(runner, nil)
	load := &Load{Model: m.Name, Options: maps.Clone(wanted), ended: make(chan struct{})}
	defer close(load.ended)
	h.addLoad(load)
	if !pause(ctx, m.Load, m.LoadTime) {
		load.aborted = true
		return false
	}
	h.setLoaded(runner, wanted)
	return true
}

func (h *Handler) loadedWith(r *runner) map[string]any {
	h.mu.Lock()
	defer h.mu.Unlock()
	return r.options
}

func (h *Handler) setLoaded(r *runner, options map[string]any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r.options = options
}

func (h *Handler) unload(m *Model) {
	if runner := h.runners[m.Name]; runner != nil {
		h.setLoaded(runner, nil)
	}
}

// unloads reports whether a request with this keep_alive leaves the model unloaded.
func unloads(keepAlive *float64) bool { return keepAlive != nil && *keepAlive == 0 }

// loadOptions are those of the options that a model is loaded with.
func loadOptions(options map[string]any) map[string]any {
	out := make(map[string]any)
	for _, name := range []string{"num_ctx", "num_batch", "num_gpu", "main_gpu", "use_mmap", "num_thread"} {
		if value, ok := options[name]; ok {
			out[name] = value
		}
	}
	return out
}

// suits reports whether a runner loaded with these options serves a request that
// wants those (needsReload in Ollama's server/sched.go). An option that is left
// out stands for a default, which the scripted Ollama does not know to be equal to
// any value; but one that leaves num_gpu to Ollama takes what there is.
func suits(loaded, wanted map[string]any) bool {
	if loaded == nil {
		return false
	}
	if n, ok := wanted["num_gpu"].(float64); !ok || n < 0 {
		loaded, wanted = maps.Clone(loaded), maps.Clone(wanted)
		delete(loaded, "num_gpu")
		delete(wanted, "num_gpu")
	}
	return reflect.DeepEqual(loaded, wanted)
}

// serveLoad answers a request without a prompt: it loads the model, or unloads it.
func (h *Handler) serveLoad(w http.ResponseWriter, r *http.Request, chat ollama.ChatRequest, shape shapeFunc) {
	m := h.model(chat.Model)
	if m == nil {
		modelNotFound(w, chat.Model)
		return
	}
	reason := "load"
	if unloads(chat.KeepAlive) {
		reason = "unload"
		h.unload(m)
	} else if !h.ready(w, r, m, chat.Options) {
		return
	}
	writeJSON(w, http.StatusOK, shape(ollama.ChatResponse{
		Model: chat.Model, Message: ollama.Message{Role: "assistant"}, Done: true, DoneReason: reason,
	}))
}

// servePS lists the models that are loaded, of those that have to be.
func (h *Handler) servePS(w http.ResponseWriter, _ *http.Request) {
	loaded := ollama.Tags{Models: []ollama.Tag{}}
	for _, m := range h.models {
		if runner := h.runners[m.Name]; runner != nil && h.loadedWith(runner) != nil {
			loaded.Models = append(loaded.Models, m.tag())
		}
	}
	writeJSON(w, http.StatusOK, loaded)
}
