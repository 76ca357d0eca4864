package ollamaadapter_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// What nine clients of the field were seen to need of a gateway's bytes. Each rule
// has a client that throws, hangs, or takes half an answer for a whole one, if it
// is broken.

// transcript is a stream as a client gets it.
type transcript struct {
	asked       dialogue
	contentType string
	body        string
	events      []heardEvent
}

// transcriptOf reads a body as far as it can be read.
func transcriptOf(asked dialogue, contentType, body string) *transcript {
	s := &transcript{asked: asked, contentType: contentType, body: body}
	for line := range strings.Lines(body) {
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			s.events = append(s.events, heard(strings.TrimSuffix(data, "\n")))
		}
	}
	return s
}

// heardEvent is one data line of a stream; chunk is nil if it is [DONE], or no JSON.
type heardEvent struct {
	data  string
	chunk *heardChunk
}

// heardChunk is a chunk, or an error event, as SDKs decode it.
type heardChunk struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Created int64  `json:"created"`
	Model   string `json:"model"`
	Choices []struct {
		Index  *int           `json:"index"`
		Delta  map[string]any `json:"delta"`
		Text   *string        `json:"text"`
		Finish *string        `json:"finish_reason"`
	} `json:"choices"`
	Usage map[string]any `json:"usage"`
	Error map[string]any `json:"error"`
}

// heard reads a data line.
func heard(data string) heardEvent {
	e := heardEvent{data: data}
	if data != "[DONE]" {
		chunk := new(heardChunk)
		if json.Unmarshal([]byte(data), chunk) == nil {
			e.chunk = chunk
		}
	}
	return e
}

// hasChoice reports whether the event is a chunk with a choice.
func (e heardEvent) hasChoice() bool { return e.chunk != nil && len(e.chunk.Choices) > 0 }

// index is that of the choice; -1 if it has none.
func (e heardEvent) index() int {
	if index := e.chunk.Choices[0].Index; index != nil {
		return *index
	}
	return -1
}

// says is what the event says, short enough for tables; "" of a heartbeat.
func (e heardEvent) says() string {
	switch {
	case e.chunk == nil:
		return e.data
	case e.chunk.Error != nil:
		return fmt.Sprint("error ", e.chunk.Error["code"])
	case !e.hasChoice():
		return fmt.Sprint("usage ", e.chunk.Usage["total_tokens"])
	}
	choice := e.chunk.Choices[0]
	var said []string
	if choice.Delta["role"] != nil {
		said = append(said, fmt.Sprint("role ", choice.Delta["role"]))
	} else if choice.Delta["content"] != nil {
		said = append(said, fmt.Sprint(choice.Delta["content"]))
	}
	if choice.Text != nil && *choice.Text != "" {
		said = append(said, *choice.Text)
	}
	if choice.Delta["reasoning_content"] != nil {
		said = append(said, fmt.Sprint("thinks ", choice.Delta["reasoning_content"]))
	}
	if calls, ok := choice.Delta["tool_calls"].([]any); ok {
		said = append(said, fmt.Sprint(len(calls), " calls"))
	}
	if choice.Finish != nil {
		said = append(said, "finish "+*choice.Finish)
	}
	if said == nil {
		return ""
	}
	return fmt.Sprint(e.index(), " ", strings.Join(said, " and "))
}

// clientRule is a rule that finds what is against it.
type clientRule struct {
	name    string
	against func(*transcript) []string
}

