package translate

import (
	"bytes"
	"cmp"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
)

// Native is a request in Ollama's own dialect: to /api/chat, /api/generate,
// /api/embed or /api/show. What the server's rules do not speak of goes through as
// it came.
type Native struct {
	Model  string
	Stream bool // Ollama's default is true
	// Messages are those of a chat, for what is to be known of them.
	Messages []openai.Message

	options map[string]jsontext.Value
	keep    openai.KeepAlive
	body    object
}

// DecodeNative reads the body of a native request. Its error is an *openai.Error.
func DecodeNative(body []byte) (*Native, error) {
	known, err := decode[struct {
		Model    string                    `json:"model"`
		Name     string                    `json:"name"` // of /api/show, before there was model
		Stream   *bool                     `json:"stream"`
		Messages []openai.Message          `json:"messages"`
		Options  map[string]jsontext.Value `json:"options"`
		Keep     openai.KeepAlive          `json:"keep_alive"`
	}](body)
	if err != nil {
		return nil, err
	}
	decoded, err := decodeOrdered(body)
	whole, ok := decoded.(object)
	if err != nil || !ok {
		return nil, wrongType("")
	}
	return &Native{
		Model:    cmp.Or(known.Model, known.Name),
		Stream:   known.Stream == nil || *known.Stream,
		Messages: known.Messages,
		options:  known.Options,
		keep:     known.Keep,
		body:     whole,
	}, nil
}

// Apply puts the server's rules into a request that makes a model work.
func (n *Native) Apply(settings Settings) (jsontext.Value, error) {
	options := make(map[string]any)
	for name, value := range n.options {
		parsed, err := nativeOption(name, value)
		if err != nil {
			return nil, err
		}
		if parsed != nil {
			options[name] = parsed
		}
	}
	encoded, err := json.Marshal(settings.Rules.Options(options), json.Deterministic(true))
	if err != nil {
		return nil, err
	}
	if string(encoded) != "{}" {
		n.body.set("options", jsontext.Value(encoded))
	}
	if keep := settings.Rules.KeepAliveFor(n.keep.Seconds); keep != nil {
		encoded, err := json.Marshal(*keep)
		if err != nil {
			return nil, err
		}
		n.body.set("keep_alive", jsontext.Value(encoded))
	}
	if settings.Features.Truncate && !settings.CutOverflow {
		n.body.set("truncate", jsontext.Value("false"))
	}
	return n.Named(settings.Model), nil
}

// Named is the request for the upstream's name of the model, as it is otherwise.
func (n *Native) Named(model string) jsontext.Value {
	n.body.remove("name")
	n.body.set("model", model)
	return encodeOrdered(n.body)
}

// NativeModels takes the models that are not visible out of an answer of /api/tags
// or /api/ps.
func NativeModels(body []byte, visible func(ollama.Tag) bool) (jsontext.Value, error) {
	var tags ollama.Tags
	decoded, err := decodeOrdered(body)
	answer, ok := decoded.(object)
	if err != nil || !ok || json.Unmarshal(body, &tags, tolerant) != nil {
		return nil, ErrGarbage
	}
	value, _ := answer.get("models")
	models, _ := value.([]any)
	left := []any{}
	for i := range models {
		if i < len(tags.Models) && visible(tags.Models[i]) {
			left = append(left, models[i])
		}
	}
	answer.set("models", left)
	return encodeOrdered(answer), nil
}

// Tap counts what passes in Ollama's own dialect and changes nothing. It bounds
// nothing either but its own memory.
type Tap struct {
	pending  []byte
	done     bool
	failed   bool
	counted  int
	tooLong  bool
	finished Summary
}

// Write looks at the next piece of an answer.
func (t *Tap) Write(piece []byte) {
	for len(piece) > 0 {
		line, rest, whole := bytes.Cut(piece, []byte("\n"))
		piece = rest
		if t.tooLong = t.tooLong || len(t.pending)+len(line) > maxLine; !t.tooLong {
			t.pending = append(t.pending, line...)
		}
		if whole {
			t.line()
		}
	}
}

// Close says that the answer has ended. Its error is ErrCutShort if Ollama had not
// said so, and ErrUpstream if Ollama reported an error, which the client has seen.
func (t *Tap) Close() error {
	t.line()
	switch {
	case t.failed:
		return ErrUpstream
	case !t.done:
		return ErrCutShort
	}
	return nil
}

// Summary is what the answer has come to so far.
func (t *Tap) Summary() Summary { return t.finished }

func (t *Tap) line() {
	line := bytes.TrimSpace(t.pending)
	t.pending = t.pending[:0]
	skip := t.tooLong || len(line) == 0
	t.tooLong = false
	if skip || t.done {
		return
	}
	resp, err := decodeResponse(line)
	if err != nil {
		t.failed = t.failed || err == ErrUpstream
		return
	}
	t.finished.Model = cmp.Or(resp.Model, t.finished.Model)
	if says(resp) {
		t.counted++
		t.finished.CompletionTokens++
	}
	if resp.Done {
		t.done = true
		t.finished.finish(resp, finishReason(resp.DoneReason, len(resp.Message.ToolCalls) > 0), t.counted)
	}
}
