package ollamaadapter_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/gateway18789/caddy-ollama/ollamaadapter"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
)

// dialogue is a request for a stream, what Ollama answers, and what the client
// must read, heartbeats aside.
type dialogue struct {
	name        string
	text, usage bool // of /v1/completions; with include_usage
	n           int
	fields      string
	answer      ollamatest.Answer
	want        []string
}

func (d dialogue) choices() int { return max(d.n, 1) }

func (d dialogue) object() string {
	if d.text {
		return "text_completion"
	}
	return "chat.completion.chunk"
}

// request is its path and body.
func (d dialogue) request() (path, body string) {
	fields := `"stream":true,"n":` + strconv.Itoa(d.choices()) + d.fields
	if d.usage {
		fields += `,"stream_options":{"include_usage":true}`
	}
	if d.text {
		return "/v1/completions", `{"model":"m","prompt":"hi",` + fields + `}`
	}
	return "/v1/chat/completions", saying(fields)
}

var (
	called = []ollama.ToolCall{
		{Function: ollama.FunctionCall{Name: "f", Arguments: []byte(`{"a":1}`)}}, {Function: ollama.FunctionCall{Name: "g", Arguments: []byte(`{}`)}},
	}
	pieces = []string{"hel", "lo"}
)

var dialogues = []dialogue{
	{name: "text", answer: ollamatest.Answer{Content: pieces}, want: []string{"0 role assistant", "0 hel", "0 lo", "0 finish stop", "[DONE]"}},
	{name: "text that looks like the end of a stream", answer: ollamatest.Answer{Content: []string{"\n\ndata: [DONE]\n\n", "\r\u2028"}},
		want: []string{"0 role assistant", "0 \n\ndata: [DONE]\n\n", "0 \r\u2028", "0 finish stop", "[DONE]"}},
	{name: "usage, asked for", usage: true, answer: ollamatest.Answer{Content: pieces, PromptTokens: 3},
		want: []string{"0 role assistant", "0 hel", "0 lo", "0 finish stop", "usage 5", "[DONE]"}},
	{name: "usage, refused", fields: `,"stream_options":{"include_usage":false}`, answer: ollamatest.Answer{Content: pieces},
		want: []string{"0 role assistant", "0 hel", "0 lo", "0 finish stop", "[DONE]"}},
	{name: "nothing said", usage: true, answer: ollamatest.Answer{}, want: []string{"0 role assistant", "0 finish stop", "usage 0", "[DONE]"}},
	{name: "an end at the limit", answer: ollamatest.Answer{Content: pieces, DoneReason: "length"},
		want: []string{"0 role assistant", "0 hel", "0 lo", "0 finish length", "[DONE]"}},
	{name: "an end of a kind that SDKs do not know", answer: ollamatest.Answer{Content: pieces, DoneReason: "load"},
		want: []string{"0 role assistant", "0 hel", "0 lo", "0 finish stop", "[DONE]"}},
	{name: "more tokens than were asked for", fields: `,"max_tokens":1`, answer: ollamatest.Answer{Content: pieces},
		want: []string{"0 role assistant", "0 hel", "0 finish length", "[DONE]"}},
	{name: "reasoning", answer: ollamatest.Answer{Thinking: []string{"h", "m"}, Content: pieces},
		want: []string{"0 role assistant", "0 thinks h", "0 thinks m", "0 hel", "0 lo", "0 finish stop", "[DONE]"}},
	{name: "tools", usage: true, answer: ollamatest.Answer{Thinking: []string{"hm"}, Content: []string{"so"}, ToolCalls: called},
		want: []string{"0 role assistant", "0 thinks hm", "0 so", "0 2 calls", "0 finish tool_calls", "usage 4", "[DONE]"}},
	{name: "two choices", n: 2, usage: true, answer: ollamatest.Answer{Content: pieces},
		want: []string{"0 role assistant", "0 hel", "0 lo", "0 finish stop", "1 role assistant", "1 hel", "1 lo", "1 finish stop", "usage 4", "[DONE]"}},
	{name: "two choices of lines as Ollama itself writes them", n: 2, answer: ollamatest.Answer{Raw: ollamasLines(`"message":{"role":"assistant","content":"hi"}`)},
		want: []string{"0 role assistant", "0 hi", "0 hi", "0 finish stop", "1 role assistant", "1 hi", "1 hi", "1 finish stop", "[DONE]"}},
	{name: "two completions of such lines", text: true, n: 2, answer: ollamatest.Answer{Raw: ollamasLines(`"response":"hi"`)},
		want: []string{"0 hi", "0 hi", "0 finish stop", "1 hi", "1 hi", "1 finish stop", "[DONE]"}},
	{name: "a completion", text: true, usage: true, answer: ollamatest.Answer{Content: pieces}, want: []string{"0 hel", "0 lo", "0 finish stop", "usage 2", "[DONE]"}},
	{name: "two completions with their prompt", text: true, n: 2, fields: `,"echo":true`, answer: ollamatest.Answer{Content: pieces},
		want: []string{"0 hi", "0 hel", "0 lo", "0 finish stop", "1 hi", "1 hel", "1 lo", "1 finish stop", "[DONE]"}},
	{name: "an error in the midst", usage: true, answer: ollamatest.Answer{Content: pieces, Fault: ollamatest.ErrorLine, FaultAt: 1},
		want: []string{"0 role assistant", "0 hel", "error upstream_error"}},
	{name: "an error in the midst of a completion", text: true, usage: true, answer: ollamatest.Answer{Content: pieces, Fault: ollamatest.ErrorLine, FaultAt: 1},
		want: []string{"0 hel", "error upstream_error"}},
	{name: "an error in place of the end", n: 2, answer: ollamatest.Answer{Content: pieces, Fault: ollamatest.ErrorLine, FaultAt: 2},
		want: []string{"0 role assistant", "0 hel", "0 lo", "error upstream_error"}},
	{name: "a cut", usage: true, answer: ollamatest.Answer{Content: pieces, Fault: ollamatest.Cut, FaultAt: 1},
		want: []string{"0 role assistant", "0 hel", "error upstream_error"}},
	{name: "an end without a final line", answer: ollamatest.Answer{Content: pieces, Fault: ollamatest.CleanClose, FaultAt: 1},
		want: []string{"0 role assistant", "0 hel", "error upstream_error"}},
	{name: "garbage", answer: ollamatest.Answer{Content: pieces, Fault: ollamatest.Garbage, FaultAt: 1},
		want: []string{"0 role assistant", "0 hel", "error upstream_error"}},
	{name: "a stall", usage: true, answer: ollamatest.Answer{Content: pieces, Fault: ollamatest.Stall, FaultAt: 1},
		want: []string{"0 role assistant", "0 hel", "error upstream_timeout"}},
}

