package ollamagateway

import (
	"strings"
	"testing"
)

func TestWelcomeIsTrue(t *testing.T) {
	cases := []struct {
		name   string
		change func(*setup)
		says   []string
		not    []string
	}{
		{
			"a model that answers", func(*setup) {},
			[]string{"Ollama 0.17.4 at 127.0.0.1:11434", "Try it", `"model":"qwen3:0.6b"`, "ip-throttle unblock ::1 --address unix//state/admin.sock\n", "Three errors in a row"},
			[]string{"NO OLLAMA", "nothing to try"},
		},
		{
			"the demo", func(s *setup) { s.Upstream = upstream{Address: "127.0.0.1:40001", Demo: true}; s.Model = demoModel },
			[]string{"NO OLLAMA ANSWERS at 127.0.0.1:11434 ***", "Try it", `"model":"demo"`}, nil,
		},
		{
			"an Ollama that was named and is down: nobody knows its models",
			func(s *setup) { s.Upstream = upstream{Address: "127.0.0.1:1"}; s.Model = "" },
			[]string{"NO OLLAMA ANSWERS at 127.0.0.1:1 yet", "none yet", "nothing to try"}, []string{"ollama pull", "curl"},
		},
		{
			"the same with a model that was named", func(s *setup) { s.Upstream = upstream{Address: "127.0.0.1:1"} },
			[]string{"model      qwen3:0.6b\n", "nothing to try"}, []string{"ollama pull", "curl"},
		},
		{
			"a model that is not there", func(s *setup) { s.Model, s.Lack = "nope", "Ollama does not have it" },
			[]string{"model      nope: Ollama does not have it\n", "nothing to try"}, []string{"curl"},
		},
		{
			"no model", func(s *setup) { s.Model, s.Lack = "", "Ollama has no model" },
			[]string{"model      none: Ollama has no model\n", "nothing to try"}, []string{"curl"},
		},
		{
			"a state folder with a space is quoted", func(s *setup) { s.StateDir = "/my state" },
			[]string{"--address 'unix//my state/admin.sock'\n"}, nil,
		},
		{
			"a state folder without a socket", func(s *setup) { s.StateDir = "/" + strings.Repeat("x", 120) },
			[]string{"Three errors in a row", "shorter path"}, []string{"unblock"},
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := testSetup()
			c.change(s)
			text := s.welcome("eyJ", "::1")
			for _, want := range c.says {
				if !strings.Contains(text, want) {
					t.Errorf("does not say %q:\n%s", want, text)
				}
			}
			for _, wrong := range c.not {
				if strings.Contains(text, wrong) {
					t.Errorf("says %q:\n%s", wrong, text)
				}
			}
		})
	}
}
