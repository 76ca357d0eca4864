// Package ollamatest is a scripted Ollama: an HTTP server with Ollama's native
// API whose models say what they are told to. Tests, the demo of `caddy
// ollama-gateway` and benchmarks use it where a real Ollama would need a real
// model.
package ollamatest

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
)

// Version that the scripted Ollama says it is.
const Version = "0.17.4"

// Model is a scripted model. Its name is matched as it is.
type Model struct {
	Name string
	// Answer says what the model answers to a request.
	Answer func(ollama.ChatRequest) Answer
	// Capabilities and ContextLength are what /api/show tells. Default:
	// completion, and nothing.
	Capabilities  []string
	ContextLength int
	// RemoteHost is set on a model that runs elsewhere.
	RemoteHost string

	// Load and LoadTime make the model one that has to be loaded, which takes a receive
	// from Load, if it is not nil, and then LoadTime. Others are always loaded.
	Load     <-chan struct{}
	LoadTime time.Duration
}

// Says is a model that answers every request with these pieces, one token each.
func Says(name string, pieces ...string) Model {
	return Model{Name: name, Answer: func(ollama.ChatRequest) Answer {
		return Answer{Content: pieces}
	}}
}

// Answer is what a model answers. Each piece becomes one line of a stream and
// counts as one token.
type Answer struct {
	Thinking  []string
	Content   []string
	ToolCalls []ollama.ToolCall // in one line, after the content
	// DoneReason of the last line. Default: stop.
	DoneReason string
	// PromptTokens is the prompt_eval_count of the last line.
	PromptTokens int

	// Pace is waited for before each line, if it is not nil.
	Pace <-chan struct{}
	// Interval is waited before each line.
	Interval time.Duration

	// Status and Error make the answer an error answer instead.
	Status int
	Error  string
	// Raw replaces the lines of a stream, and the body of an answer that is none.
	Raw []string

	// Fault happens after FaultAt lines, for which it waits its turn like a line.
	Fault   Fault
	FaultAt int
	// Cut is the Fault Cut, AfterDone.
	Cut bool
}

// Handler is a scripted Ollama without a listener.
type Handler struct {
	models []Model
	mux    *http.ServeMux

	runners map[string]*runner // by the model's name
	busy    atomic.Bool

	keep     bool
	mu       sync.Mutex
	requests []*Request
	loads    []*Load
	news     *sync.Cond // of requests and loads
}

// NewHandler returns a scripted Ollama with these models.
func NewHandler(models ...Model) *Handler {
	h := &Handler{models: models, mux: http.NewServeMux(), runners: newRunners(models)}
	h.news = sync.NewCond(&h.mu)
	h.mux.HandleFunc("GET /{$}", h.serveRoot)
	h.mux.HandleFunc("GET /api/version", h.serveVersion)
	h.mux.HandleFunc("GET /api/tags", h.serveTags)
	h.mux.HandleFunc("GET /api/ps", h.servePS)
	h.mux.HandleFunc("POST /api/show", h.serveShow)
	h.mux.HandleFunc("POST /api/chat", h.serveChat)
	h.mux.HandleFunc("POST /api/generate", h.serveGenerate)
	h.mux.HandleFunc("POST /api/embed", h.serveEmbed)
	return h
}

// Server is a scripted Ollama on a loopback port. It keeps the requests it gets, and
// the loads that they cause.
type Server struct {
	*Handler
	URL string

	http *httptest.Server
}

// NewServer starts a scripted Ollama with these models. Close it.
func NewServer(models ...Model) *Server {
	h := NewHandler(models...)
	h.keep = true
	s := httptest.NewServer(h)
	return &Server{Handler: h, URL: s.URL, http: s}
}

// Address is the server's host and port.
func (s *Server) Address() string { return s.http.Listener.Addr().String() }

// Close cuts all connections and stops the server.
func (s *Server) Close() {
	s.http.CloseClientConnections()
	s.http.Close()
}

// Request is a request for an answer that the server got. One to /api/generate has
// its prompt as a user's message. One without messages, or prompt, asks for no
// answer, but to load the model.
type Request struct {
	ollama.ChatRequest
	Header http.Header

	ended     chan struct{}
	endedAt   time.Time
	cancelled bool
}

// Ended is closed when the request has been answered or given up.
func (r *Request) Ended() <-chan struct{} { return r.ended }

// EndedAt is, after Ended, when that was.
func (r *Request) EndedAt() time.Time { return r.endedAt }

// Cancelled reports, after Ended, whether the caller left before the answer was complete.
func (r *Request) Cancelled() bool { return r.cancelled }

// Requests returns the requests for answers so far, in the order of their arrival.
func (h *Handler) Requests() []*Request {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]*Request(nil), h.requests...)
}

// WaitFor waits until n requests for answers have come, and returns the nth.
func (h *Handler) WaitFor(n int) *Request {
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(h.requests) < n {
		h.news.Wait()
	}
	return h.requests[n-1]
}

func (h *Handler) add(r *Request) {
	if !h.keep {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.requests = append(h.requests, r)
	h.news.Broadcast()
}
