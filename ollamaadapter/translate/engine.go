package translate

import (
	"math"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/policy"
)

// An engine is a model server that speaks OpenAI's dialect: vLLM, TGI, llama.cpp, or
// another gateway. It gets a request made anew of what was checked, never the client's
// own: engines take much besides that a client must not have, such as chat templates,
// priorities, and URLs that they fetch.

// Paths of an engine's API.
const (
	engineChatPath  = "/v1/chat/completions"
	engineTextPath  = "/v1/completions"
	engineEmbedPath = "/v1/embeddings"
)

// forEngine is For, for an engine. Each choice has a request of its own, for not every
// engine knows n.
func (d *ChatDraft) forEngine(settings Settings) (*Exchange, error) {
	req := d.req
	conversation := req.Messages
	if settings.MergeSystem {
		conversation = mergeSystemOf(conversation)
	}
	messages := make([]any, len(conversation))
	for i := range conversation {
		messages[i] = engineMessage(conversation, i)
	}
	options := settings.Rules.Options(d.options)
	body := object{{"model", settings.Model}, {"messages", messages}}
	body = append(body, d.engineTools()...)
	if d.format != nil {
		body = append(body, member{"response_format", engineFormat(d.format)})
	}
	body = append(body, d.thinking.forEngine()...)
	if req.Logprobs {
		body = append(body, member{"logprobs", jsontext.Value("true")})
		if req.TopLogprobs != nil {
			body = append(body, member{"top_logprobs", encoded(*req.TopLogprobs)})
		}
	}
	exchange := &Exchange{Path: engineChatPath, Model: settings.Model, Answer: AnswerForm{
		Engine:       true,
		IncludeUsage: req.StreamOptions != nil && req.StreamOptions.IncludeUsage,
		OneCall:      req.ParallelToolCalls != nil && !*req.ParallelToolCalls,
		Reasoning:    settings.Reasoning,
		Logprobs:     req.Logprobs,
		MaxTokens:    engineBound(options),
	}}
	for choice := range choices(req.N) {
		exchange.addEngine(body, optionsOf(options, choice), settings.Rules.KeepAliveFor(req.KeepAlive.Seconds))
	}
	return exchange, nil
}

// forEngine is For, for an engine.
func (d *TextDraft) forEngine(settings Settings) (*Exchange, error) {
	req := d.req
	options := settings.Rules.Options(d.options)
	exchange := &Exchange{Path: engineTextPath, Model: settings.Model, Answer: AnswerForm{
		Engine:       true,
		Text:         true,
		IncludeUsage: req.StreamOptions != nil && req.StreamOptions.IncludeUsage,
		Logprobs:     req.Logprobs != nil,
		MaxTokens:    engineBound(options),
	}}
	for _, prompt := range req.Prompt.Texts {
		body := object{{"model", settings.Model}, {"prompt", prompt}}
		if req.Suffix != "" {
			body = append(body, member{"suffix", req.Suffix})
		}
		if req.Raw {
			body = append(body, member{"raw", jsontext.Value("true")}) // another gateway's Ollama knows it
		}
		if req.Logprobs != nil {
			body = append(body, member{"logprobs", encoded(*req.Logprobs)})
		}
		for choice := range choices(req.N) {
			exchange.addEngine(body, optionsOf(options, choice), settings.Rules.KeepAliveFor(req.KeepAlive.Seconds))
			if req.Echo {
				exchange.Answer.Echo = append(exchange.Answer.Echo, prompt)
			}
		}
	}
	return exchange, nil
}

// addEngine adds the request for the next choice. It is always a stream, because that
// can be told from an answer at a standstill, and always asks what it cost.
func (e *Exchange) addEngine(body object, options map[string]any, keepAlive *float64) {
	body = append(body[:len(body):len(body)], engineOptions(options, keepAlive)...)
	body = append(body,
		member{"stream", jsontext.Value("true")},
		member{"stream_options", object{{"include_usage", jsontext.Value("true")}}},
	)
	e.add(encodeOrdered(body))
}

