package enginetest

import (
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// errorBody is an error in the server's own shape.
func (s *Server) errorBody(status int, text string) any {
	type object = map[string]any
	switch s.kind {
	case TGI:
		return object{"error": text, "error_type": "validation"}
	case LlamaCpp:
		return object{"error": object{"code": status, "message": text, "type": "invalid_request_error"}}
	default:
		return object{"error": object{"message": text, "type": http.StatusText(status), "param": nil, "code": status}}
	}
}

func (s *Server) fail(w http.ResponseWriter, status int, text string) {
	writeJSON(w, status, s.errorBody(status, text))
}

// streamError is an error within a stream.
func (s *Server) streamError(status int, text string) any {
	if s.kind == TGI {
		return map[string]any{"error": map[string]any{"message": text, "http_status_code": status}}
	}
	return s.errorBody(status, text)
}

// serveAnswer serves chats and texts. Only streams are served: the adapter asks for
// nothing else.
func (s *Server) serveAnswer(w http.ResponseWriter, r *http.Request) {
	req, model := s.take(w, r)
	if req == nil {
		return
	}
	answer := model.Answer(*req)
	switch {
	case answer.Status != 0 && answer.ErrorAfter == 0:
		s.fail(w, answer.Status, answer.Error)
		return
	case !req.Stream:
		s.fail(w, http.StatusNotImplemented, "this server is for streams")
		return
	}
	chunks := s.chunks(answer, req)
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	for i, chunk := range chunks {
		if answer.Pace != nil {
			select {
			case <-answer.Pace:
			case <-r.Context().Done():
				s.leave()
				return
			}
		}
		if answer.ErrorAfter > 0 && i == answer.ErrorAfter {
			send(w, answer.Interjected+event(s.streamError(answer.Status, answer.Error)))
			send(w, "data: [DONE]\n\n") // as vLLM does
			return
		}
		if !send(w, answer.Interjected+event(chunk)) {
			s.leave()
			return
		}
	}
	if answer.Cut {
		panic(http.ErrAbortHandler)
	}
	if !answer.Undone {
		send(w, "data: [DONE]\n\n")
	}
}

func (s *Server) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left++
	s.news.Broadcast()
}

func send(w http.ResponseWriter, text string) bool {
	if _, err := w.Write([]byte(text)); err != nil {
		return false
	}
	return http.NewResponseController(w).Flush() == nil
}

func event(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // plain values always marshal
	}
	return "data: " + string(data) + "\n\n"
}

type chunk struct {
	ID      string         `json:"id"`
	Object  string         `json:"object"`
	Created int64          `json:"created"`
	Model   string         `json:"model"`
	Choices []choice       `json:"choices"`
	Usage   map[string]any `json:"usage,omitempty"`

	Fingerprint any `json:"system_fingerprint,omitempty"`
}

type choice struct {
	Index        int            `json:"index"`
	Delta        map[string]any `json:"delta,omitempty"`
	Text         *string        `json:"text,omitempty"`
	FinishReason *string        `json:"finish_reason"`
}

// chunks are the events of an answer.
func (s *Server) chunks(a Answer, req *Request) (out []chunk) {
	text := strings.HasSuffix(req.Path, "/v1/completions")
	add := func(c choice) {
		out = append(out, chunk{ID: "engine-1", Object: "chat.completion.chunk", Created: 1, Model: req.Model, Choices: []choice{c}, Fingerprint: a.Fingerprint})
	}
	say := func(field, piece string) {
		if text {
			add(choice{Text: &piece})
			return
		}
		add(choice{Delta: map[string]any{field: piece}})
	}
	if !text && s.kind != TGI {
		add(choice{Delta: map[string]any{"role": "assistant", "content": ""}})
	}
	reasoning := "reasoning_content"
	if s.kind == VLLM {
		reasoning = "reasoning" // of late
	}
	for _, piece := range a.Reasoning {
		say(reasoning, piece)
	}
	for _, piece := range a.Content {
		say("content", piece)
	}
	for _, fragment := range a.ToolCalls {
		add(choice{Delta: map[string]any{"tool_calls": jsontext.Value(fragment)}})
	}
	if !a.Unfinished {
		reason := a.FinishReason
		if reason == "" {
			reason = "stop"
		}
		add(choice{FinishReason: &reason, Delta: map[string]any{}})
	}
	if req.StreamOptions.IncludeUsage && !a.NoUsage {
		written := len(a.Reasoning) + len(a.Content) + len(a.ToolCalls)
		out = append(out, chunk{ID: "engine-1", Object: "chat.completion.chunk", Created: 1, Model: req.Model, Choices: []choice{}, Usage: map[string]any{
			"prompt_tokens": a.PromptTokens, "completion_tokens": written, "total_tokens": a.PromptTokens + written,
		}})
	}
	return out
}
