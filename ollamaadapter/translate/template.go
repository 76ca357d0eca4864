package translate

import (
	"bytes"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
)

// template is a choice of an event as JSON, in pieces: what its index stands before,
// and what else its text stands between, if it has one.
type template [][]byte

// mark stands for the text in what a template is made of. Nothing else there has it.
var mark = "\ue000"

// The choices of nearly all events.
var (
	roleChoice      = templateOf(openai.ChunkChoice{Delta: openai.Delta{Role: "assistant", Content: new(string)}})
	contentChoice   = templateOf(openai.ChunkChoice{Delta: openai.Delta{Content: &mark}})
	reasoningChoice = reasoningTemplates()
	finishChoice    = templateOf(openai.ChunkChoice{FinishReason: &mark})

	textChoice       = templateOf(openai.TextChoice{Text: mark})
	textFinishChoice = templateOf(openai.TextChoice{FinishReason: &mark})
)

// templateOf makes a template of a choice, so that it looks as all others do.
func templateOf(choice any) template {
	data := bytes.TrimPrefix(eventJSON(choice), []byte(`{"index":0`))
	return bytes.Split(data, []byte(mark))
}

func reasoningTemplates() (templates [ReasoningHidden]template) {
	for fields := range ReasoningHidden {
		reasoning, content := split(fields, mark)
		templates[fields] = templateOf(openai.ChunkChoice{Delta: openai.Delta{Reasoning: reasoning, ReasoningContent: content}})
	}
	return templates
}

// write writes the choice with this index and this text, which is escaped.
func (t template) write(out *bytes.Buffer, index int, text []byte) {
	out.WriteString(`{"index":`)
	out.Write(strconv.AppendInt(out.AvailableBuffer(), int64(index), 10))
	out.Write(t[0])
	for _, piece := range t[1:] {
		out.Write(text)
		out.Write(piece)
	}
}

// eventJSON is JSON as it may stand in a server-sent event. JSON has no raw line break,
// so a model's text cannot end an event or begin another.
func eventJSON(v any) []byte {
	data, err := json.Marshal(v, jsontext.AllowInvalidUTF8(true), jsontext.EscapeForJS(true))
	if err != nil {
		panic(err) // plain structs always marshal
	}
	return data
}
