package translate_test

import (
	"strings"
	"testing"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/policy"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/translate"
)

func TestOllamasOwnFields(t *testing.T) {
	for _, test := range []struct{ name, fields, want string }{
		{"top_k, min_p and repeat_penalty", `"top_k":40,"min_p":0.1,"repeat_penalty":1.1`, `"options":{"min_p":0.1,"repeat_penalty":1.1,"top_k":40}`},
		{"num_ctx", `"num_ctx":8192`, `"options":{"num_ctx":8192}`},
		{"options", `"options":{"top_k":5,"use_mmap":false,"stop":"END"}`, `"options":{"stop":["END"],"top_k":5,"use_mmap":false}`},
		{"a whole number may be written as a fraction", `"options":{"num_ctx":8192.0}`, `"options":{"num_ctx":8192}`},
		{"an option that old versions had is left out", `"options":{"mirostat":1,"top_k":5}`, `"options":{"top_k":5}`},
		{"OpenAI's field goes before the option of the same meaning", `"options":{"temperature":0.1},"temperature":0.9`, `"options":{"temperature":0.9}`},
		{"keep_alive in seconds", `"keep_alive":60`, `"keep_alive":60`},
		{"keep_alive as a duration", `"keep_alive":"5m"`, `"keep_alive":300`},
		{"keep_alive for ever", `"keep_alive":-1`, `"keep_alive":-1`},
		{"logprobs", `"logprobs":true,"top_logprobs":3`, `"logprobs":true,"top_logprobs":3`},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := native(t, asking(test.fields), translate.Settings{}); !strings.Contains(got, test.want) {
				t.Errorf("got %s\nwhich lacks %s", got, test.want)
			}
		})
	}
}

func TestTheServersRulesHold(t *testing.T) {
	keep := 600.0
	settings := translate.Settings{Rules: policy.Rules{
		Defaults:  map[string]any{"num_ctx": int64(32768)},
		Limits:    map[string]float64{"num_predict": 100},
		KeepAlive: &keep,
	}}
	got := native(t, asking(`"num_ctx":512,"max_tokens":5000,"keep_alive":-1`), settings)
	if want := `"options":{"num_ctx":32768,"num_predict":100},"keep_alive":600`; !strings.Contains(got, want) {
		t.Errorf("got %s\nwhich lacks %s", got, want)
	}
}

func TestThink(t *testing.T) {
	const (
		can     = "a model that can think"
		cannot  = "a model that cannot think"
		unknown = "a model of which nobody knows"
	)
	newest, v017, v08 := ollama.Newest, ollama.FeaturesOf("0.17.4"), ollama.FeaturesOf("0.8.0")
	for _, test := range []struct {
		name, fields, model string
		features            ollama.Features
		real, want          string
	}{
		{"nothing asked, nothing said", ``, can, newest, "m", ``},
		{"none is false", `"reasoning_effort":"none"`, can, newest, "m", `false`},
		{"an effort is a level", `"reasoning_effort":"low"`, can, newest, "m", `"low"`},
		{"minimal is the lowest", `"reasoning_effort":"minimal"`, can, newest, "m", `"low"`},
		{"xhigh is the highest", `"reasoning_effort":"xhigh"`, can, newest, "m", `"max"`},
		{"reasoning.effort counts before reasoning_effort", `"reasoning":{"effort":"high"},"reasoning_effort":"low"`, can, newest, "m", `"high"`},
		{"think counts before both", `"think":false,"reasoning_effort":"high"`, can, newest, "m", `false`},
		{"think true", `"think":true`, can, newest, "m", `true`},
		{"a level of think", `"think":"medium"`, can, newest, "m", `"medium"`},
		{"before 0.17.7 a level is just true", `"reasoning_effort":"low"`, can, v017, "m", `true`},
		{"but not for gpt-oss", `"reasoning_effort":"low"`, can, v017, "gpt-oss:20b", `"low"`},
		{"which knows no max", `"reasoning_effort":"max"`, can, v017, "gpt-oss:20b", `"high"`},
		{"before 0.9.0 there is no think", `"reasoning_effort":"none"`, can, v08, "m", ``},
		{"a model that cannot is asked for none, because true would be a 400", `"reasoning_effort":"high"`, cannot, newest, "m", ``},
		{"nor is it told not to", `"reasoning_effort":"none"`, cannot, newest, "m", ``},
		{"where nobody knows, it is not asked", `"think":true`, unknown, newest, "m", ``},
		{"where nobody knows, it can be told not to", `"think":false`, unknown, newest, "m", `false`},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := native(t, asking(test.fields), translate.Settings{
				Model: test.real, Features: test.features, CutOverflow: true,
				Thinks: test.model == can, ThinksKnown: test.model != unknown,
			})
			_, think, _ := strings.Cut(got, `"think":`)
			if think = strings.TrimSuffix(think, "}"); think != test.want {
				t.Errorf("think is %q, want %q, in %s", think, test.want, got)
			}
		})
	}
}

