package ollamagateway

import (
	"strings"
	"testing"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
)

func TestHostPort(t *testing.T) {
	cases := []struct{ name, named, want string }{
		{"a URL", "http://10.0.0.7:11434", "10.0.0.7:11434"},
		{"a URL with a slash", "http://10.0.0.7:11434/", "10.0.0.7:11434"},
		{"host and port", "ollama.lan:11434", "ollama.lan:11434"},
		{"a host alone has Ollama's port", "10.0.0.7", "10.0.0.7:11434"},
		{"IPv6", "http://[::1]:11434", "[::1]:11434"},
		{"https is refused", "https://10.0.0.7", ""},
		{"a path is refused", "http://10.0.0.7/v1", ""},
		{"nothing is refused", "http://", ""},
		{"what would break the Caddyfile is refused", `10.0.0.7 } "`, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := hostPort(c.named)
			if got != c.want || (err == nil) != (c.want != "") {
				t.Errorf("hostPort(%q) = %q, %v, want %q", c.named, got, err, c.want)
			}
		})
	}
}

func TestHostPortSaysWhatIsWrong(t *testing.T) {
	cases := []struct{ name, named, says, not string }{
		{"a path is at fault, not https", "http://host:11434/v1", "path", "https is not"},
		{"https is at fault", "https://host:11434", "https is not supported", "path"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := hostPort(c.named)
			if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), c.not) {
				t.Errorf("hostPort(%q) says %v", c.named, err)
			}
		})
	}
}

func TestFindUpstreamUsesTheOneThatIsNamed(t *testing.T) {
	server := ollamatest.NewServer(ollamatest.Says("qwen3:0.6b", "hi"))
	defer server.Close()
	u, err := findUpstream(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	if want := (upstream{Address: server.Address(), Version: ollamatest.Version}); u != want {
		t.Errorf("found %+v, want %+v", u, want)
	}
}

func TestFindUpstreamNeverPutsTheDemoInPlaceOfANamedOne(t *testing.T) {
	server := ollamatest.NewServer()
	address := server.Address()
	server.Close() // nobody listens there now
	u, err := findUpstream(address)
	if err != nil || u.Demo || u.Address != address || u.Version != "" {
		t.Errorf("found %+v, %v", u, err)
	}
}

func TestDemoSaysThatItIsOne(t *testing.T) {
	answer := demoAnswer(ollama.ChatRequest{Messages: []ollama.Message{{Role: "user", Content: "two words"}}})
	if text := strings.Join(answer.Content, ""); !strings.Contains(text, "demo model") || answer.PromptTokens != 2 {
		t.Errorf("says %q, counts %d", text, answer.PromptTokens)
	}
}
