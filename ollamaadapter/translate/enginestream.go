package translate

import (
	"bytes"
	"cmp"
	"regexp"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
)

// engineStream reads the lines of an engine's server-sent events and says what they
// mean as Ollama would. What comes in parts there, and only there, is put together:
// tool calls, and the end, which is told by a reason, a count and [DONE].
type engineStream struct {
	calls  []engineToolCall
	size   int // of the calls' arguments, in bytes
	reason string
	usage  engineUsage
	// fingerprint is of model and server; empty if it is not told
	fingerprint string
}

type engineToolCall struct {
	index     int
	id, name  string
	arguments []byte
}

type engineUsage struct {
	PromptTokens     int `json:"prompt_tokens"`
	CompletionTokens int `json:"completion_tokens"`
	Details          struct {
		CachedTokens int `json:"cached_tokens"`
	} `json:"prompt_tokens_details"`
}

// engineChunk is an event, of chat or of text.
type engineChunk struct {
	Model   string        `json:"model"`
	Choices []engineDelta `json:"choices"`
	Usage   *engineUsage  `json:"usage"`
	// Error is an object, or a text with TGI; vLLM's own was once an object by itself.
	Error jsontext.Value `json:"error"`
	// Fingerprint is a string, null with others.
	Fingerprint jsontext.Value `json:"system_fingerprint"`
	Object      string         `json:"object"`
}

type engineDelta struct {
	Index int `json:"index"`
	Delta struct {
		Content          string           `json:"content"`
		Reasoning        string           `json:"reasoning"`
		ReasoningContent string           `json:"reasoning_content"`
		ToolCalls        []engineFragment `json:"tool_calls"`
	} `json:"delta"`
	Text         string `json:"text"`
	FinishReason string `json:"finish_reason"`
	Logprobs     struct {
		Content []ollama.Logprob `json:"content"`
		// those of text
		Tokens        []string             `json:"tokens"`
		TokenLogprobs []float64            `json:"token_logprobs"`
		TopLogprobs   []map[string]float64 `json:"top_logprobs"`
	} `json:"logprobs"`
}

type engineFragment struct {
	Index    int    `json:"index"`
	ID       string `json:"id"`
	Function struct {
		Name      string `json:"name"`
		Arguments string `json:"arguments"`
	} `json:"function"`
}

// line reads one line of the stream, which is not empty. It returns nothing for a line
// that says nothing, such as a comment, or a chunk by which another gateway shows that
// it lives.
func (s *engineStream) line(line []byte) (*ollama.ChatResponse, error) {
	data, ok := bytes.CutPrefix(line, []byte("data:"))
	if !ok {
		if fault, ok := bytes.CutPrefix(line, []byte("error:")); ok { // llama.cpp's, of old
			return nil, streamFault(fault)
		}
		for _, other := range []string{":", "event:", "id:", "retry:"} {
			if bytes.HasPrefix(line, []byte(other)) {
				return nil, nil
			}
		}
		return nil, ErrGarbage
	}
	data = bytes.TrimSpace(data)
	if string(data) == "[DONE]" {
		if resp := s.end(); resp != nil {
			return resp, nil
		}
		return nil, ErrCutShort // nobody said that the answer was complete
	}
	var chunk engineChunk
	if json.Unmarshal(data, &chunk, tolerant) != nil {
		return nil, ErrGarbage
	}
	if isSet(chunk.Error) || chunk.Object == "error" {
		return nil, streamFault(data)
	}
	if chunk.Usage != nil {
		s.usage = *chunk.Usage
	}
	if s.fingerprint == "" {
		s.fingerprint = fingerprintOf(chunk.Fingerprint)
	}
	resp := &ollama.ChatResponse{Model: chunk.Model}
	told := false
	for i := range chunk.Choices {
		if chunk.Choices[i].Index != 0 { // nobody asked for another
			continue
		}
		more, err := s.delta(&chunk.Choices[i], resp)
		if err != nil {
			return nil, err
		}
		told = told || more
	}
	if !told {
		return nil, nil
	}
	return resp, nil
}

