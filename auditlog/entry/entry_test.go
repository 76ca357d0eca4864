package entry

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
)

func full() *record.Record {
	return &record.Record{
		Start: time.Date(2026, 11, 22, 5, 14, 15, 123456000, time.UTC), Duration: 1500 * time.Millisecond, Reason: record.OK, Sequence: 7,
		RequestID: "id-1", Method: "POST", Path: "/v1/chat/completions", Status: 200, SourceIP: "192.0.2.1", UserID: "clawdbot",
		Operation: "chat", RequestModel: "qwen", ResponseModel: "qwen3:32b", Stream: true,
		Usage: &record.Usage{InputTokens: 812, OutputTokens: 240}, TimeToFirstChunk: 250 * time.Millisecond, ConversationID: "c-1",
		FinishReasons: []string{"stop"},
	}
}

func fullEntry() Entry {
	in, out := int64(812), int64(240)
	return Entry{
		Time: full().Start, Outcome: "success", Reason: "ok", Duration: 1500 * time.Millisecond,
		RequestID: "id-1", Method: "POST", Path: "/v1/chat/completions", Status: 200, SourceIP: "192.0.2.1", User: "clawdbot",
		Conversation: "c-1", Operation: "chat", Model: "qwen", ResponseModel: "qwen3:32b", Stream: true,
		Input: &in, Output: &out, FirstChunk: 250 * time.Millisecond,
	}
}

func parse(t *testing.T, line string) Entry {
	t.Helper()
	e, err := NewParser().Parse([]byte(line))
	if err != nil {
		t.Fatalf("%v in %s", err, line)
	}
	return e
}

// As Caddy's own encoder writes a record.
func TestARecordOfCaddysEncoder(t *testing.T) {
	encoder := zapcore.NewJSONEncoder(zapcore.EncoderConfig{
		MessageKey: "msg", LevelKey: "level", TimeKey: "ts", NameKey: "logger",
		EncodeTime: zapcore.EpochTimeEncoder, EncodeLevel: zapcore.LowercaseLevelEncoder,
	})
	line, err := encoder.EncodeEntry(zapcore.Entry{Time: time.Now(), LoggerName: "http.handlers.audit_log", Message: "request"},
		[]zapcore.Field{zap.Inline(full())})
	if err != nil {
		t.Fatal(err)
	}
	if got := parse(t, strings.TrimSpace(line.String())); !reflect.DeepEqual(got, fullEntry()) {
		t.Errorf("got %+v, want %+v", got, fullEntry())
	}
}

func TestANestedRecord(t *testing.T) {
	got := parse(t, `{"@timestamp":"2026-11-22T05:14:15.123456Z","log":{"level":"info","logger":"http.handlers.audit_log"},"message":"request",`+
		`"event":{"kind":"event","category":["web"],"outcome":"success","reason":"ok","duration":1500000000},`+
		`"http":{"version":"2.0","request":{"id":"id-1","method":"POST"},"response":{"status_code":200}},"url":{"path":"/v1/chat/completions"},`+
		`"source":{"ip":"192.0.2.1"},"user":{"id":"clawdbot"},"gen_ai":{"conversation":{"id":"c-1"},"operation":{"name":"chat"},`+
		`"request":{"model":"qwen","stream":true},"response":{"model":"qwen3:32b","finish_reasons":["stop"],"time_to_first_chunk":0.25},`+
		`"usage":{"input_tokens":812,"output_tokens":240}},"related":{"ip":["192.0.2.1"],"user":["x"]},`+
		`"event.sequence":7,"event.hash":"00"}`)
	if !reflect.DeepEqual(got, fullEntry()) {
		t.Errorf("got %+v, want %+v", got, fullEntry())
	}
}

