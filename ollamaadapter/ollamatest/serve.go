package ollamatest

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

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
		tags.Models = append(tags.Models, ollama.Tag{
			Name: m.Name, Model: m.Name, ModifiedAt: time.Unix(1_700_000_000, 0).UTC(), Digest: strings.Repeat("0", 64),
		})
	}
	writeJSON(w, http.StatusOK, tags)
}

func (h *Handler) servePS(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, ollama.Tags{Models: []ollama.Tag{}})
}

func (h *Handler) serveChat(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	req := &Request{Header: r.Header.Clone(), ended: make(chan struct{})}
	if err := json.Unmarshal(body, &req.ChatRequest); err != nil {
		writeJSON(w, http.StatusBadRequest, errorBody{err.Error()})
		return
	}
	h.add(req)
	complete := false
	defer func() {
		req.cancelled = !complete
		close(req.ended)
	}()
	for _, m := range h.models {
		if m.Name == req.Model || m.Name == req.Model+":latest" {
			complete = m.Answer(req.ChatRequest).write(r.Context(), w, req.ChatRequest)
			return
		}
	}
	complete = true
	writeJSON(w, http.StatusNotFound, errorBody{fmt.Sprintf("model '%s' not found", req.Model)})
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

// write sends the answer and reports whether the caller stayed for all of it.
func (a Answer) write(ctx context.Context, w http.ResponseWriter, req ollama.ChatRequest) bool {
	if a.Status != 0 {
		writeJSON(w, a.Status, errorBody{a.Error})
		return true
	}
	pieces := a.Raw
	if pieces == nil {
		pieces = a.lines(req)
	}
	contentType := "application/x-ndjson"
	if !req.Stream {
		contentType = "application/json; charset=utf-8"
	}
	w.Header().Set("Content-Type", contentType)
	flush := http.NewResponseController(w)
	for _, piece := range pieces {
		if !a.wait(ctx) {
			return false
		}
		if _, err := io.WriteString(w, piece); err != nil {
			return false
		}
		if flush.Flush() != nil {
			return false
		}
	}
	if a.Cut {
		panic(http.ErrAbortHandler)
	}
	return true
}

// wait waits until the next line is due, or the caller has left.
func (a Answer) wait(ctx context.Context) bool {
	if a.Pace != nil {
		select {
		case <-a.Pace:
		case <-ctx.Done():
			return false
		}
	}
	if a.Interval > 0 {
		timer := time.NewTimer(a.Interval)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return false
		}
	}
	return ctx.Err() == nil
}

// lines are the JSON lines of the answer, or the one object of a whole one.
func (a Answer) lines(req ollama.ChatRequest) []string {
	reason := a.DoneReason
	if reason == "" {
		reason = "stop"
	}
	final := ollama.ChatResponse{
		Model: req.Model, Done: true, DoneReason: reason,
		Message:         ollama.Message{Role: "assistant"},
		PromptEvalCount: a.PromptTokens,
		EvalCount:       len(a.Thinking) + len(a.Content) + len(a.ToolCalls),
	}
	if !req.Stream {
		final.Message.Thinking = strings.Join(a.Thinking, "")
		final.Message.Content = strings.Join(a.Content, "")
		final.Message.ToolCalls = a.ToolCalls
		return []string{line(final)}
	}
	var out []string
	say := func(m ollama.Message) {
		m.Role = "assistant"
		out = append(out, line(ollama.ChatResponse{Model: req.Model, Message: m}))
	}
	for _, piece := range a.Thinking {
		say(ollama.Message{Thinking: piece})
	}
	for _, piece := range a.Content {
		say(ollama.Message{Content: piece})
	}
	if len(a.ToolCalls) > 0 {
		say(ollama.Message{ToolCalls: a.ToolCalls})
	}
	return append(out, line(final))
}

func line(resp ollama.ChatResponse) string {
	data, err := json.Marshal(resp)
	if err != nil {
		panic(err) // our own structs
	}
	return string(data) + "\n"
}
