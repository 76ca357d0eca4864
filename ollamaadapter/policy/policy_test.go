package policy

import (
	"fmt"
	"testing"
)

func TestResolve(t *testing.T) {
	open := &Policy{DefaultModel: "qwen3:32b"}
	listed := &Policy{
		Models:  []string{"qwen3:*", "hf.co/*", "gpt-oss:120b-cloud"},
		Aliases: map[string]string{"gpt-4o:latest": "llama3.3:70b"},
	}
	all := &Policy{Models: []string{"*"}}
	cases := []struct {
		name   string
		policy *Policy
		asked  string
		only   []string
		model  string // empty: refused
	}{
		{"without a list, any model may be asked for", open, "llama3.2", nil, "llama3.2"},
		{"no name means the default model", open, "", nil, "qwen3:32b"},
		{"no name and no default is refused", listed, "", nil, ""},
		{"a listed name passes", listed, "qwen3:0.6b", nil, "qwen3:0.6b"},
		{"names count in any case, as Ollama's do", listed, "Qwen3:0.6B", nil, "Qwen3:0.6B"},
		{"a star matches slashes too", listed, "hf.co/someone/model:Q4_K_M", nil, "hf.co/someone/model:Q4_K_M"},
		{"a name that is not listed is refused", listed, "llama3.2", nil, ""},
		{"a name that only begins like a listed one is refused", listed, "qwen3x:0.6b", nil, ""},
		{"an alias is allowed by being one", listed, "gpt-4o", nil, "llama3.3:70b"},
		{"an alias counts with its tag latest", listed, "GPT-4o:latest", nil, "llama3.3:70b"},
		{"an alias does not open its real name", listed, "llama3.3:70b", nil, ""},
		{"a cloud-hosted model is refused where nothing is listed", open, "gpt-oss:120b-cloud", nil, ""},
		{"so is one with the tag cloud", open, "glm-5:cloud", nil, ""},
		{"in any case", open, "GLM-5:Cloud", nil, ""},
		{"a star alone does not mean the cloud", all, "gpt-oss:120b-cloud", nil, ""},
		{"a cloud-hosted model that is listed passes", listed, "gpt-oss:120b-cloud", nil, "gpt-oss:120b-cloud"},
		{"a user's own list narrows the server's", listed, "qwen3:0.6b", []string{"hf.co/*"}, ""},
		{"a user's own list does not widen the server's", listed, "llama3.2", []string{"*"}, ""},
		{"an empty list of a user's allows nothing", listed, "qwen3:0.6b", []string{}, ""},
		{"a path is no name", open, "../../etc/passwd", nil, ""},
		{"a line break is no name", open, "a\nb", nil, ""},
		{"a name of 300 characters is none", open, fmt.Sprintf("%0300d", 1), nil, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			model, allowed := c.policy.Resolve(c.asked, c.only)
			if allowed != (c.model != "") || allowed && model != c.model {
				t.Errorf("Resolve(%q, %q) = %q, %t, want %q", c.asked, c.only, model, allowed, c.model)
			}
		})
	}
}

func TestVisibleHidesModelsThatRunElsewhere(t *testing.T) {
	p := &Policy{Models: []string{"*", "mine"}}
	if p.Visible("plain", true) {
		t.Error("a star shows a model whose host is another")
	}
	if !p.Visible("mine", true) {
		t.Error("a model that is listed by its very name is hidden")
	}
}

func TestMayLeave(t *testing.T) {
	p := &Policy{Models: []string{"*", "listed"}, Aliases: map[string]string{"gpt-4o:latest": "remote"}}
	for _, c := range []struct {
		name, asked, model string
		want               bool
	}{
		{"by its alias, which the operator has given it", "gpt-4o", "remote", true},
		{"listed by its very name", "listed", "listed", true},
		{"not for a star", "remote", "remote", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := p.MayLeave(c.asked, c.model); got != c.want {
				t.Errorf("MayLeave(%q, %q) = %t", c.asked, c.model, got)
			}
		})
	}
}

