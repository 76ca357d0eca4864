package translate

import (
	"bytes"
	"math"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
)

// What is written by hand is to be what the types say, with no field forgotten.
func TestAChatRequestIsWrittenAsItsTypeSays(t *testing.T) {
	keep, truncate := 300.5, false
	full := ollama.ChatRequest{
		Model: "m\"<é>:32b",
		Messages: []ollama.Message{
			{Role: "system", Content: "be \"brief\"\n"},
			{
				Role: "assistant", Content: "four", Thinking: "2+2", Images: []string{"AAAA", "BBBB"},
				ToolCalls: []ollama.ToolCall{{ID: "call_1", Function: ollama.FunctionCall{Index: 1, Name: "f", Arguments: jsontext.Value(`{"a":1}`)}}},
				ToolName:  "f\"", ToolCallID: "call_1\n",
			},
		},
		Stream: true,
		Format: jsontext.Value(`{"type":"object"}`),
		Tools: []ollama.Tool{
			{Type: "function", Function: ollama.Function{Name: "f", Description: "say \"f\"", Parameters: jsontext.Value(`{"type":"object"}`)}},
			{Type: "function", Function: ollama.Function{Name: "g", Parameters: jsontext.Value(`{}`)}},
		},
		Options:  map[string]any{"temperature": 0.7, "seed": int64(7), "use_mmap": true, "stop": []string{"a", "\n"}, "num_ctx": 32768.0},
		Think:    "high",
		Truncate: &truncate, KeepAlive: &keep,
		Logprobs: true, TopLogprobs: 3,
	}
	for name, value := range allFields(full) {
		if value.IsZero() {
			t.Errorf("the field %s is not tested", name)
		}
	}
	for name, value := range allFields(full.Messages[1]) {
		if value.IsZero() {
			t.Errorf("the field %s of a message is not tested", name)
		}
	}
	least := ollama.ChatRequest{Model: "m", Messages: []ollama.Message{{Role: "user"}}}
	long := ollama.ChatRequest{Model: "m"}
	for _, size := range []int{longPiece - 3, longPiece - 2, longPiece, 3 * longPiece} { // the quotes count
		text := strings.Repeat("é", size/2) + strings.Repeat("n", size%2)
		long.Messages = append(long.Messages,
			ollama.Message{Role: "user", Content: text},
			ollama.Message{Role: "assistant", Content: text, Thinking: text},
		)
		schema := jsontext.Value(`{"description":"` + text + `"}`)
		long.Tools = append(long.Tools, ollama.Tool{Type: "function", Function: ollama.Function{Name: "f", Parameters: schema}})
		long.Format = schema
	}
	for name, request := range map[string]ollama.ChatRequest{"with all fields": full, "with none": least, "with long texts": long} {
		t.Run(name, func(t *testing.T) {
			want, err := json.Marshal(request, json.Deterministic(true))
			if err != nil {
				t.Fatal(err)
			}
			pieces := apartFromMessages(t, request).encode()
			if got := bytes.Join(pieces, nil); string(got) != string(want) {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			if pieces.Len() != len(want) {
				t.Errorf("they are said to be %d bytes, and are %d", pieces.Len(), len(want))
			}
		})
	}
}

// A prompt may have megabytes, and waits for its answer.
func TestALongTextIsNotCopied(t *testing.T) {
	request := ollama.ChatRequest{Model: "m", Messages: []ollama.Message{
		{Role: "user", Content: "short"}, {Role: "user", Content: strings.Repeat("long", longPiece)}, {Role: "user", Content: "short"},
	}}
	encoded := apartFromMessages(t, request)
	pieces := encoded.encode()
	if len(pieces) != 3 || &pieces[1][0] != &encoded.messages[1].content[0] {
		t.Errorf("there are %d pieces, and the text is copied", len(pieces))
	}
}

// apartFromMessages is the request in the form in which it is written.
func apartFromMessages(t *testing.T, request ollama.ChatRequest) *chatRequest {
	t.Helper()
	out := &chatRequest{ChatRequest: request}
	for _, m := range request.Messages {
		one := message{
			role: m.Role, content: openai.TextOf(m.Content), thinking: openai.TextOf(m.Thinking), images: m.Images,
			toolName: m.ToolName, toolCallID: m.ToolCallID,
		}
		if m.ToolCalls != nil {
			calls, err := json.Marshal(m.ToolCalls)
			if err != nil {
				t.Fatal(err)
			}
			one.toolCalls = calls
		}
		out.messages = append(out.messages, one)
	}
	out.Messages = nil
	return out
}

func allFields(v any) map[string]reflect.Value {
	fields := make(map[string]reflect.Value)
	for i := range reflect.TypeOf(v).NumField() {
		fields[reflect.TypeOf(v).Field(i).Name] = reflect.ValueOf(v).Field(i)
	}
	return fields
}

func TestNumbersAreWrittenAsTheyAreRead(t *testing.T) {
	for _, test := range []struct {
		number float64
		want   string
	}{
		{0, "0"}, {1, "1"}, {-1, "-1"}, {0.7, "0.7"}, {32768, "32768"}, {1 << 30, "1073741824"}, {-0.000001, "-0.000001"},
		{123456789012345680000, "123456789012345680000"}, {1e21, "1e+21"}, {math.MaxFloat64, "1.7976931348623157e+308"},
	} {
		got := string(appendNumber(nil, test.number))
		back, err := strconv.ParseFloat(got, 64)
		if got != test.want || err != nil || back != test.number || !jsontext.Value(got).IsValid() {
			t.Errorf("%v is written %s and read %v, %v; want %s", test.number, got, back, err, test.want)
		}
	}
	for _, tiny := range []float64{1e-7, -5e-324} {
		got := string(appendNumber(nil, tiny))
		if back, err := strconv.ParseFloat(got, 64); err != nil || back != tiny || !jsontext.Value(got).IsValid() {
			t.Errorf("%v is written %s", tiny, got)
		}
	}
}
