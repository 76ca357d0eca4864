package ollamaadapter_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/gateway18789/caddy-ollama/ollamaadapter"
)

func TestCaddyfile(t *testing.T) {
	for _, test := range []struct{ name, in, want string }{
		{"no options", `ollama_adapter`, `{}`},
		{"no options within braces", "ollama_adapter {\n}", `{}`},
		{"default_model", "ollama_adapter {\n\tdefault_model qwen3:32b\n}", `{"default_model":"qwen3:32b"}`},
		{"an engine behind", "ollama_adapter {\n\tupstream openai\n}", `{"upstream":"openai"}`},
		{"system_role native", "ollama_adapter {\n\tsystem_role native\n}", `{"system_role":"native"}`},
		{"system_role merge", "ollama_adapter {\n\tsystem_role merge\n}", `{"system_role":"merge"}`},
		{"max_body in thousands", "ollama_adapter {\n\tmax_body 10MB\n}", `{"max_body":10000000}`},
		{"max_body in 1024s", "ollama_adapter {\n\tmax_body 1MiB\n}", `{"max_body":1048576}`},
		{"max_body in bytes", "ollama_adapter {\n\tmax_body 5000\n}", `{"max_body":5000}`},
		{"defaults have their options' types",
			"ollama_adapter {\n\tdefaults {\n\t\ttemperature 0.7\n\t\tnum_ctx 32768\n\t\tuse_mmap true\n\t\tnum_gpu -1\n\t}\n}",
			`{"defaults":{"num_ctx":32768,"num_gpu":-1,"temperature":0.7,"use_mmap":true}}`},
		{"what can be switched off, switched off",
			"ollama_adapter {\n\theartbeat off\n\tfirst_byte_timeout off\n\tstall_timeout off\n\tmax_duration off\n\tcoalesce_loads off\n}",
			`{"heartbeat":0,"first_byte_timeout":0,"stall_timeout":0,"coalesce_loads":false}`},
		{"and on",
			"ollama_adapter {\n\theartbeat 20s\n\theartbeat_json on\n\tfirst_byte_timeout 10m\n\tstall_timeout 30s\n\tmax_duration 1h\n\tcoalesce_loads on\n}",
			`{"heartbeat":20000000000,"heartbeat_json":true,"first_byte_timeout":600000000000,"stall_timeout":30000000000,"max_duration":3600000000000,"coalesce_loads":true}`},
		{"no defaults", "ollama_adapter {\n\tdefaults {\n\t}\n}", `{}`},
		{"all of them, after the defaults too",
			"ollama_adapter {\n\tdefaults {\n\t\tseed 1\n\t}\n\tmax_body 1kB\n\tsystem_role merge\n\tdefault_model m\n}",
			`{"default_model":"m","system_role":"merge","defaults":{"seed":1},"max_body":1000}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			var handler ollamaadapter.Handler
			if err := handler.UnmarshalCaddyfile(caddyfile.NewTestDispenser(test.in)); err != nil {
				t.Fatal(err)
			}
			got, err := json.Marshal(handler)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
			module, err := caddyContext(t).LoadModuleByID("http.handlers.ollama_adapter", got)
			if err != nil {
				t.Errorf("Caddy cannot load it: %v", err)
			}
			if _, ok := module.(*ollamaadapter.Handler); err == nil && !ok {
				t.Errorf("Caddy loads a %T", module)
			}
		})
	}
}

func TestCaddyfileMistakes(t *testing.T) {
	for _, test := range []struct{ name, in, line, says string }{
		{"an argument", "ollama_adapter x", "Testfile:1", "argument"},
		{"an unknown option", "ollama_adapter {\n\tdefault_model m\n\tdefault_modell m\n}", "Testfile:3", "default_modell"},
		{"an option in capitals", "ollama_adapter {\n\tMax_body 1MB\n}", "Testfile:2", "Max_body"},
		{"default_model without a name", "ollama_adapter {\n\tdefault_model\n}", "Testfile:2", "argument"},
		{"default_model with two names", "ollama_adapter {\n\tdefault_model a b\n}", "Testfile:2", "argument"},
		{"default_model twice", "ollama_adapter {\n\tdefault_model a\n\n\tdefault_model b\n}", "Testfile:4", "twice"},
		{"system_role without a value", "ollama_adapter {\n\tsystem_role\n}", "Testfile:2", "argument"},
		{"a system_role nobody knows", "ollama_adapter {\n\tsystem_role user\n}", "Testfile:2", "native or merge"},
		{"system_role twice", "ollama_adapter {\n\tsystem_role merge\n\tsystem_role merge\n}", "Testfile:3", "twice"},
		{"max_body without a size", "ollama_adapter {\n\tmax_body\n}", "Testfile:2", "argument"},
		{"an upstream nobody knows", "ollama_adapter {\n\tupstream vllm\n}", "Testfile:2", "ollama or openai"},
		{"max_body of nothing", "ollama_adapter {\n\tmax_body 0\n}", "Testfile:2", "max_body"},
		{"max_body below nothing", "ollama_adapter {\n\tmax_body -1MB\n}", "Testfile:2", "max_body"},
		{"max_body in words", "ollama_adapter {\n\tmax_body large\n}", "Testfile:2", "max_body"},
		{"max_body in two words", "ollama_adapter {\n\tmax_body 10 MB\n}", "Testfile:2", "argument"},
		{"max_body beyond all numbers", "ollama_adapter {\n\tmax_body 10EB\n}", "Testfile:2", "max_body"},
		{"max_body twice", "ollama_adapter {\n\tmax_body 1MB\n\tmax_body 1MB\n}", "Testfile:3", "twice"},
		{"heartbeat without a duration", "ollama_adapter {\n\theartbeat\n}", "Testfile:2", "argument"},
		{"heartbeat of nothing", "ollama_adapter {\n\theartbeat 0s\n}", "Testfile:2", "heartbeat"},
		{"a first_byte_timeout below nothing", "ollama_adapter {\n\tfirst_byte_timeout -5s\n}", "Testfile:2", "first_byte_timeout"},
		{"a stall_timeout without a unit", "ollama_adapter {\n\tstall_timeout 60\n}", "Testfile:2", "stall_timeout"},
		{"max_duration twice", "ollama_adapter {\n\tmax_duration 1h\n\tmax_duration 1h\n}", "Testfile:3", "twice"},
		{"heartbeat_json neither on nor off", "ollama_adapter {\n\theartbeat_json yes\n}", "Testfile:2", "on or off"},
		{"coalesce_loads neither on nor off", "ollama_adapter {\n\tcoalesce_loads\n}", "Testfile:2", "argument"},
		{"defaults twice", "ollama_adapter {\n\tdefaults {\n\t\tseed 1\n\t}\n\tdefaults {\n\t\ttop_k 1\n\t}\n}", "Testfile:5", "twice"},
		{"a default nobody knows", "ollama_adapter {\n\tdefaults {\n\t\tseed 1\n\t\tnum_ctxx 1\n\t}\n}", "Testfile:4", "num_ctxx"},
		{"a default twice", "ollama_adapter {\n\tdefaults {\n\t\tseed 1\n\t\tseed 2\n\t}\n}", "Testfile:4", "twice"},
		{"a default without a value", "ollama_adapter {\n\tdefaults {\n\t\tseed\n\t}\n}", "Testfile:3", "argument"},
		{"a default with two values", "ollama_adapter {\n\tdefaults {\n\t\tseed 1 2\n\t}\n}", "Testfile:3", "argument"},
		{"a default of another type", "ollama_adapter {\n\tdefaults {\n\t\tnum_ctx 32k\n\t}\n}", "Testfile:3", "num_ctx"},
		{"a default outside of defaults", "ollama_adapter {\n\ttemperature 0.7\n}", "Testfile:2", "temperature"},
		{"defaults without braces", "ollama_adapter {\n\tdefaults seed 1\n}", "Testfile:2", ""},
		{"a context below nothing", "ollama_adapter {\n\tdefaults {\n\t\tnum_ctx -5\n\t}\n}", "Testfile:3", "num_ctx"},
		{"a context of nothing", "ollama_adapter {\n\tdefaults {\n\t\tnum_ctx 0\n\t}\n}", "Testfile:3", "num_ctx"},
		{"a temperature below zero", "ollama_adapter {\n\tdefaults {\n\t\ttemperature -1\n\t}\n}", "Testfile:3", "temperature"},
		{"a share of more than all", "ollama_adapter {\n\tdefaults {\n\t\ttop_p 7\n\t}\n}", "Testfile:3", "top_p"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var handler ollamaadapter.Handler
			err := handler.UnmarshalCaddyfile(caddyfile.NewTestDispenser(test.in))
			if err == nil {
				t.Fatalf("accepted as %+v", handler)
			}
			if text := err.Error(); !strings.Contains(text, test.line) || !strings.Contains(text, test.says) {
				t.Errorf("%q does not say %q and %q", text, test.line, test.says)
			}
		})
	}
}

func TestCaddyfileOfOpenAIError(t *testing.T) {
	var handler ollamaadapter.ErrorHandler
	if err := handler.UnmarshalCaddyfile(caddyfile.NewTestDispenser("openai_error")); err != nil {
		t.Error(err)
	}
	for name, in := range map[string]string{
		"an argument": "openai_error x",
		"an option":   "openai_error {\n\tx\n}",
	} {
		t.Run(name, func(t *testing.T) {
			if err := handler.UnmarshalCaddyfile(caddyfile.NewTestDispenser(in)); err == nil || !strings.Contains(err.Error(), "Testfile:") {
				t.Errorf("got %v", err)
			}
		})
	}
}

// No user needs an `order` option.
func TestDirectivesHaveTheirPlace(t *testing.T) {
	const site = `http://gateway.example.com {
		reverse_proxy 127.0.0.1:11434
		ollama_adapter
		handle_errors {
			respond "never seen"
			openai_error
		}
	}`
	adapter := caddyfile.Adapter{ServerType: httpcaddyfile.ServerType{}}
	config, _, err := adapter.Adapt([]byte(site), nil)
	if err != nil {
		t.Fatal(err)
	}
	before := func(first, second string) {
		t.Helper()
		i, j := strings.Index(string(config), `"`+first+`"`), strings.Index(string(config), `"`+second+`"`)
		if i < 0 || j < i {
			t.Errorf("%s at %d, %s at %d in %s", first, i, second, j, config)
		}
	}
	before("ollama_adapter", "reverse_proxy")
	before("openai_error", "static_response")
}
