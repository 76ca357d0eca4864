package openai_test

import (
	"errors"
	"reflect"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
)

// The types as json would read them by their fields.
type (
	plainMessage struct {
		Role             string               `json:"role"`
		Content          plainContent         `json:"content"`
		ToolCalls        []openai.ToolCall    `json:"tool_calls"`
		ToolCallID       string               `json:"tool_call_id"`
		Name             string               `json:"name"`
		FunctionCall     *openai.FunctionCall `json:"function_call"`
		Reasoning        openai.Text          `json:"reasoning"`
		ReasoningContent openai.Text          `json:"reasoning_content"`
	}
	plainContent struct {
		Text  openai.Text
		Parts []plainPart
	}
	plainPart struct {
		Type     string          `json:"type"`
		Text     openai.Text     `json:"text"`
		Refusal  openai.Text     `json:"refusal"`
		ImageURL openai.ImageURL `json:"image_url"`
		Audio    openai.Audio    `json:"input_audio"`
	}
)

func (c *plainContent) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	if dec.PeekKind() == '[' {
		return json.UnmarshalDecode(dec, &c.Parts)
	}
	return c.Text.UnmarshalJSONFrom(dec)
}

func (m *plainMessage) message() openai.Message {
	out := openai.Message{
		Role: m.Role, Content: openai.Content{Text: m.Content.Text}, ToolCalls: m.ToolCalls, ToolCallID: m.ToolCallID, Name: m.Name,
		FunctionCall: m.FunctionCall, Reasoning: m.Reasoning, ReasoningContent: m.ReasoningContent,
	}
	if m.Content.Parts != nil {
		out.Content.Parts = []openai.Part{}
	}
	for _, part := range m.Content.Parts {
		out.Content.Parts = append(out.Content.Parts, openai.Part(part))
	}
	return out
}

// Messages are read by hand; json, which reads them by their fields, must come to the
// same: the same messages, or an error, of the same kind and at the same place if it is JSON.
func FuzzMessagesAreReadAsByTheirFields(f *testing.F) {
	for _, seed := range []string{
		`[{"role":"user","content":"hi"}]`, `[]`, `null`, `[null]`, `"x"`, `{}`, `[{}]`, `[1]`, `[[]]`, `[{}`, `[{"role":`, `[{"role"}]`, `[{]`, `[}`, ``,
		`[{"role":"system","content":null},{"role":"assistant","content":"a\n","reasoning":"r","reasoning_content":"\u0063"}]`,
		`[{"\u0072ole":"us\u0065r","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"data:"}},{"image_url":"u"}]}]`,
		`[{"content":[{"type":"refusal","refusal":"no"},{"type":"input_audio","input_audio":{"data":"AA==","format":"wav","x":1}},null]}]`,
		`[{"content":[]}]`, `[{"content":{}}]`, `[{"content":5}]`, `[{"content":[5]}]`, `[{"content":[{"text":5}]}]`, `[{"content":[{"image_url":5}]}]`,
		`[{"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}],"tool_call_id":"c","name":"f","function_call":{"name":"f"}}]`,
		`[{"tool_calls":{}}]`, `[{"tool_calls":[{"id":5}]}]`, `[{"function_call":5}]`, `[{"tool_call_id":[]}]`, `[{"name":{}}]`, `[{"role":["x"]}]`,
		`[{"role":"a","role":"b"}]`, `[{"role":"a","\u0072ole":"b"}]`, `[{"x":{"y":[1,{}]},"Role":1}]`, `[{"role":null,"name":null}]`, "[{\"role\":\"\xff\"}]",
		` [ { "role" : "user" , "content" : [ { "type" : "text" } ] } ] `, `[{"role":"user"},]`, `[{"role":"user",}]`, `[{"reasoning":1}]`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var got openai.Messages
		var plain []plainMessage
		errGot, errPlain := json.Unmarshal(data, &got), json.Unmarshal(data, &plain)
		placeGot, kindGot := fault(errGot)
		placePlain, kindPlain := fault(errPlain)
		if (errGot == nil) != (errPlain == nil) || jsontext.Value(data).IsValid() && (kindGot != kindPlain || placeGot != placePlain) {
			t.Fatalf("%q: %v\nby its fields %v", data, errGot, errPlain)
		}
		if errGot != nil {
			return
		}
		if len(got) != len(plain) {
			t.Fatalf("%q: %d messages, by their fields %d", data, len(got), len(plain))
		}
		for i := range got {
			if want := plain[i].message(); !reflect.DeepEqual(got[i], want) {
				t.Errorf("%q: got %+v\nby its fields %+v", data, got[i], want)
			}
		}
	})
}

// fault is where an error is and what kind of one.
func fault(err error) (place jsontext.Pointer, kind string) {
	semantic, ok := errors.AsType[*json.SemanticError](err)
	switch {
	case err == nil:
		return "", ""
	case !ok || errors.As(semantic.Err, new(*jsontext.SyntacticError)):
		return "", "no JSON"
	}
	return semantic.JSONPointer, "wrong type"
}