// clientRules hold for every stream.
var clientRules = []clientRule{
	{"the content type is text/event-stream, because OpenClaw refuses others", func(s *transcript) []string {
		if s.contentType != "text/event-stream" {
			return []string{s.contentType}
		}
		return nil
	}},
	{"every event is one data line: no name, no comment, no id", func(s *transcript) (against []string) {
		body, ended := strings.CutSuffix(s.body, "\n\n")
		if !ended {
			against = append(against, "the last event has no end")
		}
		for event := range strings.SplitSeq(body, "\n\n") {
			if !strings.HasPrefix(event, "data: ") || strings.ContainsAny(event, "\r\n") {
				against = append(against, strconv.Quote(event))
			}
		}
		return against
	}},
	{"no data is empty, at which the openai SDKs throw", against(func(e heardEvent) bool { return strings.TrimSpace(e.data) == "" })},
	{"every data is JSON, or [DONE]", against(func(e heardEvent) bool { return e.data != "[DONE]" && e.chunk == nil })},
	{"all chunks have one id, time, model and kind", func(s *transcript) []string {
		kinds := make(map[string]bool)
		for _, e := range s.chunks() {
			kinds[fmt.Sprintf("%s %d %s %s", e.chunk.ID, e.chunk.Created, e.chunk.Model, e.chunk.Object)] = true
			if e.chunk.ID == "" || e.chunk.Created == 0 || e.chunk.Model != "m" || e.chunk.Object != s.asked.object() {
				return []string{e.data}
			}
		}
		if len(kinds) != 1 {
			return slices.Sorted(maps.Keys(kinds))
		}
		return nil
	}},
	{"every choice has an index, a delta and a finish_reason, because .stream() throws without", func(s *transcript) []string {
		return against(func(e heardEvent) bool {
			if !e.hasChoice() {
				return false
			}
			choice := e.chunk.Choices[0]
			said := choice.Delta != nil
			if s.asked.text {
				said = choice.Text != nil
			}
			return choice.Index == nil || !said || !strings.Contains(e.data, `"finish_reason":`)
		})(s)
	}},
	{"a chunk has one choice, and choices come one after the other", func(s *transcript) (against []string) {
		current := 0
		for _, e := range s.choices() {
			index := e.index()
			if len(e.chunk.Choices) != 1 || index < current || index >= s.asked.choices() {
				against = append(against, e.data)
			}
			current = index
		}
		return against
	}},
	{"the role comes first in each choice, and once", func(s *transcript) (against []string) {
		seen := make(map[int]bool)
		for _, e := range s.choices() {
			index, role := e.index(), e.chunk.Choices[0].Delta["role"]
			if !s.asked.text && (role == nil) != seen[index] || s.asked.text && role != nil {
				against = append(against, e.data)
			}
			seen[index] = true
		}
		return against
	}},
	{"each choice has one finish reason, which ends it, unless an error has ended the stream", func(s *transcript) (against []string) {
		finished := make(map[int]bool)
		for _, e := range s.choices() {
			choice := e.chunk.Choices[0]
			if finished[e.index()] {
				against = append(against, "after the end: "+e.data)
			}
			if choice.Finish != nil {
				finished[e.index()] = true
				if !slices.Contains([]string{"stop", "length", "tool_calls"}, *choice.Finish) {
					against = append(against, e.data)
				}
			}
		}
		if s.failed() == (len(finished) == s.asked.choices()) {
			against = append(against, fmt.Sprint(len(finished), " choices are finished"))
		}
		return against
	}},
	{"usage comes if it is asked for, in a chunk without choices just before the end", func(s *transcript) (against []string) {
		for i, e := range s.events {
			if strings.Contains(e.data, `"usage"`) && (e.chunk == nil || e.chunk.Choices == nil || e.hasChoice() || i != len(s.events)-2) {
				against = append(against, e.data)
			}
		}
		if told := strings.Contains(s.body, `"usage"`); told != (s.asked.usage && !s.failed()) {
			against = append(against, fmt.Sprint("there is a usage: ", told))
		}
		return against
	}},
	{"the last event is [DONE] or an error, and neither comes twice", func(s *transcript) (against []string) {
		for i, e := range s.events {
			if ends := e.data == "[DONE]" || e.chunk != nil && e.chunk.Error != nil; ends != (i == len(s.events)-1) {
				against = append(against, e.data)
			}
		}
		return against
	}},
	{"an error has a message, a type and a code", against(func(e heardEvent) bool {
		return e.chunk != nil && e.chunk.Error != nil && badError(e.chunk.Error) != ""
	})},
}

// against finds the events that are against a rule.
func against(rule func(heardEvent) bool) func(*transcript) []string {
	return func(s *transcript) (against []string) {
		for _, e := range s.events {
			if rule(e) {
				against = append(against, e.data)
			}
		}
		return against
	}
}

// badError tells what is wrong with an error in OpenAI's shape.
func badError(e map[string]any) string {
	if !slices.Equal(slices.Sorted(maps.Keys(e)), []string{"code", "message", "param", "type"}) {
		return "it has other fields"
	}
	for _, field := range []string{"message", "type", "code"} {
		if text, _ := e[field].(string); text == "" || strings.Contains(text, canary) || text == "insufficient_quota" {
			return "its " + field
		}
	}
	if !slices.Contains([]any{"invalid_request_error", "server_error"}, e["type"]) {
		return "its type is no SDK's"
	}
	return ""
}

// chunks are the events that are chunks, with choices or usage.
func (s *transcript) chunks() (out []heardEvent) {
	for _, e := range s.events {
		if e.chunk != nil && e.chunk.Error == nil {
			out = append(out, e)
		}
	}
	return out
}

// choices are the events that are chunks with a choice.
func (s *transcript) choices() []heardEvent {
	return slices.DeleteFunc(s.chunks(), func(e heardEvent) bool { return !e.hasChoice() })
}