// plainFingerprint is how engines write theirs, such as b6123-ab12cd3.
var plainFingerprint = regexp.MustCompile(`^[A-Za-z0-9_.:+-]{1,64}$`)

// fingerprintOf is what an engine calls itself and its model, if it does so in a word.
func fingerprintOf(told jsontext.Value) string {
	if word := textOf(told); plainFingerprint.MatchString(word) {
		return word
	}
	return ""
}

// delta adds what a choice says to resp. It tells whether it says anything.
func (s *engineStream) delta(d *engineDelta, resp *ollama.ChatResponse) (told bool, err error) {
	resp.Message.Content = d.Delta.Content + d.Text
	resp.Message.Thinking = cmp.Or(d.Delta.ReasoningContent, d.Delta.Reasoning)
	resp.Logprobs = d.logprobs()
	for i := range d.Delta.ToolCalls {
		if err := s.fragment(&d.Delta.ToolCalls[i]); err != nil {
			return false, err
		}
	}
	s.reason = cmp.Or(d.FinishReason, s.reason)
	return says(resp) || len(d.Delta.ToolCalls) > 0, nil
}

// fragment adds a piece of a tool call.
func (s *engineStream) fragment(f *engineFragment) error {
	if s.size += len(f.Function.Arguments) + len(f.Function.Name) + 64; s.size > maxLine {
		return ErrGarbage
	}
	i := slices.IndexFunc(s.calls, func(c engineToolCall) bool { return c.index == f.Index })
	// several calls that all say they are the first: a new id begins a new one
	if i < 0 || f.ID != "" && s.calls[i].id != "" && f.ID != s.calls[i].id && f.Function.Name != "" {
		s.calls = append(s.calls, engineToolCall{index: f.Index})
		i = len(s.calls) - 1
	}
	for last := len(s.calls) - 1; last > i; last-- { // what has no id belongs to the last
		if s.calls[last].index == f.Index {
			i = last
		}
	}
	call := &s.calls[i]
	call.id = cmp.Or(call.id, f.ID)
	call.name = cmp.Or(call.name, f.Function.Name)
	call.arguments = append(call.arguments, f.Function.Arguments...)
	return nil
}

// end is the end of the answer, as Ollama tells it; nil if nobody has said that it was
// complete.
func (s *engineStream) end() *ollama.ChatResponse {
	if s.reason == "" {
		return nil
	}
	resp := &ollama.ChatResponse{
		Done: true, DoneReason: s.reason,
		PromptEvalCount: s.usage.PromptTokens, EvalCount: s.usage.CompletionTokens,
		PromptEvalCachedCount: s.usage.Details.CachedTokens,
	}
	resp.Message.ToolCalls = s.toolCalls()
	return resp
}

// toolCalls are the calls put together.
func (s *engineStream) toolCalls() (calls []ollama.ToolCall) {
	for _, call := range s.calls {
		calls = append(calls, ollama.ToolCall{ID: call.id, Function: ollama.FunctionCall{
			Name: call.name, Arguments: jsontext.Value(call.arguments),
		}})
	}
	return calls
}

// logprobs are the probabilities, of either form.
func (d *engineDelta) logprobs() []ollama.Logprob {
	l := &d.Logprobs
	if len(l.Content) > 0 || len(l.Tokens) != len(l.TokenLogprobs) {
		return l.Content
	}
	var out []ollama.Logprob
	for i, token := range l.Tokens {
		one := ollama.Logprob{Token: token, Logprob: l.TokenLogprobs[i]}
		if i < len(l.TopLogprobs) {
			for other, logprob := range l.TopLogprobs[i] {
				one.TopLogprobs = append(one.TopLogprobs, ollama.Logprob{Token: other, Logprob: logprob})
			}
		}
		out = append(out, one)
	}
	return out
}
