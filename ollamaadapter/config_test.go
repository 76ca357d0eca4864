package ollamaadapter_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/gateway18789/caddy-ollama/ollamaadapter"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
)

func TestJSONMistakes(t *testing.T) {
	for _, test := range []struct{ name, in, says string }{
		{"an unknown option", `{"default_modell":"m"}`, "default_modell"},
		{"a system_role nobody knows", `{"system_role":"user"}`, "native or merge"},
		{"max_body below nothing", `{"max_body":-1}`, "max_body"},
		{"an upstream nobody knows", `{"upstream":"vllm"}`, "ollama or openai"},
		{"an engine's native API", `{"upstream":"openai","native":true}`, "native"},
		{"an engine that is to cut what is too long", `{"upstream":"openai","context_overflow":"truncate"}`, "context_overflow"},
		{"an engine that is to keep its model", `{"upstream":"openai","keep_alive":60000000000}`, "keep_alive"},
		{"the same for one model", `{"upstream":"openai","model":[{"glob":"m","keep_alive":60000000000}]}`, "keep_alive"},
		{"an engine's context, which is set where it starts", `{"upstream":"openai","defaults":{"temperature":1,"num_gpu":1,"num_ctx":1}}`, "num_ctx, num_gpu: with upstream openai"},
		{"the same for one model's context", `{"upstream":"openai","model":[{"glob":"m","defaults":{"num_ctx":1}}]}`, "model m: defaults: num_ctx"},
		{"max_body in words", `{"max_body":"10MB"}`, "max_body"},
		{"a heartbeat that would flood", `{"heartbeat":1000}`, "heartbeat"},
		{"a stall_timeout below nothing", `{"stall_timeout":-1}`, "stall_timeout"},
		{"a first_byte_timeout below nothing", `{"first_byte_timeout":-1000000000}`, "first_byte_timeout"},
		{"a max_duration of a moment", `{"max_duration":1}`, "max_duration"},
		{"a default nobody knows", `{"defaults":{"num_ctxx":1}}`, "num_ctxx"},
		{"a fraction for a whole number", `{"defaults":{"num_ctx":1.5}}`, "num_ctx"},
		{"null for a number", `{"defaults":{"num_ctx":null}}`, "num_ctx"},
		{"an object for a number", `{"defaults":{"num_ctx":{}}}`, "num_ctx"},
		{"a truth for a number", `{"defaults":{"temperature":true}}`, "temperature"},
		{"a string for a whole number, to which Ollama answers 500", `{"defaults":{"num_ctx":"32768"}}`, "num_ctx"},
		{"a string for a number, to which Ollama answers 500", `{"defaults":{"temperature":"0.7"}}`, "temperature"},
		{"a string for a truth, to which Ollama answers 500", `{"defaults":{"use_mmap":"true"}}`, "use_mmap"},
		{"a number for a truth, to which Ollama answers 500", `{"defaults":{"use_mmap":1}}`, "use_mmap"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := caddyContext(t).LoadModuleByID("http.handlers.ollama_adapter", json.RawMessage(test.in))
			if err == nil {
				t.Fatal("accepted")
			}
			if !strings.Contains(err.Error(), test.says) {
				t.Errorf("%q does not say %q", err, test.says)
			}
		})
	}
}

// Every request that names no model would be a 404, and nobody would know why.
func TestADefaultModelMustBeOneThatClientsMayHave(t *testing.T) {
	for _, test := range []struct{ name, in, says string }{
		{"not among the models", `{"default_model":"a","models":["b*","qwen*"]}`, "default_model a: models b* qwen* does not list it"},
		{"another tag than the listed one", `{"default_model":"a:7b","models":["a"]}`, "default_model a:7b"},
		{"without a tag, where another is listed", `{"default_model":"a","models":["a:7b"]}`, "default_model a"},
		{"an alias's real name, which is not listed", `{"default_model":"a","models":["b"],"alias":{"x":"a"}}`, "default_model a"},
		{"in the cloud, which must be listed", `{"default_model":"a:cloud"}`, "default_model a:cloud: it runs in Ollama's cloud"},
		{"in the cloud, of which no glob speaks", `{"default_model":"a:cloud","models":["a*"]}`, "default_model a:cloud: it runs in Ollama's cloud"},
		{"no name of a model", `{"default_model":"a b"}`, `default_model "a b"`},
		{"a glob", `{"default_model":"qwen*"}`, `default_model "qwen*"`},
		{"not among an engine's models", `{"upstream":"openai","default_model":"org/a","models":["org/b"]}`, "default_model org/a"},
	} {
		t.Run(test.name+" is an error", func(t *testing.T) {
			_, err := caddyContext(t).LoadModuleByID("http.handlers.ollama_adapter", json.RawMessage(test.in))
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("the error is %v, want one that says %q", err, test.says)
			}
		})
	}
	for _, test := range []struct{ name, in string }{
		{"with no models listed", `{"default_model":"a"}`},
		{"none, with models listed", `{"models":["b"]}`},
		{"listed by a glob", `{"default_model":"qwen3:32b","models":["b","qwen*"]}`},
		{"listed with the tag that is meant without one", `{"default_model":"a","models":["a:latest"]}`},
		{"with the tag that is meant, listed without one", `{"default_model":"a:latest","models":["a"]}`},
		{"listed in another case", `{"default_model":"Qwen3","models":["qwen3"]}`},
		{"an alias", `{"default_model":"chat","models":["b"],"alias":{"chat":"a"}}`},
		{"an alias with the tag that is meant", `{"default_model":"chat:latest","models":["b"],"alias":{"chat":"a"}}`},
		{"an alias of a model in the cloud", `{"default_model":"chat","alias":{"chat":"a:cloud"}}`},
		{"in the cloud and listed", `{"default_model":"a:cloud","models":["a:cloud"]}`},
	} {
		t.Run(test.name+" is none", func(t *testing.T) {
			if _, err := caddyContext(t).LoadModuleByID("http.handlers.ollama_adapter", json.RawMessage(test.in)); err != nil {
				t.Error(err)
			}
		})
	}
}

// Caddy makes JSON of a Caddyfile and loads that: what the one takes, the other must.
func TestDefaultsReachOllamaAsTheCaddyfileHasThem(t *testing.T) {
	for _, test := range []struct{ option, value string }{
		{"temperature", "0.7"},
		{"temperature", "0"},
		{"min_p", "1e-7"},
		{"num_ctx", "32768"},
		{"num_ctx", "1048576"},
		{"num_predict", "1000000"},
		{"num_predict", "-1"},
		{"seed", "123456789"},
		{"use_mmap", "true"},
		{"use_mmap", "false"},
	} {
		t.Run(test.option+" "+test.value, func(t *testing.T) {
			var handler ollamaadapter.Handler
			in := "ollama_adapter {\n\tdefaults {\n\t\t" + test.option + " " + test.value + "\n\t}\n}"
			if err := handler.UnmarshalCaddyfile(caddyfile.NewTestDispenser(in)); err != nil {
				t.Fatal(err)
			}
			g, server := start(t, handler, ollamatest.Says("m", "hi"))
			if resp := g.post(t, saying("")); resp.StatusCode != 200 {
				t.Fatalf("%s: %s", resp.Status, read(t, resp))
			}
			got, err := json.Marshal(server.Requests()[0].Options)
			if err != nil {
				t.Fatal(err)
			}
			if want := `{"` + test.option + `":` + test.value + `}`; string(got) != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}