// ollamasLines are two lines that say the same, and a last one, with all the fields
// that Ollama itself writes.
func ollamasLines(says string) []string {
	line := `{"model":"m","created_at":"2026-01-01T00:00:00Z",` + says + `,"done":false}` + "\n"
	return []string{line, line, `{"model":"m","created_at":"2026-01-01T00:00:00Z","done":true,"done_reason":"stop"}` + "\n"}
}

// shortStall makes a stall an event of a test; everything else comes much sooner.
const shortStall = 1500 * time.Millisecond

func TestEveryStreamKeepsTheRulesOfItsClients(t *testing.T) {
	for _, d := range dialogues {
		adapter := ollamaadapter.Handler{}
		if d.answer.Fault == ollamatest.Stall {
			adapter.StallTimeout = lasting(shortStall)
		}
		t.Run(d.name, func(t *testing.T) {
			g, _ := start(t, adapter, answers(d.answer))
			s := hear(t, g, d, nil)
			keepsRules(t, s, d.want)
			if strings.Contains(s.body, `"delta":{},"logprobs":null,"finish_reason":null`) {
				t.Errorf("a heartbeat long before it is due: %s", s.body)
			}
		})
		t.Run(d.name+", with heartbeats before each line", func(t *testing.T) {
			pace := make(chan struct{})
			d, adapter := d, adapter
			d.answer.Pace, adapter.Heartbeat = pace, lasting(20*time.Millisecond)
			g, _ := start(t, adapter, answers(d.answer))
			keepsRules(t, hear(t, g, d, pace), d.want)
		})
	}
}

// Where the status is out already, even what fails at once is an error event.
func TestAFailureAfterHeartbeatsKeepsTheRulesToo(t *testing.T) {
	for _, d := range []dialogue{
		{name: "an error", answer: ollamatest.Answer{Fault: ollamatest.ErrorLine}, want: []string{"0 role assistant", "error upstream_error"}},
		{name: "a cut", n: 2, usage: true, answer: ollamatest.Answer{Fault: ollamatest.Cut}, want: []string{"0 role assistant", "error upstream_error"}},
		{name: "an error of a completion", text: true, answer: ollamatest.Answer{Fault: ollamatest.ErrorLine}, want: []string{"error upstream_error"}},
	} {
		t.Run(d.name, func(t *testing.T) {
			pace := make(chan struct{})
			d.answer.Pace = pace
			g, _ := start(t, ollamaadapter.Handler{Heartbeat: lasting(20 * time.Millisecond)}, answers(d.answer))
			keepsRules(t, hear(t, g, d, pace), d.want)
		})
	}
}

func lasting(d time.Duration) *caddy.Duration { return (*caddy.Duration)(&d) }

// hear reads a stream. If there is a pace, three heartbeats must come before each
// line of Ollama's.
func hear(t *testing.T, g *gateway, d dialogue, pace chan<- struct{}) *transcript {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	path, body := d.request()
	resp := g.do(t, ctx, http.MethodPost, path, body)
	if resp.StatusCode != 200 {
		t.Fatalf("%s: %s", resp.Status, read(t, resp))
	}
	contentType := strings.Join(resp.Header.Values("Content-Type"), ", ")
	lines := bufio.NewReader(resp.Body)
	all, beats := "", 0 // beats since the last thing that was said
	for {
		line, err := lines.ReadString('\n')
		all += line
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			if heard(strings.TrimSuffix(data, "\n")).says() != "" {
				beats = 0
			} else if beats++; beats == 3 && pace != nil {
				within(t, takes(pace), "Ollama's next line")
			}
		}
		if err == io.EOF {
			return transcriptOf(d, contentType, all)
		}
		if err != nil || strings.Count(all, "\n") > 400 {
			t.Fatalf("it has no end: %.9999q, %v", all, err)
		}
	}
}

// takes lets a scripted answer go on by a line, and tells when it has.
func takes(pace chan<- struct{}) <-chan struct{} {
	taken := make(chan struct{})
	go func() {
		pace <- struct{}{}
		close(taken)
	}()
	return taken
}
