package integration

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// traces is a receiver of traces, by OTLP over HTTP.
type traces struct {
	*httptest.Server
	mu    sync.Mutex
	spans []*trace.Span
}

func startTraces(t *testing.T) *traces {
	t.Helper()
	c := new(traces)
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var request collector.ExportTraceServiceRequest
		if err == nil {
			err = proto.Unmarshal(body, &request)
		}
		if err != nil || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/x-protobuf" {
			t.Errorf("%s, %s: %v", r.URL, r.Header.Get("Content-Type"), err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, resource := range request.ResourceSpans {
			for _, scope := range resource.ScopeSpans {
				c.spans = append(c.spans, scope.Spans...)
			}
		}
		answer, err := proto.Marshal(new(collector.ExportTraceServiceResponse))
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
		_, _ = w.Write(answer)
	}))
	t.Cleanup(c.Close)
	return c
}

// environment is what makes a process send its traces there, soon.
func (c *traces) environment() []string {
	return []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + c.URL, "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf", "OTEL_BSP_SCHEDULE_DELAY=50"}
}

// said is all that was received, as a text.
func (c *traces) said() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var text strings.Builder
	for _, span := range c.spans {
		fmt.Fprintln(&text, span.String())
	}
	return text.String()
}

// span waits for the one of this id, in hex.
func (c *traces) span(t *testing.T, id any) (found *trace.Span) {
	t.Helper()
	await(t, fmt.Sprintf("span %v", id), func() error {
		c.mu.Lock()
		defer c.mu.Unlock()
		i := slices.IndexFunc(c.spans, func(s *trace.Span) bool { return fmt.Sprintf("%x", s.SpanId) == id })
		if i < 0 {
			return fmt.Errorf("there are %d others", len(c.spans))
		}
		found = c.spans[i]
		return nil
	})
	return found
}

// attributes are those of a span; of a list its items.
func attributes(s *trace.Span) record {
	all := make(record)
	for _, a := range s.Attributes {
		all[a.Key] = valueOf(a.Value)
	}
	return all
}

func valueOf(v *common.AnyValue) any {
	switch v := v.Value.(type) {
	case *common.AnyValue_StringValue:
		return v.StringValue
	case *common.AnyValue_BoolValue:
		return v.BoolValue
	case *common.AnyValue_IntValue:
		return v.IntValue
	case *common.AnyValue_DoubleValue:
		return v.DoubleValue
	case *common.AnyValue_ArrayValue:
		var list []any
		for _, item := range v.ArrayValue.Values {
			list = append(list, valueOf(item))
		}
		return list
	}
	return nil
}

// startTraced is startGatewayWith for a gateway that sends its traces to the receiver.
func startTraced(t *testing.T, to *traces, upstream string, changes ...string) *gateway {
	t.Helper()
	g := prepareGateway(t, upstream)
	g.change(append(changes, "\t\taudit_log", "\t\ttracing {\n\t\t\tspan gateway\n\t\t}\n\t\taudit_log")...)
	cmd := gatewayCommand(t, g.dir, "run", "--config", g.configFile(), "--adapter", "caddyfile")
	cmd.Env = append(cmd.Env, to.environment()...)
	g.process = startCommand(t, cmd)
	g.awaitListening(t, g.address())
	return g
}

func TestTracesTellOfModelCallsAndRefusals(t *testing.T) {
	t.Parallel()
	receiver := startTraces(t)
	g := startTraced(t, receiver, scripted(t).Address())
	client, token := g.from("127.0.0.2"), tokenFor(t, "bot")
	for _, test := range []struct {
		name   string
		token  string
		body   string
		status int
		fields []string // that the span has of the record
		more   record
	}{
		{"a stream", token, chatBody("hello", true), 200, []string{
			"gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model", "gen_ai.response.model", "gen_ai.request.stream",
			"gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens", "gen_ai.response.finish_reasons", "gen_ai.conversation.id",
			"gen_ai.response.time_to_first_chunk",
		}, record{"gen_ai.operation.name": "chat", "gen_ai.usage.output_tokens": 2}},
		{"a model that is not there", token, chatBody("invented", false), 404, []string{"gen_ai.operation.name", "gen_ai.request.model", "event.reason"},
			record{"error.type": "model_not_found"}},
		{"no token", "", chatBody("hello", false), 401, []string{"event.reason"}, record{"error.type": "no_token"}},
		{"a bad token", "x", chatBody("hello", false), 403, []string{"event.reason"}, record{"error.type": "bad_token", "event.reason": "bad_token:malformed"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := g.mustPost(client, test.token, test.body)
			if a.status != test.status {
				t.Fatalf("got %d %s", a.status, a.body)
			}
			logged := g.recordOf(a)
			span := receiver.span(t, logged["span.id"])
			if id := fmt.Sprintf("%x", span.TraceId); id != logged["trace.id"] || span.Name != "gateway" {
				t.Errorf("span %s of trace %s, in the log %v", span.Name, id, logged["trace.id"])
			}
			told := attributes(span)
			for _, field := range test.fields {
				if told[field] == nil || fmt.Sprint(told[field]) != fmt.Sprint(logged[field]) {
					t.Errorf("%s is %v, in the log %v", field, told[field], logged[field])
				}
			}
			for field, value := range test.more {
				if fmt.Sprint(told[field]) != fmt.Sprint(value) {
					t.Errorf("%s is %v, want %v", field, told[field], value)
				}
			}
			if test.status == 200 && told["error.type"] != nil {
				t.Errorf("error.type is %v", told["error.type"])
			}
		})
	}
}
