package ecs

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
)

// newEncoder is an encoder as Caddy makes it.
func newEncoder(tb testing.TB, config string) *Encoder {
	tb.Helper()
	module, err := newContext(tb).LoadModuleByID("caddy.logging.encoders.ecs", []byte(config))
	if err != nil {
		tb.Fatal(err)
	}
	return module.(*Encoder)
}

func newContext(tb testing.TB) caddy.Context {
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	tb.Cleanup(cancel)
	return ctx
}

var at = time.Date(2026, 11, 22, 13, 14, 15, 123456789, time.FixedZone("CST", 8*3600))

const auditLogger = "http.handlers.audit_log"

// entryOf is a log entry of a logger of Caddy's.
func entryOf(logger string) zapcore.Entry {
	return zapcore.Entry{Level: zapcore.InfoLevel, Time: at, LoggerName: logger, Message: "request"}
}

// full is an audit record with everything.
func full() *record.Record {
	return &record.Record{
		Start: at, Duration: 1500 * time.Millisecond, Reason: record.OK, Sequence: 7,
		RequestID: "0191f0c4-1111-7000-8000-000000000000", Method: "POST", Path: "/v1/chat/completions", Status: 200,
		HTTPVersion: "2.0", UserAgent: "openai-python/1.0",
		SourceIP: "192.0.2.1", UserID: "clawdbot", QueueWait: time.Millisecond,
		TraceID: "4bf92f3577b34da6a3ce929d0e0e4736", SpanID: "00f067aa0ba902b7",
		ClientSubject: "CN=clawdbot", ClientFingerprint: strings.Repeat("AB", 32),
		Operation: "chat", Provider: "ollama", RequestModel: "qwen3", ResponseModel: "qwen3:32b", Stream: true,
		Usage: &record.Usage{InputTokens: 7, OutputTokens: 9}, FinishReasons: []string{"stop"},
		TimeToFirstChunk: 250 * time.Millisecond, ConversationID: "conv_0123456789abcdef0123456789abcdef",
		ContextTruncated: true, LoadDuration: time.Millisecond, PromptDuration: time.Millisecond, GenerationDuration: time.Second,
	}
}

// accessFields are those of Caddy's access log.
func accessFields(method, target string) []zapcore.Field {
	r := httptest.NewRequest(method, target, nil)
	r = caddyhttp.PrepareRequest(r, caddy.NewReplacer(), nil, nil)
	caddyhttp.SetVar(r.Context(), caddyhttp.ClientIPVarKey, "192.0.2.1")
	r.Header.Set("User-Agent", "openai-python/1.0")
	r.Header.Set("X-Api-Key", "CANARY")
	return []zapcore.Field{
		zap.Object("request", caddyhttp.LoggableHTTPRequest{Request: r}),
		zap.Int("bytes_read", 10), zap.String("user_id", "bot"), zap.Duration("duration", 1500*time.Millisecond),
		zap.Int("size", 20), zap.Int("status", 200),
		zap.Object("resp_headers", caddyhttp.LoggableHTTPHeader{Header: http.Header{"X-Token": {"CANARY"}}}),
	}
}

// encode writes one line and checks what holds for all.
func encode(tb testing.TB, enc zapcore.Encoder, ent zapcore.Entry, fields ...zapcore.Field) string {
	tb.Helper()
	buf, err := enc.EncodeEntry(ent, fields)
	if err != nil {
		tb.Fatal(err)
	}
	line := buf.String()
	buf.Free()
	checkLine(tb, line)
	return line
}

// checkLine checks a line: one object of valid UTF-8 with no name twice, no longer
// than it may be, and nothing in it that is not to be seen.
func checkLine(tb testing.TB, line string) {
	tb.Helper()
	if len(line) > maxLine-180 { // which is more than audit_file adds
		tb.Errorf("the line has %d bytes", len(line))
	}
	text, ended := strings.CutSuffix(line, "\n")
	if !ended {
		tb.Errorf("the line does not end: %q", line)
	}
	if !jsontext.Value(text).IsValid() { // strict: names and UTF-8, too
		tb.Errorf("no valid JSON: %q", line)
	}
	for _, r := range text {
		if r < ' ' || 0x7f <= r && r <= 0x9f || r == 0x61c || r == 0x200e || r == 0x200f ||
			0x2028 <= r && r <= 0x202e || 0x2066 <= r && r <= 0x2069 {
			tb.Errorf("the line has a raw %U: %q", r, line)
		}
	}
}

// fieldsOf are a line's fields by their dotted names.
func fieldsOf(tb testing.TB, line string) map[string]any {
	tb.Helper()
	var object map[string]any
	if err := json.Unmarshal([]byte(line), &object); err != nil {
		tb.Fatalf("%v in %s", err, line)
	}
	fields := make(map[string]any)
	var flatten func(prefix string, object map[string]any)
	flatten = func(prefix string, object map[string]any) {
		for name, value := range object {
			if inner, ok := value.(map[string]any); ok {
				flatten(prefix+name+".", inner)
			} else if _, twice := fields[prefix+name]; twice {
				tb.Errorf("%s is there both nested and dotted: %s", prefix+name, line)
			} else {
				fields[prefix+name] = value
			}
		}
	}
	flatten("", object)
	return fields
}
