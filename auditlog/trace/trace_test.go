package trace

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/gateway18789/caddy-ollama/auditlog/entry"
)

func story() *Story {
	begin := time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)
	n := func(i int64) *int64 { return &i }
	s := New("c-1")
	for _, e := range []entry.Entry{
		{Time: begin.Add(time.Minute), RequestID: "r-2", User: "bot", Model: "qwen", Status: 200, Outcome: "success", Reason: "ok", Conversation: "c-1",
			Input: n(812), Output: n(240), FirstChunk: 250 * time.Millisecond, Duration: 1500 * time.Millisecond, Stream: true},
		{Time: begin, RequestID: "r-1", User: "bot", Model: "nope", Status: 404, Outcome: "failure", Reason: "model_not_found", Conversation: "c-1", Duration: time.Millisecond},
		{Time: begin.Add(2 * time.Minute), RequestID: "r-3", User: "bot", Model: "qwen", Status: 499, Outcome: "unknown", Reason: "client_gone", Conversation: "c-1",
			Output: n(17), Estimated: true, Duration: 2 * time.Second, Stream: true},
		{Time: begin.Add(3 * time.Minute), RequestID: "r-4", User: "bot", Model: "qwen", Status: 200, Outcome: "failure", Reason: "upstream_stalled", Conversation: "c-1"},
		{Time: begin, RequestID: "r-x", Outcome: "success", Reason: "ok", Conversation: "c-2"},
		{Time: begin, RequestID: "r-y", Outcome: "success", Reason: "ok"},
		{Time: begin, Action: "audit-file-opened", Reason: "created"},
	} {
		s.Add(e)
	}
	s.Sort()
	return s
}

func TestTheStoryAsATable(t *testing.T) {
	var b strings.Builder
	if err := story().WriteTable(&b); err != nil {
		t.Fatal(err)
	}
	const want = `
time                      request  user  model  status  reason            in   out  first chunk  duration  stream
2026-11-24 08:00:00.000Z  r-1      bot   nope   404     model_not_found   -    -    -            0.001s    no
2026-11-24 08:01:00.000Z  r-2      bot   qwen   200     ok                812  240  0.250s       1.500s    yes
2026-11-24 08:02:00.000Z  r-3      bot   qwen   499     client_gone       -    ~17  -            2.000s    yes
2026-11-24 08:03:00.000Z  r-4      bot   qwen   200     upstream_stalled  -    -    -            -         no

4 requests: 1 answered, 1 refused, 1 failed, 1 unknown; tokens 812 in, 257 out; 3.501s
~ of 1 requests the output was counted from the stream, and the input is not known
`
	if got := b.String(); got != want[1:] {
		t.Errorf("got\n%swant%s", got, want)
	}
}

func TestTheStoryAsJSON(t *testing.T) {
	var b strings.Builder
	if err := story().WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Conversation string
		Requests     []map[string]any
		Totals       map[string]any
	}
	if err := json.Unmarshal([]byte(b.String()), &got); err != nil {
		t.Fatal(err)
	}
	if got.Conversation != "c-1" || len(got.Requests) != 4 {
		t.Fatalf("got %s", b.String())
	}
	for name, want := range map[string]any{
		"time": "2026-11-24T08:02:00Z", "request_id": "r-3", "status": 499.0, "reason": "client_gone", "outcome": "unknown",
		"input_tokens": nil, "output_tokens": 17.0, "usage_estimated": true, "time_to_first_chunk": nil, "duration": 2.0, "stream": true,
	} {
		if value, ok := got.Requests[2][name]; !ok || value != want {
			t.Errorf("%s is %v, want %v", name, value, want)
		}
	}
	for name, want := range map[string]any{"requests": 4.0, "answered": 1.0, "refused": 1.0, "failed": 1.0, "unknown": 1.0,
		"input_tokens": 812.0, "output_tokens": 257.0, "usage_estimated": 1.0, "duration": 3.501} {
		if got.Totals[name] != want {
			t.Errorf("total %s is %v, want %v", name, got.Totals[name], want)
		}
	}
}

func TestAConversationThatIsNotThere(t *testing.T) {
	var table, object strings.Builder
	s := New("c-9")
	if err := s.WriteTable(&table); err != nil || !strings.Contains(table.String(), "\n0 requests") {
		t.Errorf("%s (%v)", table.String(), err)
	}
	if err := s.WriteJSON(&object); err != nil || !strings.Contains(object.String(), `"requests":[]`) {
		t.Errorf("%s (%v)", object.String(), err)
	}
}

// What a client has sent must not get at the terminal of who reads it.
func TestNothingHidesInAStory(t *testing.T) {
	const evil = "\x1b]0;x\x07\u202e\u009b\n\t" + "\x7f"
	s := New(evil)
	s.Add(entry.Entry{Time: time.Unix(0, 0), RequestID: evil, User: evil, SourceIP: evil, Model: evil, Operation: evil, Outcome: evil, Reason: evil, Conversation: evil})
	if len(s.Requests) != 1 {
		t.Fatal("it is not found")
	}
	var table, object strings.Builder
	if err := s.WriteTable(&table); err != nil {
		t.Fatal(err)
	}
	if err := s.WriteJSON(&object); err != nil {
		t.Fatal(err)
	}
	for form, text := range map[string]string{"table": table.String(), "JSON": strings.TrimSuffix(object.String(), "\n")} {
		if strings.ContainsAny(text, "\x1b\x07\u202e\u009b\t\x7f") || form == "JSON" && strings.Contains(text, "\n") {
			t.Errorf("%s: %q", form, text)
		}
	}
	var back struct{ Conversation string }
	if err := json.Unmarshal([]byte(object.String()), &back); err != nil || back.Conversation != evil {
		t.Errorf("the JSON says %q (%v)", back.Conversation, err)
	}
}