// engineFields are the names under which engines know Ollama's options; vLLM and
// llama.cpp disagree on one. Every engine knows max_tokens.
var engineFields = []struct {
	option string
	fields []string
	// known says that our own gateway reads the option under one of these names.
	known bool
}{
	{"temperature", []string{"temperature"}, true},
	{"top_p", []string{"top_p"}, true},
	{"top_k", []string{"top_k"}, true},
	{"min_p", []string{"min_p"}, true},
	{"typical_p", []string{"typical_p"}, false},
	{"repeat_penalty", []string{"repeat_penalty", "repetition_penalty"}, true},
	{"repeat_last_n", []string{"repeat_last_n"}, false},
	{"presence_penalty", []string{"presence_penalty"}, true},
	{"frequency_penalty", []string{"frequency_penalty"}, true},
	{"seed", []string{"seed"}, true},
	{"num_predict", []string{"max_tokens"}, true},
	{"stop", []string{"stop"}, true},
}

// engineOptions are the options as fields of a request. What has no field, such as
// num_ctx, goes on among Ollama's options, for the engine may be another gateway; the
// others ignore it.
func engineOptions(options map[string]any, keepAlive *float64) object {
	var fields object
	left := make(map[string]any, len(options))
	for name, value := range options {
		left[name] = value
	}
	for _, f := range engineFields {
		value, asked := options[f.option]
		if !asked {
			continue
		}
		if f.known {
			delete(left, f.option)
		}
		if f.option == "num_predict" && maxTokens(options) == 0 {
			continue // as many as there are
		}
		for _, name := range f.fields {
			fields = append(fields, member{name, encoded(value)})
		}
	}
	if len(left) > 0 {
		fields = append(fields, member{"options", encoded(left)})
	}
	if keepAlive != nil {
		fields = append(fields, member{"keep_alive", encoded(*keepAlive)})
	}
	return fields
}

// engineBound is how many pieces of an answer are let through: two for each token that
// may come, for an engine may say one token in two pieces, one of reasoning and one of
// content. What ends the answer at its last token is max_tokens.
func engineBound(options map[string]any) int {
	return min(maxTokens(options), math.MaxInt/2) * 2
}

// engineTools are the tools that may be called. The choice is put so that every engine
// can do it: a single function is the only one that must be called, and where none may
// be, there are none.
func (d *ChatDraft) engineTools() object {
	var tools []any
	for _, tool := range d.req.Tools {
		if !d.choice.allows(tool.Function.Name) {
			continue
		}
		function := object{{"name", tool.Function.Name}}
		if tool.Function.Description != "" {
			function = append(function, member{"description", tool.Function.Description})
		}
		if isSet(tool.Function.Parameters) {
			function = append(function, member{"parameters", tool.Function.Parameters})
		}
		tools = append(tools, object{{"type", "function"}, {"function", function}})
	}
	if tools == nil {
		return nil
	}
	out := object{{"tools", tools}}
	if d.choice.required {
		out = append(out, member{"tool_choice", "required"})
	}
	if p := d.req.ParallelToolCalls; p != nil {
		out = append(out, member{"parallel_tool_calls", encoded(*p)})
	}
	return out
}

// engineFormat asks for what Ollama's format asks for.
func engineFormat(format jsontext.Value) object {
	if format.Kind() == '"' {
		return object{{"type", "json_object"}}
	}
	return object{{"type", "json_schema"}, {"json_schema", object{
		{"name", "answer"}, {"strict", jsontext.Value("true")}, {"schema", format},
	}}}
}

// forEngine is what is asked of thinking. Levels have a field of OpenAI's. For on and off
// there is a switch that the chat templates of most models know, and Ollama's own for
// another gateway.
func (t thinking) forEngine() object {
	switch {
	case !t.asked:
		return nil
	case t.level == "", t.level == "true":
		on := encoded(t.level != "")
		return object{{"think", on}, {"chat_template_kwargs", object{{"enable_thinking", on}}}}
	case t.level == "max":
		return object{{"reasoning_effort", "high"}} // the most that every engine knows
	default:
		return object{{"reasoning_effort", t.level}}
	}
}

