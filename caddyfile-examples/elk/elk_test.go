package elk

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
)

// published are the types that ECS 9.3 gives the fields of our records
// (generated/elasticsearch/composable/component/*.json in elastic/ecs).
var published = map[string]string{
	"@timestamp": "date", "ecs.version": "keyword", "message": "match_only_text",
	"data_stream.type": "constant_keyword", "data_stream.dataset": "constant_keyword", "data_stream.namespace": "constant_keyword",
	"log.level": "keyword", "log.logger": "keyword",
	"service.name": "keyword", "service.environment": "keyword", "service.node.name": "keyword",
	"event.action": "keyword", "event.category": "keyword", "event.dataset": "keyword", "event.duration": "long",
	"event.hash": "keyword", "event.id": "keyword", "event.kind": "keyword", "event.module": "keyword",
	"event.outcome": "keyword", "event.reason": "keyword", "event.sequence": "long", "event.type": "keyword",
	"http.request.id": "keyword", "http.request.method": "keyword", "http.response.status_code": "long", "http.version": "keyword",
	"url.path": "wildcard", "source.address": "keyword", "source.ip": "ip", "user.id": "keyword", "user_agent.original": "keyword",
	"tls.client.subject": "keyword", "tls.client.hash.sha256": "keyword",
	"trace.id": "keyword", "span.id": "keyword",
	"related.ip": "ip", "related.user": "keyword",
	"gen_ai.operation.name": "keyword", "gen_ai.request.model": "keyword", "gen_ai.response.model": "keyword",
	"gen_ai.response.finish_reasons": "nested", "gen_ai.usage.input_tokens": "integer", "gen_ai.usage.output_tokens": "integer",
	"labels": "object",
}

// own are those for which ECS 9.3 has no name, or a type that will not do.
var own = map[string]string{
	// OpenTelemetry's names for generative AI
	"gen_ai.provider.name": "keyword", "gen_ai.conversation.id": "keyword",
	"gen_ai.request.stream": "boolean", "gen_ai.response.time_to_first_chunk": "double",
	// ECS has nested, which takes objects only, and a list of words for its example
	"gen_ai.response.finish_reasons": "keyword",
	// documented with record.Record
	"ollama.queue_duration": "long", "ollama.load_duration": "long", "ollama.prompt_eval_duration": "long", "ollama.eval_duration": "long",
}

// shippers are the fields that shippers add and that are mapped all the same.
var shippers = []string{"data_stream.type", "data_stream.dataset", "data_stream.namespace"}

// indexTemplate is what is tested of index-template.json.
type indexTemplate struct {
	IndexPatterns []string  `json:"index_patterns"`
	DataStream    *struct{} `json:"data_stream"`
	Priority      int       `json:"priority"`
	Template      struct {
		Settings struct {
			Index struct {
				Mode      string `json:"mode"`
				Lifecycle struct {
					Name string `json:"name"`
				} `json:"lifecycle"`
				Mapping struct {
					IgnoreMalformed bool `json:"ignore_malformed"`
					TotalFields     struct {
						IgnoreDynamicBeyondLimit bool `json:"ignore_dynamic_beyond_limit"`
					} `json:"total_fields"`
				} `json:"mapping"`
			} `json:"index"`
		} `json:"settings"`
		DataStreamOptions struct {
			FailureStore struct {
				Enabled bool `json:"enabled"`
			} `json:"failure_store"`
		} `json:"data_stream_options"`
		Mappings struct {
			Dynamic          string `json:"dynamic"`
			DateDetection    *bool  `json:"date_detection"`
			DynamicTemplates []map[string]struct {
				PathMatch        string   `json:"path_match"`
				MatchMappingType []string `json:"match_mapping_type"`
				Mapping          property `json:"mapping"`
			} `json:"dynamic_templates"`
			Properties map[string]property `json:"properties"`
		} `json:"mappings"`
	} `json:"template"`
}

type property struct {
	Type            string `json:"type"`
	IgnoreAbove     int    `json:"ignore_above"`
	IgnoreMalformed *bool  `json:"ignore_malformed"`
}

func readTemplate(t *testing.T) indexTemplate {
	t.Helper()
	var template indexTemplate
	readJSON(t, "index-template.json", &template)
	return template
}

