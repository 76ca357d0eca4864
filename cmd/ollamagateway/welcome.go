package ollamagateway

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
)

// welcome says what is running and how to use it. fresh is a token.
func (s *setup) welcome(fresh string) string {
	var b strings.Builder
	url := "https://" + net.JoinHostPort(s.reachableHost(), s.Port)
	fmt.Fprintf(&b, "\ncaddy-ollama gateway\n\n")
	fmt.Fprintf(&b, "  serving    %s/v1   (client certificate and token needed)\n", url)
	switch {
	case s.Upstream.Demo:
		fmt.Fprintf(&b, "\n  *** NO OLLAMA ANSWERS at %s ***\n", defaultOllama)
		fmt.Fprintf(&b, "  *** Answering from the built-in demo model instead; it only ever says one thing. ***\n")
		fmt.Fprintf(&b, "  *** Start Ollama, or name one with --ollama, and start the gateway again.        ***\n\n")
	case s.Upstream.Version == "":
		fmt.Fprintf(&b, "\n  *** NO OLLAMA ANSWERS at %s yet; requests get 502 until one does. ***\n\n", s.Upstream.Address)
	default:
		fmt.Fprintf(&b, "  upstream   Ollama %s at %s\n", s.Upstream.Version, s.Upstream.Address)
	}
	if s.Model == "" {
		fmt.Fprintf(&b, "  model      none yet: Ollama has no model, get one with `ollama pull qwen3:0.6b`\n")
	} else {
		fmt.Fprintf(&b, "  model      %s\n", s.Model)
	}
	fmt.Fprintf(&b, "  state      %s\n", s.StateDir)
	fmt.Fprintf(&b, "  audit log  %s\n", filepath.Join(s.StateDir, "audit.log"))
	fmt.Fprintf(&b, "\nTry it (this token lives %s):\n\n%s\n", "5 minutes", s.curl(url, fresh))
	fmt.Fprintf(&b, "\nThe next token:\n\n  %s jwt issue --secret-file %s --sub demo\n\n", program(), shellWord(s.Files.Secret))
	return b.String()
}

// curl is a command that asks the model something.
func (s *setup) curl(url, fresh string) string {
	model := s.Model
	if model == "" {
		model = "qwen3:0.6b"
	}
	body, err := json.Marshal(map[string]any{
		"model":    model,
		"messages": []map[string]string{{"role": "user", "content": "Hello"}},
	})
	if err != nil {
		panic(err) // strings always marshal
	}
	return strings.Join([]string{
		"  curl --cacert " + shellWord(s.Files.CACert) + " --cert " + shellWord(s.Files.ClientCert) + " --key " + shellWord(s.Files.ClientKey),
		"    -H 'Content-Type: application/json' -H 'Authorization: Bearer " + fresh + "'",
		"    -d " + shellWord(string(body)),
		"    " + url + "/v1/chat/completions",
	}, " \\\n")
}

// reachableHost is a name that the server certificate has and that reaches us from here.
func (s *setup) reachableHost() string {
	if ip := net.ParseIP(s.Host); s.Host == "" || ip != nil && ip.IsUnspecified() {
		return "localhost"
	}
	return s.Host
}

// program is how to call this program again.
func program() string {
	if strings.Contains(os.Args[0], "go-build") { // started by `go run`
		return "go run ./cmd/caddy"
	}
	return shellWord(os.Args[0])
}

// shellWord quotes s for a POSIX shell if it needs quotes.
func shellWord(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-:=@+,", r)
	}
	if s != "" && strings.TrimFunc(s, plain) == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
