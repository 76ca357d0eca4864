package translate_test

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/translate"
)

// feed gives a stream these pieces, then the end, and returns all that it sent.
func feed(includeUsage bool, pieces ...string) (events string, stream *translate.Stream, err error) {
	stream = translate.NewStream(identity, translate.AnswerForm{Choices: 1, IncludeUsage: includeUsage})
	var sent strings.Builder
	for _, piece := range pieces {
		var out []byte
		out, _ = stream.Write([]byte(piece)) // an error comes again at the end
		sent.Write(out)
	}
	out, err := stream.CloseChoice()
	sent.Write(out)
	return sent.String(), stream, err
}

// chunk is an event as a client reads it.
type chunk struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Created int64  `json:"created"`
	Model   string `json:"model"`
	Choices []struct {
		Index  *int           `json:"index"`
		Delta  jsontext.Value `json:"delta"`
		Finish *string        `json:"finish_reason"`
	} `json:"choices"`
	Usage jsontext.Value `json:"usage"`
}

// story is what a client reads out of events, short enough for tables: the role,
// the deltas, the finish reason, the usage, [DONE].
func story(t testing.TB, events string) []string {
	t.Helper()
	var out []string
	for i, c := range wellFormed(t, events) {
		switch {
		case c == nil:
			out = append(out, "[DONE]")
		case len(c.Choices) == 0:
			out = append(out, "usage "+string(c.Usage))
		case c.Choices[0].Finish != nil:
			out = append(out, "finish "+*c.Choices[0].Finish)
		default:
			delta := madeUp.ReplaceAllString(string(c.Choices[0].Delta), "ID")
			if i == 0 && delta == `{"role":"assistant","content":""}` {
				delta = "role"
			}
			out = append(out, delta)
		}
	}
	return out
}

// wellFormed reads events and checks what holds for each of them: the framing,
// the JSON, one identity, an index in every choice. [DONE] is nil.
func wellFormed(t testing.TB, events string) []*chunk {
	t.Helper()
	if events == "" {
		return nil
	}
	body, ended := strings.CutSuffix(events, "\n\n")
	if !ended {
		t.Fatalf("the last event has no end: %q", events)
	}
	var out []*chunk
	for event := range strings.SplitSeq(body, "\n\n") {
		data, ok := strings.CutPrefix(event, "data: ")
		if !ok || strings.ContainsAny(data, "\r\n\u2028\u2029") {
			t.Fatalf("event %q", event)
		}
		if data == "[DONE]" {
			out = append(out, nil)
			continue
		}
		c := new(chunk)
		if err := json.Unmarshal([]byte(data), c, jsontext.AllowDuplicateNames(false)); err != nil {
			t.Fatalf("event %q: %v", data, err)
		}
		if c.ID != identity.ID || c.Created != identity.Created || c.Model != identity.Model || c.Object != "chat.completion.chunk" {
			t.Errorf("event of another answer: %s", data)
		}
		if c.Choices == nil || len(c.Choices) > 1 {
			t.Errorf("choices of %s", data)
		}
		for _, choice := range c.Choices {
			if choice.Index == nil || *choice.Index != 0 || choice.Delta.Kind() != '{' {
				t.Errorf("choice without index or delta: %s", data)
			}
			if !strings.Contains(data, `"finish_reason":`) || !strings.Contains(data, `"logprobs":null`) {
				t.Errorf("choice without finish_reason or logprobs: %s", data)
			}
		}
		out = append(out, c)
	}
	return out
}

// endedOnce checks that a stream that was closed has ended in one of two ways:
// finish and [DONE], or an error.
func endedOnce(t testing.TB, events string, stream *translate.Stream, err error) {
	t.Helper()
	finished, done := 0, 0
	all := wellFormed(t, events)
	for i, c := range all {
		switch {
		case c == nil:
			if done++; i != len(all)-1 {
				t.Error("an event after [DONE]")
			}
		case len(c.Choices) == 1 && c.Choices[0].Finish != nil:
			finished++
		}
	}
	want := 1
	if err != nil {
		want = 0
	}
	if finished != want || done != want || stream.Done() != (err == nil) {
		t.Errorf("%d finish chunks, %d [DONE], Done %v, error %v", finished, done, stream.Done(), err)
	}
}