func readJSON(t *testing.T, name string, into any) {
	t.Helper()
	if err := json.Unmarshal(readFile(t, name), into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestMappingsHaveTheTypesOfECS(t *testing.T) {
	want := maps.Clone(published)
	maps.Copy(want, own)
	got := make(map[string]string)
	for name, p := range readTemplate(t).Template.Mappings.Properties {
		got[name] = p.Type
		if p.Type == "keyword" && p.IgnoreAbove == 0 {
			t.Errorf("%s: a longer value than Lucene takes would have its record refused: set ignore_above", name)
		}
	}
	if !maps.Equal(got, want) {
		for _, name := range slices.Sorted(maps.Keys(want)) {
			if got[name] != want[name] {
				t.Errorf("%s is mapped as %q, want %q", name, got[name], want[name])
			}
		}
		for _, name := range slices.Sorted(maps.Keys(got)) {
			if want[name] == "" {
				t.Errorf("%s is mapped, and is in no list", name)
			}
		}
	}
}

func TestEveryFieldOfAnAuditLogIsMappedAndNoOther(t *testing.T) {
	mapped := readTemplate(t).Template.Mappings.Properties
	seen := make(map[string]bool)
	for _, line := range readLog(t, writeLog(t, `{"service_environment":"test","service_node_name":"gw1"}`, everything(t))) {
		for name, value := range fieldsOf(t, line) {
			if root, _, _ := strings.Cut(name, "."); root == "labels" {
				name = root
			}
			seen[name] = true
			if p, ok := mapped[name]; !ok {
				t.Errorf("%s is not mapped: %v", name, value)
			} else if !fits(p.Type, value) {
				t.Errorf("%s is mapped as %s, and is %v", name, p.Type, value)
			}
		}
	}
	for name := range mapped {
		if !seen[name] && !slices.Contains(shippers, name) {
			t.Errorf("%s is mapped, and no record has it", name)
		}
	}
}

// everything are records that together say all that a record can.
func everything(t *testing.T) []*record.Record {
	t.Helper()
	full := &record.Record{
		Start: time.Date(2026, 11, 22, 5, 14, 15, 123456789, time.UTC), Reason: record.OK,
		RequestID: "0191f0c4-1111-7000-8000-000000000000", Method: "POST", Path: "/v1/chat/completions", Status: 200,
		SourceIP: "192.0.2.1", UserAgent: "openai-python/1.0", UserID: "clawdbot", ClientFingerprint: strings.Repeat("AB", 32),
		Operation: "chat", Usage: &record.Usage{InputTokens: 7, OutputTokens: 9}, FinishReasons: []string{"stop"},
		TimeToFirstChunk: 250 * time.Millisecond, ConversationID: "conv_0123456789abcdef0123456789abcdef",
	}
	// whatever else there is, so that a new field is not forgotten
	fields := reflect.ValueOf(full).Elem()
	for i := range fields.NumField() {
		// what is not exported, and what upstreams did, is in no log
		if f := fields.Type().Field(i); !f.IsExported() || f.Name == "UpstreamTurns" {
			continue
		}
		switch field := fields.Field(i); {
		case !field.IsZero():
		case field.CanInt():
			field.SetInt(1500)
		case field.CanUint():
			field.SetUint(7)
		case field.Kind() == reflect.String:
			field.SetString("something")
		case field.Kind() == reflect.Bool:
			field.SetBool(true)
		default:
			t.Errorf("no record of the test has a %s", fields.Type().Field(i).Name)
		}
	}
	estimated, local, long := *full, *full, *full
	estimated.Usage = &record.Usage{OutputTokens: 3, Estimated: true}
	local.SourceIP = "@"
	long.Path = strings.Repeat("/", 20<<10) // which the encoder cuts
	return []*record.Record{full, &estimated, &local, &long}
}

// fits tells whether Elasticsearch takes a value for a type.
func fits(kind string, value any) bool {
	if list, ok := value.([]any); ok {
		return len(list) > 0 && !slices.ContainsFunc(list, func(v any) bool { return !fits(kind, v) })
	}
	switch value.(type) {
	case string:
		return slices.Contains([]string{"keyword", "wildcard", "match_only_text", "ip", "date", "object"}, kind)
	case float64:
		return slices.Contains([]string{"long", "integer", "double", "object"}, kind)
	case bool:
		return slices.Contains([]string{"boolean", "object"}, kind)
	}
	return false
}

// Whatever a record says, Elasticsearch keeps it: nothing makes it refuse one.
func TestNoRecordIsRefused(t *testing.T) {
	template := readTemplate(t)
	index, mappings := template.Template.Settings.Index, template.Template.Mappings
	for name, holds := range map[string]bool{
		"a field that is not mapped can be searched":           mappings.Dynamic == "runtime",
		"a text that looks like a date stays a text":           mappings.DateDetection != nil && !*mappings.DateDetection,
		"a value of another type is kept":                      index.Mapping.IgnoreMalformed,
		"more fields than there may be are kept":               index.Mapping.TotalFields.IgnoreDynamicBeyondLimit,
		"what is refused all the same is in the failure store": template.Template.DataStreamOptions.FailureStore.Enabled,
		"records are kept as they were written":                index.Mode == "standard",
		"it is a data stream":                                  template.DataStream != nil,
		"it comes before Elasticsearch's own for logs-*-*":     template.Priority > 100,
	} {
		if !holds {
			t.Errorf("not so: %s", name)
		}
	}
	// a data stream's @timestamp must not be one that can be ignored
	if m := mappings.Properties["@timestamp"].IgnoreMalformed; m == nil || *m {
		t.Error("@timestamp does not say ignore_malformed: false")
	}
	// labels are texts, as ECS has them, whatever JSON calls them
	for _, templates := range mappings.DynamicTemplates {
		for _, labels := range templates {
			types := []string{"string", "boolean", "long", "double"}
			if labels.PathMatch != "labels.*" || labels.Mapping.Type != "keyword" || !slices.Equal(labels.MatchMappingType, types) {
				t.Errorf("labels are mapped by %+v", labels)
			}
		}
	}
}

func TestRecordsAreKeptFor180Days(t *testing.T) {
	var policy struct {
		Policy struct {
			Phases map[string]struct {
				MinAge  string                    `json:"min_age"`
				Actions map[string]map[string]any `json:"actions"`
			} `json:"phases"`
		} `json:"policy"`
	}
	readJSON(t, "lifecycle-policy.json", &policy)
	end := policy.Policy.Phases["delete"]
	var days int
	if _, err := fmt.Sscanf(end.MinAge, "%dd", &days); err != nil || days < 180 || end.Actions["delete"] == nil {
		t.Errorf("records are deleted after %q, want 180 days", end.MinAge)
	}
	if len(policy.Policy.Phases["hot"].Actions["rollover"]) == 0 {
		t.Error("without a rollover nothing is ever deleted")
	}
}

// The files speak of the same policy, template and data stream.
func TestTheFilesFitTogether(t *testing.T) {
	template := readTemplate(t)
	readme := string(readFile(t, "README.md"))
	for _, path := range []string{
		"/_ilm/policy/" + template.Template.Settings.Index.Lifecycle.Name,
		"/_index_template/", "@lifecycle-policy.json", "@index-template.json", "filebeat.yml", "logstash.conf",
	} {
		if !strings.Contains(readme, path) {
			t.Errorf("README.md does not say %s", path)
		}
	}
	stream := "logs-caddy_ollama.audit-default"
	if ok, err := path.Match(template.IndexPatterns[0], stream); !ok || err != nil || len(template.IndexPatterns) != 1 {
		t.Errorf("the template is not for %s: %v", stream, template.IndexPatterns)
	}
	if n := strings.Count(string(readFile(t, "logstash.conf")), `index => "`+stream+`"`); n != 2 {
		t.Errorf("logstash.conf names %s %d times, want twice", stream, n)
	}
	// what can be asked for in Kibana is there
	for field := range strings.SplitSeq(readme, "`") {
		name, _, asked := strings.Cut(field, " : ")
		if !asked || strings.Contains(name, "\n") {
			continue
		}
		if root, _, _ := strings.Cut(name, "."); root == "labels" {
			name = root
		}
		if _, ok := template.Template.Mappings.Properties[name]; !ok {
			t.Errorf("README.md asks for %s, which is not mapped", name)
		}
	}
}
