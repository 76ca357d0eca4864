package translate

import (
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
)

// Ollama has no tool_choice (ollama#8421, #17921). This is how each is mapped:
//
//	auto          the tools go to Ollama, and the model decides
//	none          no tools go to Ollama
//	required      the model must answer with JSON that is a call of one of the tools
//	one function  the same with that one alone
//	allowed_tools the same as auto or required, with some of the tools
//
// For "must", the tools are described in the prompt, Ollama's `format` holds the
// model to the shape of a call, and the answer is turned into a tool call again
// (forcedCall). So it holds for any model, one that knows no tools included.
type toolChoice struct {
	none, required bool
	only           []string // names; nil: all
}

func parseToolChoice(raw jsontext.Value) (toolChoice, error) {
	if !isSet(raw) {
		return toolChoice{}, nil
	}
	wrong := invalid("tool_choice", "must be none, auto, required, or name a function")
	if raw.Kind() == '"' {
		switch string(raw) {
		case `"auto"`:
			return toolChoice{}, nil
		case `"none"`:
			return toolChoice{none: true}, nil
		case `"required"`:
			return toolChoice{required: true}, nil
		}
		return toolChoice{}, wrong
	}
	type named struct {
		Function struct {
			Name string `json:"name"`
		} `json:"function"`
	}
	var choice struct {
		named   `json:",inline"`
		Type    string `json:"type"`
		Allowed struct {
			Mode  string  `json:"mode"`
			Tools []named `json:"tools"`
		} `json:"allowed_tools"`
	}
	if json.Unmarshal(raw, &choice) != nil {
		return toolChoice{}, wrong
	}
	switch {
	case choice.Type == "function" && choice.Function.Name != "":
		return toolChoice{required: true, only: []string{choice.Function.Name}}, nil
	case choice.Type == "allowed_tools" && (choice.Allowed.Mode == "auto" || choice.Allowed.Mode == "required"):
		only := []string{}
		for _, tool := range choice.Allowed.Tools {
			only = append(only, tool.Function.Name)
		}
		return toolChoice{required: choice.Allowed.Mode == "required", only: only}, nil
	}
	return toolChoice{}, wrong
}

// allows reports whether the tool of this name may be called.
func (c toolChoice) allows(name string) bool {
	return !c.none && (c.only == nil || slices.Contains(c.only, name))
}

// forceCall makes req one that can only be answered by a call of one of its
// tools, which it takes out of req.
func forceCall(req *chatRequest) error {
	var shapes []any
	for _, tool := range req.Tools {
		shapes = append(shapes, object{
			{"type", "object"},
			{"properties", object{
				{"name", object{{"type", "string"}, {"enum", []any{tool.Function.Name}}}},
				{"arguments", tool.Function.Parameters},
			}},
			{"required", []any{"name", "arguments"}},
		})
	}
	if len(shapes) == 1 {
		req.Format = encodeOrdered(shapes[0])
	} else {
		req.Format = encodeOrdered(object{{"anyOf", shapes}})
	}
	described, err := json.Marshal(req.Tools)
	if err != nil {
		return err
	}
	req.Tools = nil
	req.messages = instruct(req.messages, "Answer with a call of one of these functions and nothing else, as JSON of the form "+
		`{"name": <function's name>, "arguments": <object>}. The functions are: `+string(described))
	return nil
}

// instruct adds an instruction to the system message in front, or else to the
// last user message: a system message of ours would displace the model's own.
func instruct(in []message, text string) []message {
	out := slices.Clone(in)
	at := len(out) - 1
	if out[0].role == "system" {
		at = 0
	} else {
		for i, m := range slices.Backward(out) {
			if m.role == "user" {
				at = i
				break
			}
		}
	}
	instructed := []openai.Text{openai.TextOf(text)}
	if !out[at].content.Empty() {
		instructed = []openai.Text{out[at].content, openai.TextOf(text)}
	}
	out[at].content = openai.Join(instructed, "\n\n")
	return out
}

// forcedCall reads the call out of an answer to a request that forceCall made.
func forcedCall(content string) (ollama.ToolCall, bool) {
	var call ollama.FunctionCall
	if json.Unmarshal([]byte(content), &call, tolerant) != nil || call.Name == "" || call.Arguments.Kind() != '{' {
		return ollama.ToolCall{}, false
	}
	return ollama.ToolCall{Function: call}, true
}
