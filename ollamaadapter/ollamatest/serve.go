package ollamatest

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
)

// ServeHTTP answers as Ollama does, its refusals of foreign hosts and origins included.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !localHost(r.Host) || r.Header.Get("Origin") != "" {
		w.WriteHeader(http.StatusForbidden) // with no body (ollama#3269)
		return
	}
	h.mux.ServeHTTP(w, r)
}

func localHost(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = hostport
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && (ip.IsLoopback() || ip.IsPrivate() || ip.IsUnspecified())
}

func (h *Handler) serveRoot(w http.ResponseWriter, _ *http.Request) {
	_, _ = io.WriteString(w, "Ollama is running")
}

func (h *Handler) serveVersion(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{"version": Version})
}

func (h *Handler) serveTags(w http.ResponseWriter, _ *http.Request) {
	tags := ollama.Tags{Models: []ollama.Tag{}}
	for _, m := range h.models {
		tags.Models = append(tags.Models, m.tag())
	}
	writeJSON(w, http.StatusOK, tags)
}

func (m *Model) tag() ollama.Tag {
	return ollama.Tag{
		Name: m.Name, Model: m.Name, ModifiedAt: time.Unix(1_700_000_000, 0).UTC(),
		Digest: fmt.Sprintf("%x", sha256.Sum256([]byte(m.Name))), RemoteHost: m.RemoteHost,
	}
}

// model finds a model by the name that a request has; nil if there is none.
func (h *Handler) model(name string) *Model {
	for i := range h.models {
		if m := &h.models[i]; m.Name == name || m.Name == name+":latest" {
			return m
		}
	}
	return nil
}

func modelNotFound(w http.ResponseWriter, name string) {
	writeJSON(w, http.StatusNotFound, errorBody{fmt.Sprintf("model '%s' not found", name)})
}

func (h *Handler) serveShow(w http.ResponseWriter, r *http.Request) {
	var req ollama.ShowRequest
	if err := json.UnmarshalRead(r.Body, &req); err != nil {
		writeJSON(w, http.StatusBadRequest, errorBody{err.Error()})
		return
	}
	m := h.model(req.Model)
	if m == nil {
		modelNotFound(w, req.Model)
		return
	}
	show := ollama.Show{Capabilities: m.Capabilities, ModelInfo: map[string]jsontext.Value{
		"general.architecture": jsontext.Value(`"scripted"`),
	}}
	if show.Capabilities == nil {
		show.Capabilities = []string{"completion"}
	}
	if m.ContextLength > 0 {
		show.ModelInfo["scripted.context_length"] = jsontext.Value(strconv.Itoa(m.ContextLength))
	}
	writeJSON(w, http.StatusOK, show)
}

// serveEmbed answers with the vector (length, 1) for each text, and counts its words.
// No text at all asks to load the model.
func (h *Handler) serveEmbed(w http.ResponseWriter, r *http.Request) {
	var req struct {
		Model     string         `json:"model"`
		Input     jsontext.Value `json:"input"`
		Options   map[string]any `json:"options"`
		KeepAlive *float64       `json:"keep_alive"`
	}
	if err := json.UnmarshalRead(r.Body, &req); err != nil {
		writeJSON(w, http.StatusBadRequest, errorBody{err.Error()})
		return
	}
	texts, ok := embedTexts(req.Input)
	if !ok {
		writeJSON(w, http.StatusBadRequest, errorBody{"invalid input type"})
		return
	}
	m := h.model(req.Model)
	if m == nil {
		modelNotFound(w, req.Model)
		return
	}
	if !h.ready(w, r, m, req.Options) {
		return
	}
	if unloads(req.KeepAlive) {
		defer h.unload(m)
	}
	resp := ollama.EmbedResponse{Model: req.Model, Embeddings: [][]float32{}}
	for _, text := range texts {
		resp.Embeddings = append(resp.Embeddings, []float32{float32(len(text)), 1})
		resp.PromptEvalCount += len(strings.Fields(text))
	}
	writeJSON(w, http.StatusOK, resp)
}

// embedTexts reads the input of /api/embed: texts, or one that is not empty.
func embedTexts(input jsontext.Value) (texts []string, ok bool) {
	var text string
	if len(input) == 0 || json.Unmarshal(input, &texts) == nil {
		return texts, true
	}
	if json.Unmarshal(input, &text) != nil {
		return nil, false
	}
	if text == "" {
		return nil, true
	}
	return []string{text}, true
}

func (h *Handler) serveChat(w http.ResponseWriter, r *http.Request) {
	req := ollama.ChatRequest{Stream: true} // Ollama's default
	if err := json.UnmarshalRead(r.Body, &req); err != nil {
		writeJSON(w, http.StatusBadRequest, errorBody{err.Error()})
		return
	}
	h.answer(w, r, req, func(resp ollama.ChatResponse) ollama.ChatResponse { return resp })
}

func (h *Handler) serveGenerate(w http.ResponseWriter, r *http.Request) {
	req := ollama.GenerateRequest{Stream: true}
	if err := json.UnmarshalRead(r.Body, &req); err != nil {
		writeJSON(w, http.StatusBadRequest, errorBody{err.Error()})
		return
	}
	chat := ollama.ChatRequest{
		Model: req.Model, Stream: req.Stream, Options: req.Options, Think: req.Think, Truncate: req.Truncate, KeepAlive: req.KeepAlive,
	}
	if req.Prompt != "" {
		chat.Messages = []ollama.Message{{Role: "user", Content: req.Prompt}}
	}
	h.answer(w, r, chat, func(resp ollama.ChatResponse) ollama.ChatResponse {
		resp.Response, resp.Thinking, resp.Message = resp.Message.Content, resp.Message.Thinking, ollama.Message{}
		return resp
	})
}

// shapeFunc makes of a chat's response what the endpoint sends.
type shapeFunc func(ollama.ChatResponse) ollama.ChatResponse

// answer lets the model answer, once it is loaded.
func (h *Handler) answer(w http.ResponseWriter, r *http.Request, chat ollama.ChatRequest, shape shapeFunc) {
	if len(chat.Messages) == 0 {
		h.serveLoad(w, r, chat, shape)
		return
	}
	req := &Request{ChatRequest: chat, Header: r.Header.Clone(), ended: make(chan struct{})}
	h.add(req)
	complete := false
	defer func() {
		req.cancelled, req.endedAt = !complete, time.Now()
		close(req.ended)
	}()
	m := h.model(req.Model)
	if m == nil {
		complete = true
		modelNotFound(w, req.Model)
		return
	}
	if !h.ready(w, r, m, chat.Options) {
		complete = r.Context().Err() == nil
		return
	}
	if unloads(chat.KeepAlive) {
		defer h.unload(m)
	}
	complete = m.Answer(chat).write(r.Context(), w, chat.Stream, func(resp ollama.ChatResponse) string {
		resp.Model, resp.Message.Role = chat.Model, "assistant"
		return asLine(shape(resp))
	})
}

type errorBody struct {
	Error string `json:"error"`
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // our own structs
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(data)
}