func TestWildcard(t *testing.T) {
	cases := []struct {
		glob, name string
		want       bool
	}{
		{"a*", "a", true}, {"*", "", true}, {"a*b*c", "aXbYc", true}, {"a*b*c", "abc", true},
		{"a*b*c", "acb", false}, {"aa*aa", "aaa", false}, {"*b", "ab", true}, {"*b", "ba", false}, {"", "a", false},
		{"a**b", "ab", true},
	}
	for _, c := range cases {
		if got := wildcard(c.glob, c.name); got != c.want {
			t.Errorf("wildcard(%q, %q) = %t", c.glob, c.name, got)
		}
	}
}

func TestOptions(t *testing.T) {
	p := &Policy{
		Rules: Rules{
			Defaults: map[string]any{"temperature": 0.7, "num_ctx": int64(32768)},
			Limits:   map[string]float64{"num_predict": 4096, "top_k": 100},
		},
		PerModel: []ModelRules{
			{"qwen3:*", Rules{Defaults: map[string]any{"temperature": 0.6}, Limits: map[string]float64{"num_predict": 512}}},
			{"*:0.6b", Rules{Defaults: map[string]any{"num_ctx": int64(8192)}}},
		},
	}
	cases := []struct {
		name, model string
		asked       map[string]any
		want        map[string]any
	}{
		{"a silent client gets the defaults, and num_predict's limit", "llama3.2", nil,
			map[string]any{"temperature": 0.7, "num_ctx": int64(32768), "num_predict": int64(4096)}},
		{"what the client asks for goes before a default", "llama3.2", map[string]any{"temperature": 0.1, "num_predict": int64(10)},
			map[string]any{"temperature": 0.1, "num_ctx": int64(32768), "num_predict": int64(10)}},
		{"a load-time default holds whatever the client asks", "llama3.2", map[string]any{"num_ctx": int64(512)},
			map[string]any{"temperature": 0.7, "num_ctx": int64(32768), "num_predict": int64(4096)}},
		{"a load-time option that nobody named goes through", "llama3.2", map[string]any{"num_gpu": int64(1)},
			map[string]any{"temperature": 0.7, "num_ctx": int64(32768), "num_predict": int64(4096), "num_gpu": int64(1)}},
		{"a limit cuts off", "llama3.2", map[string]any{"num_predict": int64(1_000_000), "top_k": int64(500)},
			map[string]any{"temperature": 0.7, "num_ctx": int64(32768), "num_predict": int64(4096), "top_k": int64(100)}},
		{"endless is over any limit", "llama3.2", map[string]any{"num_predict": int64(-1)},
			map[string]any{"temperature": 0.7, "num_ctx": int64(32768), "num_predict": int64(4096)}},
		{"a model's own rules go before the rules for all, later ones before earlier", "qwen3:0.6b", nil,
			map[string]any{"temperature": 0.6, "num_ctx": int64(8192), "num_predict": int64(512)}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := p.For(c.model).Options(c.asked)
			if fmt.Sprint(got) != fmt.Sprint(c.want) {
				t.Errorf("options are %v, want %v", got, c.want)
			}
		})
	}
	if len(p.Rules.Defaults) != 2 || p.Rules.Defaults["num_ctx"] != int64(32768) {
		t.Errorf("the policy itself has changed: %v", p.Rules.Defaults)
	}
}

func TestKeepAliveFor(t *testing.T) {
	seconds := func(s float64) *float64 { return &s }
	cases := []struct {
		name                string
		server, asked, want *float64
	}{
		{"neither says anything", nil, nil, nil},
		{"only the client", nil, seconds(60), seconds(60)},
		{"only the server", seconds(600), nil, seconds(600)},
		{"the client asks for less", seconds(600), seconds(0), seconds(0)},
		{"the client asks for more", seconds(600), seconds(3600), seconds(600)},
		{"the client asks for ever", seconds(600), seconds(-1), seconds(600)},
		{"the server allows for ever", seconds(-1), seconds(3600), seconds(3600)},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := Rules{KeepAlive: c.server}.KeepAliveFor(c.asked)
			if (got == nil) != (c.want == nil) || got != nil && *got != *c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}
