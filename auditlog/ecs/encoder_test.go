package ecs

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/logging"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

func TestARecordNested(t *testing.T) {
	got := encode(t, newEncoder(t, `{}`), entryOf(auditLogger), zap.Inline(full()))
	for _, part := range []string{
		`{"@timestamp":"2026-11-22T05:14:15.123456Z","log":{"level":"info","logger":"http.handlers.audit_log"},"message":"request","ecs":{"version":"9.4.0"},"service":{"name":"caddy-ollama"},` +
			`"event":{"kind":"event","category":["web"],"type":["access"],"action":"request","dataset":"caddy_ollama.audit","module":"caddy_ollama","outcome":"success","reason":"ok","duration":1500000000},`,
		`"url":{"path":"/v1/chat/completions"},"source":{"ip":"192.0.2.1"},"user":{"id":"clawdbot"`,
		`"related":{"ip":["192.0.2.1"],"user":["clawdbot"]},"event.sequence":7}` + "\n",
	} {
		if !strings.Contains(got, part) {
			t.Errorf("the line lacks %s:\n%s", part, got)
		}
	}
}

func TestARecordDotted(t *testing.T) {
	line := encode(t, newEncoder(t, `{"nested":false}`), entryOf(auditLogger), zap.Inline(full()))
	if strings.Contains(line, ":{") {
		t.Errorf("the line has an object: %s", line)
	}
	nested := encode(t, newEncoder(t, `{"nested":true}`), entryOf(auditLogger), zap.Inline(full()))
	if dotted, nested := fmt.Sprint(fieldsOf(t, line)), fmt.Sprint(fieldsOf(t, nested)); dotted != nested {
		t.Errorf("dotted and nested differ:\n%s\n%s", dotted, nested)
	}
	if !strings.HasSuffix(line, `,"event.sequence":7}`+"\n") {
		t.Errorf("the sequence is not at the end: %s", line)
	}
}

// Wherever a request is logged, its headers and its query stay out: there is where
// clients put their keys.
func TestWhatCaddyLogsOfARequest(t *testing.T) {
	for _, logger := range []string{"http.log.access", "http.log.access.log0", "http.log.error", "http.handlers.reverse_proxy"} {
		for _, target := range []string{"/v1/models?api_key=CANARY", "http://CANARY:CANARY@example.com/v1/models?x=CANARY"} {
			line := encode(t, newEncoder(t, `{}`), entryOf(logger), accessFields("GET", target)...)
			if strings.Contains(line, "CANARY") {
				t.Errorf("the line has a secret: %s", line)
			}
			got := fieldsOf(t, line)
			for name, want := range map[string]any{
				"http.request.method": "GET", "url.path": "/v1/models", "url.domain": "example.com", "http.version": "1.1",
				"source.ip": "192.0.2.1", "user_agent.original": "openai-python/1.0", "user.id": "bot",
				"http.response.status_code": 200.0, "http.response.body.bytes": 20.0, "http.request.body.bytes": 10.0,
				"event.duration": 1.5e9, "caddy.request.remote_ip": "192.0.2.1",
			} {
				if got[name] != want {
					t.Errorf("%s: %s is %v, want %v", logger, name, got[name], want)
				}
			}
		}
	}
}

// hidden hides what an object is, as Caddy's filter encoder does.
type hidden struct{ zapcore.ObjectMarshaler }

func TestHeadersStayOutWhateverTheyAreCalled(t *testing.T) {
	header := caddyhttp.LoggableHTTPHeader{Header: http.Header{"X-Api-Key": {"CANARY"}}, ShouldLogCredentials: true}
	for _, field := range []zapcore.Field{
		zap.Object("h", header), zap.Object("headers", hidden{header}), zap.Object("resp_headers", hidden{header}),
		zap.Dict("upstream", zap.Object("headers", hidden{header})), zap.Dict("x", zap.Dict("headers", zap.Dict("y", zap.String("z", "CANARY")))),
	} {
		if line := encode(t, newEncoder(t, `{}`), entryOf("x"), field); strings.Contains(line, "CANARY") {
			t.Errorf("%s: %s", field.Key, line)
		}
	}
}

