package ecs

import (
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
)

// The types that Elasticsearch gives fields.
const (
	date     = "date"
	keyword  = "keyword" // and what is searched like one
	keywords = "keyword, a list"
	ip       = "ip"
	ips      = "ip, a list"
	long     = "long"
	double   = "double"
	boolean  = "boolean"
)

// published are the fields of ECS 9.4 (generated/csv/fields.csv) and, where it has
// none, of OpenTelemetry's GenAI conventions, as far as logs here have them.
var published = map[string]string{
	"@timestamp": date, "ecs.version": keyword, "message": keyword,
	"log.level": keyword, "log.logger": keyword, "log.origin.file.name": keyword, "log.origin.function": keyword,
	"service.name": keyword, "service.environment": keyword, "service.node.name": keyword,
	"event.id": keyword, "event.kind": keyword, "event.category": keywords, "event.type": keywords, "event.action": keyword, "event.dataset": keyword,
	"event.module": keyword, "event.outcome": keyword, "event.reason": keyword, "event.duration": long, "event.sequence": long,
	"http.version": keyword, "http.request.id": keyword, "http.request.method": keyword, "http.request.body.bytes": long,
	"http.response.status_code": long, "http.response.body.bytes": long,
	"url.domain": keyword, "url.path": keyword,
	"source.ip": ip, "source.address": keyword, "user.id": keyword, "user_agent.original": keyword,
	"tls.version": keyword, "tls.cipher": keyword, "tls.resumed": boolean, "tls.next_protocol": keyword,
	"tls.client.subject": keyword, "tls.client.hash.sha256": keyword, "tls.client.server_name": keyword,
	"tls.client.x509.serial_number": keyword, "tls.client.x509.subject.common_name": keyword,
	"error.message": keyword, "error.id": keyword, "error.stack_trace": keyword, "trace.id": keyword, "span.id": keyword,
	"related.ip": ips, "related.user": keywords,

	"gen_ai.operation.name": keyword, "gen_ai.provider.name": keyword, "gen_ai.request.model": keyword,
	"gen_ai.response.model": keyword, "gen_ai.response.finish_reasons": keywords,
	"gen_ai.usage.input_tokens": long, "gen_ai.usage.output_tokens": long,
	// OpenTelemetry's
	"gen_ai.conversation.id": keyword, "gen_ai.request.stream": boolean, "gen_ai.response.time_to_first_chunk": double,
}

// own are our own, documented with record.Record and Encoder.
var own = map[string]string{
	"ollama.queue_duration": long, "ollama.load_duration": long, "ollama.prompt_eval_duration": long, "ollama.eval_duration": long,
	"labels.usage_estimated": boolean, "labels.context_truncated": boolean, "labels.truncated": boolean,
}

// typed are the names with their types.
func typed() map[string]string {
	all := maps.Clone(published)
	maps.Copy(all, own)
	return all
}

func TestEveryNameIsPublishedOrDocumented(t *testing.T) {
	all := typed()
	for _, name := range names {
		if all[name] == "" {
			t.Errorf("%s is neither published nor documented", name)
		}
	}
	for path, target := range targets {
		if all[target.name] == "" || places[target.name] == 0 {
			t.Errorf("%s becomes %s, which has no place", path, target.name)
		}
	}
	if len(all) != len(names) {
		t.Errorf("%d names are published or documented, and %d have a place", len(all), len(names))
	}
	// what OpenTelemetry has given up must not come back
	for _, name := range []string{"gen_ai.system", "gen_ai.usage.prompt_tokens", "gen_ai.usage.completion_tokens"} {
		if places[name] != 0 {
			t.Errorf("%s is deprecated", name)
		}
	}
}

// Whatever a record says is published or documented, and of its type.
func TestEveryFieldOfARecordIsPublishedOrDocumented(t *testing.T) {
	estimated := full()
	estimated.Usage = &record.Usage{OutputTokens: 3, Estimated: true}
	seen := make(map[string]bool)
	for _, r := range []*record.Record{full(), estimated, {Start: at}} {
		for _, config := range []string{`{}`, `{"nested":false}`} {
			for name, value := range fieldsOf(t, encode(t, newEncoder(t, config), entryOf(auditLogger), zap.Inline(r))) {
				checkType(t, name, value)
				seen[name] = true
			}
		}
	}
	// and nothing that a record can say is missing from these
	r := reflect.TypeFor[record.Record]()
	unlogged := []string{"Model", "Chunks", "ChunksFor", "UpstreamTurns"} // for metrics and events
	for i := range r.NumField() {
		if f := r.Field(i); f.IsExported() && !slices.Contains(unlogged, f.Name) && reflect.ValueOf(*full()).Field(i).IsZero() {
			t.Errorf("no record of the test has a %s", r.Field(i).Name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(own)) {
		if name != "labels.truncated" && !seen[name] {
			t.Errorf("no record has %s", name)
		}
	}
}

func TestEveryFieldOfAnAccessLogIsPublishedOrBelowCaddy(t *testing.T) {
	line := encode(t, newEncoder(t, `{}`), entryOf("http.log.access"), accessFields("GET", "/v1/models")...)
	for name, value := range fieldsOf(t, line) {
		if !strings.HasPrefix(name, "caddy.") {
			checkType(t, name, value)
		}
	}
}

// checkType checks that Elasticsearch will take the value for what its name says.
func checkType(t *testing.T, name string, value any) {
	t.Helper()
	isText := func(v any) bool { s, ok := v.(string); return ok && s != "" }
	isIP := func(v any) bool { s, _ := v.(string); _, err := netip.ParseAddr(s); return err == nil }
	list := func(is func(any) bool) bool {
		values, ok := value.([]any)
		return ok && len(values) > 0 && !slices.ContainsFunc(values, func(v any) bool { return !is(v) })
	}
	number, isNumber := value.(float64)
	ok := false
	switch typed()[name] {
	case date:
		s, _ := value.(string)
		_, err := time.Parse(time.RFC3339Nano, s)
		ok = err == nil
	case keyword:
		ok = isText(value)
	case keywords:
		ok = list(isText)
	case ip:
		ok = isIP(value)
	case ips:
		ok = list(isIP)
	case long:
		ok = isNumber && number == float64(int64(number))
	case double:
		ok = isNumber
	case boolean:
		_, ok = value.(bool)
	}
	if !ok {
		t.Errorf("%s is %v, want a %s", name, value, typed()[name])
	}
}

// The same line twice says the same: what one entry had is not left for the next.
func TestNothingIsLeftForTheNextEntry(t *testing.T) {
	enc := newEncoder(t, `{}`)
	want := encode(t, enc, entryOf("x"))
	encode(t, enc, entryOf(auditLogger), zap.Inline(full()), zap.Dict("a", zap.String("b", "c")))
	encode(t, enc, zapcore.Entry{}, accessFields("GET", "/")...)
	if got := encode(t, enc, entryOf("x")); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
