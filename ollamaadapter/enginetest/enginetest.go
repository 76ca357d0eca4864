// Package enginetest is a scripted model server of OpenAI's dialect, in the ways of vLLM,
// TGI or llama.cpp: what ollamatest is for Ollama.
package enginetest

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Kind is whose ways a server has.
type Kind string

// The kinds of servers. They differ in the shapes of their errors, in the first words of
// their streams and in what they tell of their models.
const (
	VLLM     Kind = "vLLM"
	TGI      Kind = "TGI"
	LlamaCpp Kind = "llama.cpp"
)

// Model is a scripted model.
type Model struct {
	Name   string
	Answer func(Request) Answer
	// ContextLength is told in the list of models, except by TGI.
	ContextLength int
	// Told is what else the list of models tells of it.
	Told map[string]any
}

// Says is a model that answers every request with these pieces, one token each.
func Says(name string, pieces ...string) Model {
	return Model{Name: name, Answer: func(Request) Answer { return Answer{Content: pieces, PromptTokens: 7} }}
}

// Request is a request for an answer that the server got.
type Request struct {
	Path   string
	Header http.Header
	Body   jsontext.Value
	Fields
}

// Fields is the body of a request, as far as the server reads it.
type Fields struct {
	Model         string         `json:"model"`
	Messages      jsontext.Value `json:"messages"`
	Prompt        string         `json:"prompt"`
	Input         []string       `json:"input"`
	Stream        bool           `json:"stream"`
	MaxTokens     int            `json:"max_tokens"`
	StreamOptions struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
}

// Answer is what a model answers. Each piece becomes one chunk of a stream, and counts
// as one token.
type Answer struct {
	Reasoning []string
	Content   []string
	// ToolCalls are sent in fragments, after the content: each a chunk's tool_calls.
	ToolCalls []string
	// FinishReason is `stop` if it is empty. Unfinished leaves it out, Undone the [DONE].
	FinishReason string
	Unfinished   bool
	Undone       bool
	// PromptTokens is how many the usage tells, if it is asked for. NoUsage tells none
	// even then.
	PromptTokens int
	NoUsage      bool
	// Fingerprint is each chunk's system_fingerprint, if it is not nil.
	Fingerprint any

	// Status and Error make the answer an error instead, in the server's own shape.
	Status int
	Error  string
	// ErrorAfter makes the error come within the stream, after so many chunks.
	ErrorAfter int

	// Before each chunk there is a receive from Pace, if it is not nil.
	Pace <-chan struct{}
	// Interjected is sent as it is before each chunk.
	Interjected string
	// Cut breaks the connection off after the last piece.
	Cut bool
}

// Server is a scripted engine on a loopback port. It keeps the requests that it gets.
type Server struct {
	URL  string
	http *httptest.Server

	kind   Kind
	models []Model

	mu       sync.Mutex
	requests []Request
	left     int
	news     *sync.Cond
}

// NewServer starts a server. Close it.
func NewServer(kind Kind, models ...Model) *Server {
	s := &Server{kind: kind, models: models}
	s.news = sync.NewCond(&s.mu)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/models", s.serveModels)
	mux.HandleFunc("POST /v1/chat/completions", s.serveAnswer)
	mux.HandleFunc("POST /v1/completions", s.serveAnswer)
	mux.HandleFunc("POST /v1/embeddings", s.serveEmbeddings)
	s.http = httptest.NewServer(mux)
	s.URL = s.http.URL
	return s
}

// Address is the server's host and port.
func (s *Server) Address() string { return s.http.Listener.Addr().String() }

// Close cuts all connections and stops the server.
func (s *Server) Close() {
	s.http.CloseClientConnections()
	s.http.Close()
}

// Requests are the requests for answers so far, in the order of their arrival.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Request(nil), s.requests...)
}

// AwaitLeft waits until so many callers have left before their answers were complete.
func (s *Server) AwaitLeft(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.left < n {
		s.news.Wait()
	}
}

// take reads a request; nil if it cannot be answered, of which the caller is told.
func (s *Server) take(w http.ResponseWriter, r *http.Request) (*Request, *Model) {
	req := &Request{Path: r.URL.Path, Header: r.Header.Clone()}
	body, err := jsontext.NewDecoder(r.Body).ReadValue()
	if err == nil {
		req.Body = body.Clone()
		err = json.Unmarshal(body, &req.Fields)
	}
	if err != nil {
		s.fail(w, http.StatusBadRequest, err.Error())
		return nil, nil
	}
	s.mu.Lock()
	s.requests = append(s.requests, *req)
	s.mu.Unlock()
	for i := range s.models {
		if s.models[i].Name == req.Model {
			return req, &s.models[i]
		}
	}
	s.fail(w, http.StatusNotFound, "The model `"+req.Model+"` does not exist.")
	return nil, nil
}

func (s *Server) serveModels(w http.ResponseWriter, _ *http.Request) {
	type entry = map[string]any
	list := []entry{}
	for _, m := range s.models {
		e := entry{"id": m.Name, "object": "model", "created": 1700000000}
		switch s.kind {
		case VLLM:
			e["max_model_len"] = m.ContextLength
		case LlamaCpp:
			e["meta"] = entry{"n_ctx_train": m.ContextLength}
		}
		maps.Copy(e, m.Told)
		list = append(list, e)
	}
	writeJSON(w, http.StatusOK, entry{"object": "list", "data": list})
}

// serveEmbeddings answers with the vector (length, 1) for each text, the last first, and
// counts bytes.
func (s *Server) serveEmbeddings(w http.ResponseWriter, r *http.Request) {
	req, model := s.take(w, r)
	if req == nil {
		return
	}
	data, tokens := []map[string]any{}, 0
	for i := len(req.Input) - 1; i >= 0; i-- {
		tokens += len(req.Input[i])
		data = append(data, map[string]any{"object": "embedding", "index": i, "embedding": []int{len(req.Input[i]), 1}})
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"object": "list", "model": model.Name, "data": data,
		"usage": map[string]any{"prompt_tokens": tokens, "total_tokens": tokens},
	})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // plain values always marshal
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(data) // the caller may have left
}