func TestParts(t *testing.T) {
	for _, test := range []struct {
		name, line string
		want       Entry
	}{
		{"nothing", `{}`, Entry{}},
		{"nothing that is known", `{"a":{"b":[{"c":1}]},"event":{"x":{}}}`, Entry{}},
		{"half dotted, half nested", `{"gen_ai.request":{"model":"m"},"http":{"request.id":"r"}}`, Entry{Model: "m", RequestID: "r"}},
		{"a dotted name below another is no field", `{"x":{"user.id":"u"},"labels":{"user":{"id":"u"}}}`, Entry{}},
		{"a name that is only like one", `{"users.id":"u","user":{"ids":"u"},"event.outcomes":"x"}`, Entry{}},
		{"no value", `{"user.id":null,"user":null}`, Entry{}},
		{"an object that is a text", `{"user":"u","event":7}`, Entry{}},
		{"a label that is a text", `{"labels.usage_estimated":"true"}`, Entry{Estimated: true}},
		{"a label that is true", `{"labels":{"usage_estimated":true}}`, Entry{Estimated: true}},
		{"a label that is false", `{"labels":{"usage_estimated":"false"}}`, Entry{}},
		{"a duration with a point", `{"event.duration":1.5e9}`, Entry{Duration: 1500 * time.Millisecond}},
		{"escapes", `{"user.id":"a\u202e\n\"b"}`, Entry{User: "a\u202e\n\"b"}},
		{"blanks", ` { "user.id" : "u" } `, Entry{User: "u"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := parse(t, test.line); !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

func TestNoTokensAndNoneAreTwoThings(t *testing.T) {
	if e := parse(t, `{"gen_ai.usage.input_tokens":0}`); e.Input == nil || *e.Input != 0 || e.Output != nil {
		t.Errorf("input %v, output %v", e.Input, e.Output)
	}
}

func TestLongTextsAreCut(t *testing.T) {
	e := parse(t, `{"user.id":"x`+strings.Repeat("é", longestText)+`"}`)
	if len(e.User) != longestText-1 || !utf8.ValidString(e.User) {
		t.Errorf("%d bytes", len(e.User))
	}
}

func TestLinesThatAreNoRecords(t *testing.T) {
	for _, test := range []struct{ name, line, want string }{
		{"nothing", ``, "no JSON object"},
		{"a list", `[]`, "no JSON object"},
		{"half an object", `{"user.id":"u"`, "no JSON object, from byte 15 on"},
		{"half a text", `{"user.id":"u`, "no JSON object, from byte 14 on"},
		{"no JSON", `{"user.id":secret}`, "from byte 12 on"},
		{"two objects", `{}{}`, "behind the JSON object"},
		{"a name that is there twice", `{"user.id":"a","user.id":"b"}`, "no JSON object"},
		{"a nested name that is there twice", `{"user":{"id":"a","id":"b"}}`, "no JSON object"},
		{"no UTF-8", "{\"user.id\":\"\xff\"}", "no JSON object"},
		{"a number for a text", `{"user.id":7}`, "user.id: no text"},
		{"an object for a text", `{"user":{"id":{}}}`, "user.id: no text"},
		{"a list for a text", `{"user.id":[]}`, "user.id: no text"},
		{"a text for a number", `{"http.response.status_code":"200"}`, "status_code: no number"},
		{"a status that is none", `{"http.response.status_code":1000}`, "no status"},
		{"a part of a token", `{"gen_ai.usage.input_tokens":1.5}`, "no whole number"},
		{"less than no tokens", `{"gen_ai.usage.input_tokens":-1}`, "no whole number"},
		{"too many tokens", `{"gen_ai.usage.output_tokens":9223372036854775807}`, "no whole number"},
		{"a duration below nothing", `{"event.duration":-1}`, "no duration"},
		{"a duration beyond all", `{"event.duration":1e300}`, "no duration"},
		{"no time", `{"@timestamp":"today"}`, "RFC 3339"},
		{"a time that is a number", `{"@timestamp":1}`, "RFC 3339"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := NewParser()
			_, err := p.Parse([]byte(test.line))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			} else if strings.Contains(err.Error(), "secret") {
				t.Errorf("%v repeats what the line says", err)
			}
			// and the next line is read as if nothing had been
			if e, err := p.Parse([]byte(`{"user":{"id":"u"}}`)); err != nil || e.User != "u" {
				t.Errorf("then: %+v, %v", e, err)
			}
		})
	}
}

func TestWhatIsARequest(t *testing.T) {
	for line, want := range map[string]bool{
		`{"@timestamp":"2026-11-24T08:00:00Z","http.request.id":"r","event.outcome":"success","event.reason":"ok"}`:    true,
		`{"@timestamp":"2026-11-24T08:00:00Z","http.request.id":"r","event.outcome":"unknown","event.reason":"crash"}`: true,
		`{"@timestamp":"2026-11-24T08:00:00Z","event.action":"audit-file-opened","event.reason":"created"}`:            false,
		`{"@timestamp":"2026-11-24T08:00:00Z","http.request.id":"r","http.response.status_code":200}`:                  false,
		`{"http.request.id":"r","event.outcome":"success","event.reason":"ok"}`:                                        false,
		`{"level":"info","msg":"handled request","request":{"method":"GET"}}`:                                          false,
	} {
		if got := parse(t, line).IsRequest(); got != want {
			t.Errorf("%s: %v", line, got)
		}
	}
}

func TestKinds(t *testing.T) {
	for _, test := range []struct {
		outcome string
		status  int
		want    Kind
	}{
		{"success", 200, Answered}, {"failure", 401, Refused}, {"failure", 429, Refused}, {"failure", 502, Failed},
		{"failure", 503, Failed}, {"failure", 200, Failed}, {"unknown", 499, Unknown}, {"unknown", 0, Unknown},
	} {
		if got := (Entry{Outcome: test.outcome, Status: test.status}).Kind(); got != test.want {
			t.Errorf("%s %d: %v, want %v", test.outcome, test.status, got, test.want)
		}
	}
}

// The parser never falls over, takes nothing that encoding/json does not take for an
// object, and finds a dotted text that encoding/json finds.
func FuzzParse(f *testing.F) {
	f.Add(`{"user.id":"u","event":{"outcome":"success"},"gen_ai.usage.input_tokens":5}`)
	f.Add(`{"@timestamp":"2026-11-24T08:00:00Z","http":{"request":{"id":"r"},"response":{"status_code":200}}}`)
	f.Add(`{"gen_ai.request":{"stream":true},"labels":{"usage_estimated":"true"},"event.duration":1e9}`)
	f.Add(`{"a":[[[{}]]],"user.id":"\ud800"}`)
	p := NewParser()
	f.Fuzz(func(t *testing.T, line string) {
		e, err := p.Parse([]byte(line))
		if err != nil {
			return
		}
		var members map[string]any
		if json.Unmarshal([]byte(line), &members) != nil || members == nil {
			t.Fatalf("taken: %q", line)
		}
		if user, ok := members["user.id"].(string); ok && members["user"] == nil && len(user) <= longestText && e.User != user {
			t.Errorf("user.id is %q, want %q", e.User, user)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	line := []byte(fmt.Sprintf(`{"@timestamp":"2026-11-22T05:14:15.123456Z","log":{"level":"info","logger":"http.handlers.audit_log"},"message":"request","ecs":{"version":"9.4.0"},"service":{"name":"caddy-ollama"},"event":{"kind":"event","category":["web"],"type":["access"],"action":"request","dataset":"caddy_ollama.audit","module":"caddy_ollama","outcome":"success","reason":"ok","duration":1500000000},"http":{"version":"2.0","request":{"id":"0192f0c1-7d3a-7c55-9b1f-0242ac120002","method":"POST"},"response":{"status_code":200}},"url":{"path":"/v1/chat/completions"},"source":{"ip":"192.0.2.1"},"user":{"id":"clawdbot"},"gen_ai":{"operation":{"name":"chat"},"request":{"model":"qwen3:32b","stream":true},"usage":{"input_tokens":812,"output_tokens":240}},"event.sequence":7,"event.hash":%q}`, strings.Repeat("0", 64)))
	p := NewParser()
	b.SetBytes(int64(len(line)) + 1)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Parse(line); err != nil {
			b.Fatal(err)
		}
	}
}