func TestTLSOfARequest(t *testing.T) {
	line := encode(t, newEncoder(t, `{}`), entryOf("http.log.access"), zap.Dict("request", zap.Dict("tls",
		zap.Bool("resumed", true), zap.Uint16("version", 0x304), zap.Uint16("cipher_suite", 0x1301), zap.String("proto", "h2"),
		zap.String("server_name", "ai-gw.example.com"), zap.String("client_common_name", "bot"), zap.String("client_serial", "7"))))
	const want = `"tls":{"version":"1.3","cipher":"TLS_AES_128_GCM_SHA256","resumed":true,"next_protocol":"h2","client":{"server_name":"ai-gw.example.com","x509":{"serial_number":"7","subject":{"common_name":"bot"}}}}`
	if !strings.Contains(line, want) {
		t.Errorf("got %s, want %s", line, want)
	}
}

func TestFieldsOfAllKinds(t *testing.T) {
	const nothing = `"module":"caddy"}}` // more than any line has
	for _, test := range []struct {
		name  string
		field zapcore.Field
		want  string // in the line
	}{
		{"a text", zap.String("k", `a"b`), `"caddy":{"k":"a\"b"}`},
		{"no text", zap.String("k", ""), nothing},
		{"no name", zap.String("", "v"), `"caddy":{"_":"v"}`},
		{"a name of dots", zap.String("..", "v"), `"_":"v"`},
		{"a dotted name stays", zap.String("http.request.referrer", "v"), `"http":{"request":{"referrer":"v"}}`},
		{"dots with nothing between them count once", zap.String("a..b.", "v"), `"a":{"b":"v"}`},
		{"a name that needs escapes", zap.String("a\nb\u202e", "v"), `"caddy":{"a\u000ab\u202e":"v"}`},
		{"bytes", zap.ByteString("k", []byte("v")), `"caddy":{"k":"v"}`},
		{"binary", zap.Binary("k", []byte{0, 1}), `"caddy":{"k":"AAE="}`},
		{"a bool", zap.Bool("k", true), `"caddy":{"k":true}`},
		{"a number below 0", zap.Int8("k", -7), `"caddy":{"k":-7}`},
		{"the largest number", zap.Uint64("k", math.MaxUint64), `"caddy":{"k":18446744073709551615}`},
		{"a float", zap.Float64("k", 0.25), `"caddy":{"k":0.25}`},
		{"a tiny float", zap.Float64("k", 1e-300), `"caddy":{"k":1e-300}`},
		{"a huge float", zap.Float64("k", 1e300), `"caddy":{"k":1e+300}`},
		{"a small float", zap.Float32("k", 0.1), `"caddy":{"k":0.1}`},
		{"what is no number", zap.Float64("k", math.NaN()), nothing},
		{"infinity", zap.Float64("k", math.Inf(-1)), nothing},
		{"a complex number", zap.Complex128("k", 1+2i), `"caddy":{"k":"(1+2i)"}`},
		{"a time", zap.Time("k", at), `"caddy":{"k":"2026-11-22T05:14:15.123456Z"}`},
		{"a duration, as Caddy has it", zap.Duration("k", 1500*time.Millisecond), `"caddy":{"k":1.5}`},
		{"a status that is none of HTTP's", zap.String("status", "pending"), `"caddy":{"status":"pending"}`},
		{"a size that is a text", zap.String("size", "big"), `"caddy":{"size":"big"}`},
		{"an error that is a number", zap.Int("error", 7), `"caddy":{"error":7}`},
		{"an error that is an object", zap.Dict("error", zap.Int("a", 7)), `"caddy":{"error":{"a":7}}`},
		{"an error by reflection", zap.Reflect("error", 7), `"caddy":{"error":7}`},
		{"an object where a value is", zap.Dict("http.request.id", zap.Int("a", 7)), `"caddy":{"http":{"request":{"id":{"a":7}}}}`},
		{"an error", zap.Error(errors.New("e")), `"error":{"message":"e"}`},
		{"a list of texts", zap.Strings("k", []string{"a", "b\x00"}), `"caddy":{"k":["a","b\u0000"]}`},
		{"an empty list", zap.Strings("k", nil), `"caddy":{"k":[]}`},
		{"a list of numbers", zap.Ints("k", []int{1, 2}), `"caddy":{"k":[1,2]}`},
		{"a list of bools", zap.Bools("k", []bool{true, false}), `"caddy":{"k":[true,false]}`},
		{"a list of what are no numbers", zap.Float64s("k", []float64{1, math.NaN(), 2}), `"caddy":{"k":[1,2]}`},
		{"a list of objects", zap.Dict("k", zap.Objects("l", []*object{{"a.b", "x"}, {"c", "y"}})), `"caddy":{"k":{"l":[{"a":{"b":"x"}},{"c":"y"}]}}`},
		{"an object", zap.Dict("k", zap.Dict("l", zap.Int("m", 1))), `"caddy":{"k":{"l":{"m":1}}}`},
		{"an empty object", zap.Dict("k"), nothing},
		{"reflection: no value", zap.Reflect("k", nil), nothing},
		{"reflection: a number", zap.Reflect("k", 7), `"caddy":{"k":7}`},
		{"reflection: a text", zap.Reflect("k", any("x\u2028")), `"caddy":{"k":"x\u2028"}`},
		{"reflection: an object is a text", zap.Reflect("k", map[string]any{"a": 1}), `"caddy":{"k":"{\"a\":1}"}`},
		{"reflection: what cannot be written", zap.Reflect("k", func() {}), `"caddy":{"kError":`},
		{"a Unix socket is no IP address", zap.String("source.ip", "@"), `"source":{"address":"@"}`},
		{"a zone is no part of an IP address", zap.String("source.ip", "fe80::1%eth0"), `"source":{"ip":"fe80::1"}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			if line := encode(t, newEncoder(t, `{}`), entryOf("x"), test.field); !strings.Contains(line, test.want) {
				t.Errorf("got %s, want %s", line, test.want)
			}
			encode(t, newEncoder(t, `{"nested":false}`), entryOf("x"), test.field)
		})
	}
}

// object has one field.
type object struct{ key, value string }

func (o *object) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	enc.AddString(o.key, o.value)
	return nil
}

func TestNoNameStandsTwice(t *testing.T) {
	for _, test := range []struct {
		name   string
		fields []zapcore.Field
		want   string
	}{
		{"the last value counts", []zapcore.Field{zap.Int("a", 1), zap.Int("a", 2)}, `"caddy":{"a":2}`},
		{"also of what is there without being asked", []zapcore.Field{zap.String("event.kind", "alert")}, `"event":{"kind":"alert",`},
		{"also of what is added at the end", []zapcore.Field{zap.String("event.dataset", "mine")}, `"dataset":"mine"`},
		{"a name with a value and names below it", []zapcore.Field{zap.Int("a", 1), zap.Dict("a", zap.Int("b", 2))}, `"caddy":{"a":{"value":1,"b":2}}`},
		{"likewise the other way round", []zapcore.Field{zap.Dict("a", zap.Int("b", 2)), zap.Int("a", 1)}, `"caddy":{"a":{"b":2,"value":1}}`},
		{"one that is called value", []zapcore.Field{zap.Int("a", 1), zap.Dict("a", zap.Int("value", 2))}, `"caddy":{"a":{"value":2}}`},
		{"nested and dotted", []zapcore.Field{zap.Dict("a", zap.Dict("b", zap.Int("c", 1))), zap.Int("caddy.a.b.c", 2)}, `"caddy":{"a":{"b":{"c":2}}}`},
		{"a second sequence", []zapcore.Field{zap.Uint64("event.sequence", 1), zap.Uint64("event.sequence", 2)}, `,"event.sequence":2}`},
		{"names below the sequence", []zapcore.Field{zap.Uint64("event.sequence", 1), zap.Uint64("event.sequence.x", 2)}, `"sequence":{"value":1,"x":2}`},
		{"a namespace", []zapcore.Field{zap.Namespace("a"), zap.Int("b", 1), zap.Int("event.kind", 2)}, `"caddy":{"a":{"b":1,"event":{"kind":2}}}`},
		{"a sequence in the elements of a list, which is not the line's", []zapcore.Field{zap.Objects("l", []*object{{"event.sequence", "1"}})}, `"l":[{"event":{"sequence":"1"}}]`},
		{"in the elements of a list", []zapcore.Field{zap.Objects("l", []*twice{{}})}, `"l":[{"a":"2"}]`},
	} {
		t.Run(test.name, func(t *testing.T) {
			if line := encode(t, newEncoder(t, `{}`), entryOf("x"), test.fields...); !strings.Contains(line, test.want) {
				t.Errorf("got %s, want %s", line, test.want)
			}
			encode(t, newEncoder(t, `{"nested":false}`), entryOf("x"), test.fields...)
		})
	}
}

// twice has one field two times.
type twice struct{}

func (*twice) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	enc.AddString("a", "1")
	enc.AddString("a", "2")
	return nil
}

func TestALineIsNeverLongerThan64KiB(t *testing.T) {
	long := strings.Repeat("x", 100_000)
	worst := strings.Repeat("\u202e", 30_000)
	var many, deep []zapcore.Field
	for i := range 5000 {
		many = append(many, zap.Int(fmt.Sprintf("field%d", i), i))
		deep = append(deep, zap.String(fmt.Sprintf("a.long.prefix.which.all.of.them.have.field%d", i), "x"))
	}
	for name, fields := range map[string][]zapcore.Field{
		"a long text":           {zap.String("k", long)},
		"many long texts":       {zap.String("a", long), zap.String("b", long), zap.String("c", worst), zap.String("d", worst), zap.String("e", long)},
		"a long list":           {zap.Strings("k", strings.Split(strings.Repeat("x,", 50_000), ","))},
		"a list of long texts":  {zap.Strings("k", []string{long, worst, long})},
		"a long name":           {zap.Int(long, 1), zap.Int("k", 1)},
		"a long name of parts":  {zap.Int(strings.Repeat("a.", 40_000), 1)},
		"a long name below":     {zap.Dict("a", zap.Int(worst, 1))},
		"many fields":           many,
		"many fields far below": deep,
		"reflection":            {zap.Any("k", map[string]string{"a": long})},
	} {
		for _, config := range []string{`{}`, `{"nested":false}`} {
			t.Run(name+" "+config, func(t *testing.T) {
				ent := entryOf(auditLogger)
				ent.Message, ent.Stack = long, worst
				line := encode(t, newEncoder(t, config), ent, append([]zapcore.Field{zap.Inline(full())}, fields...)...)
				got := fieldsOf(t, line)
				if got["labels.truncated"] != true {
					t.Errorf("the line of %d bytes does not say that it is cut", len(line))
				}
				if got["event.sequence"] != 7.0 || got["event.reason"] != "ok" {
					t.Error("the line lacks what the record says")
				}
			})
		}
	}
}

func TestAWholeLineDoesNotSayThatItIsCut(t *testing.T) {
	if got := fieldsOf(t, encode(t, newEncoder(t, `{}`), entryOf(auditLogger), zap.Inline(full()))); got["labels.truncated"] != nil {
		t.Errorf("labels.truncated is %v", got["labels.truncated"])
	}
}

// With is how Caddy gives all entries of a request the same fields.
func TestFieldsAddedBefore(t *testing.T) {
	base := newEncoder(t, `{}`)
	one := base.Clone()
	for _, field := range accessFields("GET", "/a") {
		field.AddTo(one)
	}
	zap.Namespace("first_error").AddTo(one)
	other := one.Clone()
	zap.Int("a", 1).AddTo(one)
	zap.Int("b", 2).AddTo(other)
	if line := encode(t, one, entryOf("x"), zap.Int("c", 3)); !strings.Contains(line, `"first_error":{"a":1,"c":3}`) || !strings.Contains(line, `"url":{"domain":"example.com","path":"/a"}`) {
		t.Errorf("got %s", line)
	}
	if line := encode(t, other, entryOf("x")); !strings.Contains(line, `"first_error":{"b":2}`) {
		t.Errorf("got %s", line)
	}
	if line := encode(t, base, entryOf("x")); strings.Contains(line, "caddy\":{") {
		t.Errorf("the encoder has kept fields of its clones: %s", line)
	}
}

func TestEntriesOfOtherLoggers(t *testing.T) {
	ent := entryOf("tls.obtain")
	ent.Level, ent.Message, ent.Stack = zapcore.ErrorLevel, "job failed", "main.main\n\tmain.go:1"
	ent.Caller = zapcore.EntryCaller{Defined: true, File: "main.go", Line: 1, Function: "main.main"}
	got := fieldsOf(t, encode(t, newEncoder(t, `{}`), ent, zap.Error(errors.New("no route to host"))))
	for name, want := range map[string]any{
		"@timestamp": "2026-11-22T05:14:15.123456Z", "log.level": "error", "log.logger": "tls.obtain", "message": "job failed",
		"error.message": "no route to host", "error.stack_trace": "main.main\n\tmain.go:1", "event.dataset": "caddy.log", "event.module": "caddy",
		"log.origin.file.name": "main.go", "log.origin.function": "main.main", "event.category": nil,
	} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
}

func TestTheServiceIsNamed(t *testing.T) {
	t.Setenv("WHERE", "production")
	line := encode(t, newEncoder(t, `{"service_name":"gw","service_environment":"{env.WHERE}","service_node_name":"one"}`), entryOf("x"))
	if want := `"service":{"name":"gw","environment":"production","node":{"name":"one"}}`; !strings.Contains(line, want) {
		t.Errorf("got %s, want %s", line, want)
	}
	if _, err := newContext(t).LoadModuleByID("caddy.logging.encoders.ecs", []byte(`{"service_name":"{env.NOT_THERE}"}`)); err == nil || !strings.Contains(err.Error(), "service_name") {
		t.Errorf("a placeholder of nothing: %v", err)
	}
}

// Caddy's own filters work before it.
func TestBehindCaddysFilter(t *testing.T) {
	module, err := newContext(t).LoadModuleByID("caddy.logging.encoders.filter", []byte(
		`{"wrap":{"format":"ecs"},"fields":{"source.ip":{"filter":"ip_mask","ipv4_cidr":16},"user.id":{"filter":"delete"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	got := fieldsOf(t, encode(t, module.(*logging.FilterEncoder), entryOf(auditLogger), zap.Inline(full())))
	if got["source.ip"] != "192.0.0.0" || got["user.id"] != nil || got["related.user"] != nil || fmt.Sprint(got["related.ip"]) != "[192.0.0.0]" {
		t.Errorf("got %v", got)
	}
	line := encode(t, module.(*logging.FilterEncoder), entryOf("http.log.access"), accessFields("GET", "/a?CANARY")...)
	if strings.Contains(line, "CANARY") || fieldsOf(t, line)["user_agent.original"] != "openai-python/1.0" {
		t.Errorf("got %s", line)
	}
}

func TestManyAtOnce(t *testing.T) {
	enc := newEncoder(t, `{}`)
	want := encode(t, enc, entryOf(auditLogger), zap.Inline(full()))
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for range 200 {
				if i%2 == 0 {
					encode(t, enc, entryOf("x"), zap.String(fmt.Sprint("k", i), "v"), zap.Objects("l", []*object{{"a", "b"}}))
				} else if got := encode(t, enc, entryOf(auditLogger), zap.Inline(full())); got != want {
					t.Errorf("got %s, want %s", got, want)
				}
			}
		})
	}
	all.Wait()
}
