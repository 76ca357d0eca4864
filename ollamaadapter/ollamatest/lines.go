package ollamatest

import (
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
)

// sayFunc makes a line of a response, in the form of the endpoint that was asked.
type sayFunc func(ollama.ChatResponse) string

func asLine(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // our own structs
	}
	return string(data) + "\n"
}

func content(text string) ollama.ChatResponse {
	return ollama.ChatResponse{Message: ollama.Message{Content: text}}
}

// lines are the lines of a stream.
func (a Answer) lines(say sayFunc) []string {
	var out []string
	for _, piece := range a.Thinking {
		out = append(out, say(ollama.ChatResponse{Message: ollama.Message{Thinking: piece}}))
	}
	for _, piece := range a.Content {
		out = append(out, say(content(piece)))
	}
	if len(a.ToolCalls) > 0 {
		out = append(out, say(ollama.ChatResponse{Message: ollama.Message{ToolCalls: a.ToolCalls}}))
	}
	return append(out, say(a.done()))
}

// done is the last line of a stream.
func (a Answer) done() ollama.ChatResponse {
	reason := a.DoneReason
	if reason == "" {
		reason = "stop"
	}
	return ollama.ChatResponse{
		Done: true, DoneReason: reason,
		PromptEvalCount: a.PromptTokens,
		EvalCount:       len(a.Thinking) + len(a.Content) + len(a.ToolCalls),
	}
}

// object is the answer as a whole, with more content added.
func (a Answer) object(say sayFunc, more string) string {
	resp := a.done()
	resp.Message = a.message(more)
	return say(resp)
}

// unfinished is what there is of the answer, as an object that says it is not done.
func (a Answer) unfinished(say sayFunc) string {
	return say(ollama.ChatResponse{Message: a.message("")})
}

func (a Answer) message(more string) ollama.Message {
	return ollama.Message{
		Thinking:  strings.Join(a.Thinking, ""),
		Content:   strings.Join(a.Content, "") + more,
		ToolCalls: a.ToolCalls,
	}
}

// first is the answer as far as its first n lines tell it.
func (a Answer) first(n int) Answer {
	take := func(pieces []string) []string {
		k := min(n, len(pieces))
		n -= k
		return pieces[:k]
	}
	a.Thinking = take(a.Thinking)
	a.Content = take(a.Content)
	if n == 0 {
		a.ToolCalls = nil
	}
	return a
}

// parts cuts an object into n pieces if there is a fault to be put between them.
func (a Answer) parts(object string, n int) []string {
	if a.Fault == "" {
		return []string{object}
	}
	parts := make([]string, n)
	for i := range parts {
		parts[i] = object[len(object)*i/n : len(object)*(i+1)/n]
	}
	return parts
}