// engineMessage is a message that was checked, with the fields that we know.
func engineMessage(conversation []openai.Message, i int) object {
	in := &conversation[i]
	out := object{{"role", roles[in.Role]}, {"content", engineContent(in)}}
	switch roles[in.Role] {
	case "assistant":
		if len(in.ToolCalls) > 0 {
			calls := make([]any, len(in.ToolCalls))
			for i, call := range in.ToolCalls {
				calls[i] = engineCall(call)
			}
			out = append(out, member{"tool_calls", calls})
		}
		reasoning := in.ReasoningContent
		if reasoning.Empty() {
			reasoning = in.Reasoning
		}
		if !reasoning.Empty() {
			out = append(out, member{"reasoning_content", reasoning.JSON()})
		}
	case "tool":
		id, name := in.ToolCallID, in.Name
		if call, found := callOf(conversation, i); found {
			id = call.ID
			if name == "" {
				name = call.Function.Name
			}
		}
		out = append(out, member{"tool_call_id", id})
		if name != "" {
			out = append(out, member{"name", name})
		}
	}
	return out
}

func engineCall(call openai.ToolCall) object {
	arguments := call.Function.Arguments
	if arguments == "" {
		arguments = "{}"
	}
	return object{{"id", call.ID}, {"type", "function"}, {"function", object{
		{"name", call.Function.Name}, {"arguments", arguments},
	}}}
}

// engineContent is the content of a message: text in one piece, unless there is more
// than text.
func engineContent(in *openai.Message) any {
	if in.Content.Parts == nil {
		if in.Content.Text == nil && len(in.ToolCalls) > 0 {
			return jsontext.Value("null")
		}
		return in.Content.Text.JSON()
	}
	var parts []any
	var texts []openai.Text
	for _, part := range in.Content.Parts {
		switch part.Type {
		case "image_url":
			parts = append(parts, object{{"type", "image_url"}, {"image_url", object{{"url", part.ImageURL.URL}}}})
		case "input_audio":
			parts = append(parts, object{{"type", "input_audio"}, {"input_audio", object{
				{"data", part.Audio.Data}, {"format", part.Audio.Format},
			}}})
		default:
			text := part.Text
			if part.Type == "refusal" {
				text = part.Refusal
			}
			texts = append(texts, text)
			parts = append(parts, object{{"type", "text"}, {"text", text.JSON()}})
		}
	}
	if len(texts) == len(parts) {
		return openai.Join(texts, "\n").JSON()
	}
	return parts
}

// mergeSystemOf does to a conversation what mergeSystem does.
func mergeSystemOf(in []openai.Message) []openai.Message {
	var system []openai.Text
	out := make([]openai.Message, 0, len(in)+1)
	for i, m := range in {
		if roles[m.Role] != "system" {
			out = append(out, m)
			continue
		}
		text, _, _ := content(&m.Content, i) // checked before
		system = append(system, text)
	}
	if len(system) == 0 {
		return in
	}
	for i := range out {
		if out[i].Role != "user" {
			continue
		}
		if parts := out[i].Content.Parts; parts != nil {
			first := openai.Part{Type: "text", Text: openai.Join(system, "\n\n")}
			out[i].Content.Parts = append([]openai.Part{first}, parts...)
		} else {
			out[i].Content.Text = openai.Join(append(system, out[i].Content.Text), "\n\n")
		}
		return out
	}
	merged := openai.Message{Role: "user", Content: openai.Content{Text: openai.Join(system, "\n\n")}}
	return append([]openai.Message{merged}, out...)
}

// engineEmbedRequest is EmbedRequest, for an engine. Vectors are asked for as numbers,
// which every engine has.
func engineEmbedRequest(req *openai.EmbeddingRequest, settings Settings) *Exchange {
	body := object{{"model", settings.Model}, {"input", encoded(req.Input.Texts)}, {"encoding_format", "float"}}
	if req.Dimensions != nil {
		body = append(body, member{"dimensions", encoded(*req.Dimensions)})
	}
	if keep := settings.Rules.KeepAliveFor(req.KeepAlive.Seconds); keep != nil {
		body = append(body, member{"keep_alive", encoded(*keep)})
	}
	exchange := &Exchange{Path: engineEmbedPath, Model: settings.Model, Answer: AnswerForm{Engine: true}}
	exchange.add(encodeOrdered(body))
	return exchange
}

// LoadTime are the names of those options that a model is loaded with, which no request
// to an engine can change.
func LoadTime(options map[string]any) (names []string) {
	for name := range policy.LoadOptions(options) {
		names = append(names, name)
	}
	return names
}

// encoded is a value of plain types as JSON.
func encoded(v any) jsontext.Value {
	data, err := json.Marshal(v, json.Deterministic(true), jsontext.AllowInvalidUTF8(true))
	if err != nil {
		panic(err) // plain values always marshal
	}
	return data
}