func TestOverflowIsAnErrorWhereOllamaCanSaySo(t *testing.T) {
	for _, test := range []struct {
		name     string
		features ollama.Features
		cut      bool
		want     bool
	}{
		{"since 0.12.6", ollama.FeaturesOf("0.12.6"), false, true},
		{"before, it would not be understood", ollama.FeaturesOf("0.12.5"), false, false},
		{"not if the server lets it be cut", ollama.Newest, true, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := native(t, asking(``), translate.Settings{Features: test.features, CutOverflow: test.cut})
			if strings.Contains(got, `"truncate":false`) != test.want {
				t.Errorf("got %s", got)
			}
		})
	}
}

func TestWhatAnOldOllamaDoesNotKnowIsRefused(t *testing.T) {
	old := translate.Settings{Model: "m", Features: ollama.FeaturesOf("0.4.7")}
	for _, test := range []struct{ name, fields, param string }{
		{"a schema", `"response_format":{"type":"json_schema","json_schema":{"schema":{}}}`, "response_format"},
		{"a call that is required", `"tool_choice":"required","tools":[{"type":"function","function":{"name":"f"}}]`, "tool_choice"},
		{"logprobs", `"logprobs":true`, "logprobs"},
	} {
		t.Run(test.name, func(t *testing.T) {
			req, err := translate.DecodeChat([]byte(asking(test.fields)))
			if err != nil {
				t.Fatal(err)
			}
			draft, err := translate.DraftChat(req)
			if err != nil {
				t.Fatalf("refused for any Ollama: %v", err)
			}
			_, err = draft.For(old)
			if e := openaiError(t, err); e.Param != test.param || e.Code != "unsupported_parameter" {
				t.Errorf("param %q, code %q", e.Param, e.Code)
			}
		})
	}
}

func TestACutConversationIsNoticed(t *testing.T) {
	long := `{"model":"m","messages":[{"role":"system","content":"` + strings.Repeat("四书五经", 50) + `"},{"role":"user","content":"` + strings.Repeat("word ", 200) + `"}]}`
	old := translate.Settings{Model: "m", Version: "0.12.5", Features: ollama.FeaturesOf("0.12.5")}
	escaped := talk(`{"role":"user","content":"` + strings.Repeat(`\u56db\n`, 400) + `"}`)
	for _, test := range []struct {
		name     string
		body     string
		settings translate.Settings
		summary  translate.Summary
		want     bool
	}{
		{"a whole conversation counts a token for every few bytes", long, old, translate.Summary{PromptTokens: 400, Counted: true}, false},
		{"one that counts too few has been cut", long, old, translate.Summary{PromptTokens: 100, Counted: true}, true},
		{"an escape counts as what it stands for, no more", escaped, old, translate.Summary{PromptTokens: 160, Counted: true}, false},
		{"and no less", escaped, old, translate.Summary{PromptTokens: 140, Counted: true}, true},
		{"no count says nothing", long, old, translate.Summary{Counted: true}, false},
		{"nor does an answer that never ended", long, old, translate.Summary{PromptTokens: 100}, false},
		{"what is cached is counted apart", long, old, translate.Summary{PromptTokens: 100, CachedTokens: 300, Counted: true}, false},
		{"an Ollama that was told not to cut has not", long, translate.Settings{Model: "m", Version: "0.33.0", Features: ollama.Newest},
			translate.Summary{PromptTokens: 100, Counted: true}, false},
		{"one that was let may have", long, translate.Settings{Model: "m", Version: "0.33.0", Features: ollama.Newest, CutOverflow: true},
			translate.Summary{PromptTokens: 100, Counted: true}, true},
		{"0.30.0 counts what is not cached only", long, translate.Settings{Model: "m", Version: "0.30.0", Features: ollama.Newest, CutOverflow: true},
			translate.Summary{PromptTokens: 100, Counted: true}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			req, err := translate.DecodeChat([]byte(test.body))
			if err != nil {
				t.Fatal(err)
			}
			out, err := exchange(req, test.settings)
			if err != nil {
				t.Fatal(err)
			}
			if got := out.WasCut(test.summary); got != test.want {
				t.Errorf("cut: %t, want %t", got, test.want)
			}
		})
	}
}