func (s *transcript) failed() bool { return strings.Contains(s.body, `data: {"error":`) }

// keepsRules checks a stream against all rules.
func keepsRules(t *testing.T, s *transcript, want []string) {
	t.Helper()
	for _, rule := range clientRules {
		t.Run(rule.name, func(t *testing.T) {
			for _, what := range rule.against(s) {
				t.Error(what)
			}
		})
	}
	var said []string
	for _, e := range s.events {
		if text := e.says(); text != "" {
			said = append(said, text)
		}
	}
	if !slices.Equal(said, want) {
		t.Errorf("the client reads %q\nwant %q", said, want)
	}
}

// A rule that cannot be broken protects nobody.
func TestEachRuleOfTheClientsSeesWhatIsAgainstIt(t *testing.T) {
	const (
		head   = `data: {"id":"i","object":"chat.completion.chunk","created":1,"model":"m","choices":[`
		role   = head + `{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}` + "\n\n"
		text   = head + `{"index":0,"delta":{"content":"hi"},"finish_reason":null}]}` + "\n\n"
		finish = head + `{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\n"
		usage  = head + `],"usage":{"total_tokens":1}}` + "\n\n"
		done   = "data: [DONE]\n\n"
		fault  = `data: {"error":{"message":"x","type":"server_error","param":null,"code":"c"}}` + "\n\n"
		kind   = "text/event-stream"
	)
	for _, good := range []string{role + text + finish + done, role + text + fault, role + text + text + finish + done} {
		for _, rule := range clientRules {
			if against := rule.against(transcriptOf(dialogue{}, kind, good)); len(against) > 0 {
				t.Errorf("%s: %q", rule.name, against)
			}
		}
	}
	for _, test := range []struct {
		rule, contentType string
		usage             bool
		body              string
	}{
		{"the content type", kind + "; charset=utf-8", false, role + finish + done},
		{"every event is one data line", kind, false, ": ping\n\n" + role + finish + done},
		{"every event is one data line", kind, false, role + "event: ping\ndata: {}\n\n" + finish + done},
		{"every event is one data line", kind, false, role + finish + done + "\n"},
		{"every event is one data line", kind, false, role + finish + strings.TrimSpace(done)},
		{"no data is empty", kind, false, role + "data: \n\n" + finish + done},
		{"every data is JSON", kind, false, role + "data: {\n\n" + finish + done},
		{"all chunks have one id", kind, false, role + strings.Replace(finish, `"created":1`, `"created":2`, 1) + done},
		{"all chunks have one id", kind, false, strings.Replace(role+finish, `"id":"i",`, ``, 2) + done},
		{"every choice has an index", kind, false, role + strings.Replace(finish, `"index":0,`, ``, 1) + done},
		{"every choice has an index", kind, false, role + strings.Replace(finish, `"delta":{},`, ``, 1) + done},
		{"every choice has an index", kind, false, role + strings.Replace(text, `,"finish_reason":null`, ``, 1) + finish + done},
		{"a chunk has one choice", kind, false, role + strings.Replace(finish, `"index":0`, `"index":1`, 1) + done},
		{"the role comes first", kind, false, text + finish + done},
		{"the role comes first", kind, false, role + text + role + finish + done},
		{"each choice has one finish reason", kind, false, role + text + done},
		{"each choice has one finish reason", kind, false, role + finish + text + done},
		{"each choice has one finish reason", kind, false, role + strings.Replace(finish, "stop", "load", 1) + done},
		{"each choice has one finish reason", kind, false, role + finish + fault},
		{"usage comes", kind, false, role + finish + usage + done},
		{"usage comes", kind, true, role + finish + done},
		{"usage comes", kind, true, role + usage + finish + done},
		{"usage comes", kind, true, role + finish + strings.Replace(usage, `"choices":[],`, ``, 1) + done},
		{"the last event", kind, false, role + finish},
		{"the last event", kind, false, role + finish + done + done},
		{"the last event", kind, false, role + fault + done},
		{"an error has a message", kind, false, role + strings.Replace(fault, `"code":"c"`, `"code":null`, 1)},
		{"an error has a message", kind, false, role + strings.Replace(fault, `"x"`, `""`, 1)},
		{"an error has a message", kind, false, role + strings.Replace(fault, `"param":null,`, ``, 1)},
	} {
		s := transcriptOf(dialogue{usage: test.usage}, test.contentType, test.body)
		i := slices.IndexFunc(clientRules, func(r clientRule) bool { return strings.HasPrefix(r.name, test.rule) })
		if i < 0 || len(clientRules[i].against(s)) == 0 {
			t.Errorf("%s: nothing is against it in %q", test.rule, test.body)
		}
	}
}
