package ollamaadapter_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
	"github.com/gateway18789/caddy-ollama/ollamaadapter"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
)

// form is one of the forms in which a client can ask for an answer.
type form struct {
	name, path string
	streamed   bool
}

var forms = []form{
	{"chat", "/v1/chat/completions", false},
	{"chat, streamed", "/v1/chat/completions", true},
	{"completion", "/v1/completions", false},
	{"completion, streamed", "/v1/completions", true},
	{"native chat", "/api/chat", false},
	{"native chat, streamed", "/api/chat", true},
}

// inEachForm tests with each form that is wanted, over each version of HTTP.
func inEachForm(t *testing.T, name string, which func(form) bool, test func(t *testing.T, f form, version string)) {
	t.Helper()
	for _, f := range forms {
		for _, version := range []string{http1, http2} {
			if !which(f) {
				continue
			}
			t.Run(fmt.Sprintf("%s, %s, %s", name, f.name, version), func(t *testing.T) {
				t.Parallel()
				test(t, f, version)
			})
		}
	}
}

func anyForm(form) bool       { return true }
func streamed(f form) bool    { return f.streamed }
func whole(f form) bool       { return !f.streamed }
func withChoices(f form) bool { return !f.native() }

func (f form) native() bool { return f.path == "/api/chat" }
func (f form) text() bool   { return f.path == "/v1/completions" }

// request asks for an answer, with these fields besides.
func (f form) request(fields ...string) string {
	input := `"messages":[{"role":"user","content":"hi"}]`
	if f.text() {
		input = `"prompt":"hi"`
	}
	fields = append(fields, `"model":"m"`, input, fmt.Sprintf(`"stream":%t`, f.streamed))
	return "{" + strings.Join(fields, ",") + "}"
}

// bounded is the field that asks for at most n tokens.
func (f form) bounded(n int) string {
	if f.native() {
		return fmt.Sprintf(`"options":{"num_predict":%d}`, n)
	}
	return fmt.Sprintf(`"max_tokens":%d`, n)
}

// lines are what Ollama streams to say these words, byte for byte in its own form.
func (f form) lines(words ...string) []string {
	var out []string
	for _, word := range words {
		out = append(out, f.line(word, `"done":false`))
	}
	return append(out, f.line("", fmt.Sprintf(
		`"done":true,"done_reason":"stop","total_duration":1,"prompt_eval_count":%d,"eval_count":%d`, promptTokens, len(words))))
}

// promptTokens are those of every prompt.
const promptTokens = 7

func (f form) line(word, state string) string {
	quoted, err := json.Marshal(word)
	if err != nil {
		panic(err) // a string always marshals
	}
	said := fmt.Sprintf(`"message":{"role":"assistant","content":%s}`, quoted)
	if f.text() {
		said = fmt.Sprintf(`"response":%s`, quoted)
	}
	return fmt.Sprintf(`{"model":"m","created_at":"2026-11-22T16:02:15.123456789Z",%s,%s}`+"\n", said, state)
}

// inTurn is a model that gives these answers one after the other.
func inTurn(all ...ollamatest.Answer) ollamatest.Model {
	turns := make(chan ollamatest.Answer, len(all))
	for _, answer := range all {
		turns <- answer
	}
	return ollamatest.Model{Name: "m", Answer: func(ollama.ChatRequest) ollamatest.Answer { return <-turns }}
}

// startOver is start for a gateway that is spoken with in this version of HTTP.
func startOver(t *testing.T, version string, adapter ollamaadapter.Handler, model ollamatest.Model) (*gateway, *ollamatest.Server) {
	t.Helper()
	adapter.Native = true
	server := ollamatest.NewServer(model)
	t.Cleanup(server.Close)
	return inFrontOver(t, version, adapter, server.Address()), server
}

// seen is what a client sees of an answer.
type seen struct {
	status int
	text   string // of the choices, with a | between them
	finish string // their finish reasons, likewise
	ending string
	code   string // of the error that it ends in; Ollama's own errors have none
}

// The endings of an answer.
const (
	complete = "complete" // [DONE], the whole answer, or the final line
	failed   = "failed"   // an error
)

// wanted is how a request has to end.
type wanted struct {
	seen
	reason   string        // in the audit log
	usage    *record.Usage // likewise
	finished string        // the finish reasons there
}

// check compares with what the client sees from here on, and with the one record.
func (w wanted) check(t *testing.T, g *gateway, l *listener) {
	t.Helper()
	if l.form.native() {
		w.code = ""
	}
	if got := l.rest(t); got != w.seen {
		t.Errorf("the client sees %.300q, want %.300q", fmt.Sprint(got), fmt.Sprint(w.seen))
	}
	w.checkRecord(t, g, l.form)
}

func (w wanted) checkRecord(t *testing.T, g *gateway, f form) {
	t.Helper()
	end := g.ended(t)
	if end.status != w.status || end.reason() != w.reason {
		t.Errorf("the record has status %d, reason %q; want %d, %q", end.status, end.reason(), w.status, w.reason)
	}
	if (end.Usage == nil) != (w.usage == nil) || end.Usage != nil && *end.Usage != *w.usage {
		t.Errorf("the record has usage %+v, want %+v", end.Usage, w.usage)
	}
	if got := strings.Join(end.FinishReasons, "|"); got != w.finished {
		t.Errorf("the record has finish reasons %q, want %q", got, w.finished)
	}
	if told := f.streamed && w.text != ""; (end.TimeToFirstChunk > 0) != told {
		t.Errorf("the record has %v to the first chunk", end.TimeToFirstChunk)
	}
	if n := len(g.endings); n > 0 {
		t.Errorf("%d more endings", n)
	}
}

// reason is what the audit log makes of an ending: if nobody explains it, the status does.
func (e ending) reason() string {
	switch {
	case e.Reason != "":
		return e.Reason
	case e.status == http.StatusOK:
		return record.OK
	case e.status == http.StatusBadRequest:
		return record.BadRequest
	case e.status == http.StatusBadGateway:
		return record.UpstreamError
	}
	return ""
}

// listener is a client that reads an answer as it comes.
type listener struct {
	form  form
	resp  *http.Response
	body  *bufio.Reader
	seen  seen
	texts []string // of the choices
	ends  []string // their finish reasons
	beats int      // parts of a stream that say nothing
}

// ask asks for an answer in a form, with these fields besides.
func (g *gateway) ask(t *testing.T, f form, fields ...string) *listener {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	resp := g.do(t, ctx, http.MethodPost, f.path, f.request(fields...))
	if resp.Proto != g.version {
		t.Fatalf("%s is spoken, not %s", resp.Proto, g.version)
	}
	want := "application/json"
	if f.streamed && resp.StatusCode == http.StatusOK {
		want = "text/event-stream"
		if f.native() {
			want = "application/x-ndjson"
		}
	}
	if got := resp.Header.Get("Content-Type"); got != want {
		t.Errorf("content type %q of a %s", got, resp.Status)
	}
	return &listener{form: f, resp: resp, body: bufio.NewReader(resp.Body), seen: seen{status: resp.StatusCode}}
}

// rest reads on to the end.
func (l *listener) rest(t *testing.T) seen {
	t.Helper()
	for l.next(t) {
	}
	l.seen.text, l.seen.finish = abridged(strings.Join(l.texts, "|")), strings.Join(l.ends, "|")
	return l.seen
}

// hear reads on until there were n heartbeats more.
func (l *listener) hear(t *testing.T, n int) {
	t.Helper()
	for n += l.beats; l.beats < n; {
		if !l.next(t) {
			t.Fatal("the answer ended where a heartbeat was to come")
		}
	}
}

// next reads the next part of the answer, if there is one. Nothing may come after
// an ending.
func (l *listener) next(t *testing.T) bool {
	t.Helper()
	part := l.part(t)
	switch {
	case part == "":
		return false
	case l.seen.ending != "":
		t.Errorf("after its end the answer says %.100q", part)
	case part == "[DONE]":
		l.seen.ending = complete
	default:
		l.take(t, part)
	}
	return true
}

// part is the next event, or line, or all of a whole answer; empty at the end.
func (l *listener) part(t *testing.T) string {
	t.Helper()
	stream := l.form.streamed && l.seen.status == http.StatusOK
	if stream && !l.form.native() {
		return reader{l.body}.next(t)
	}
	part, err := l.body.ReadString('\n')
	for err == nil && !stream {
		var more string
		more, err = l.body.ReadString('\n')
		part += more
	}
	if err != nil && err != io.EOF {
		t.Fatalf("after %.100q: %v", part, err)
	}
	return part
}

// take takes what a part says.
func (l *listener) take(t *testing.T, part string) {
	t.Helper()
	type message struct{ Content string }
	var said struct {
		Choices []struct {
			Index          *int
			Text           string
			Delta, Message message
			FinishReason   string `json:"finish_reason"`
		}
		Message    message // from here on Ollama's own
		Done       bool
		DoneReason string `json:"done_reason"`
		Error      json.RawMessage
	}
	if err := json.Unmarshal([]byte(part), &said); err != nil || strings.Contains(part, canary) {
		t.Fatalf("the client is told %.300q: %v", part, err)
	}
	switch {
	case said.Error != nil:
		l.fail(t, said.Error)
		return
	case l.form.native():
		l.add(t, 0, said.Message.Content, said.DoneReason)
	}
	for _, choice := range said.Choices {
		if choice.Index == nil {
			t.Fatalf("a choice without index: %.300q", part)
		}
		l.add(t, *choice.Index, choice.Text+choice.Delta.Content+choice.Message.Content, choice.FinishReason)
	}
	if said.Done || !l.form.streamed {
		l.seen.ending = complete
	}
}

// add adds to the last choice, which is not finished, or to the one after it.
func (l *listener) add(t *testing.T, i int, text, finish string) {
	t.Helper()
	if i == len(l.texts) {
		l.texts, l.ends = append(l.texts, ""), append(l.ends, "")
	}
	if i != len(l.texts)-1 || l.ends[i] != "" {
		t.Fatalf("choice %d says %.100q after its end", i, text)
	}
	l.texts[i] += text
	l.ends[i] = finish
	if text == "" && finish == "" {
		l.beats++
	}
}

// fail takes the error that an answer ends in.
func (l *listener) fail(t *testing.T, raw json.RawMessage) {
	t.Helper()
	var fault struct{ Message, Type, Code string }
	var err error
	if l.form.native() {
		err = json.Unmarshal(raw, &fault.Message)
	} else {
		err = json.Unmarshal(raw, &fault)
	}
	if err != nil || fault.Message == "" || !l.form.native() && (fault.Type == "" || fault.Code == "") {
		t.Errorf("no error that a client can read: %s", raw)
	}
	l.seen.ending, l.seen.code = failed, fault.Code
}
