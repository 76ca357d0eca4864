package ollamagateway

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
)

// welcome says what is running and how to use it. fresh is a token; from is the address
// from which this machine's own clients come.
func (s *setup) welcome(fresh, from string) string {
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
	fmt.Fprintf(&b, "  model      %s\n", s.modelLine())
	fmt.Fprintf(&b, "  state      %s\n", s.StateDir)
	fmt.Fprintf(&b, "  audit log  %s\n", filepath.Join(s.StateDir, "audit.log"))
	if s.answers() {
		fmt.Fprintf(&b, "\nTry it (this token lives %s):\n\n%s\n", "5 minutes", s.curl(url, fresh))
	} else {
		fmt.Fprintf(&b, "\nThere is nothing to try yet: see above, then start the gateway again for a request to paste.\n")
	}
	fmt.Fprintf(&b, "\nThe next token:\n\n  %s jwt issue --secret-file %s --sub demo\n", program(), shellWord(s.Files.Secret))
	fmt.Fprintf(&b, "\nThree errors in a row (a token that has expired is one) block an address for ten minutes.\n")
	if socket := s.AdminSocket(); socket != "" {
		fmt.Fprintf(&b, "To lift that:\n\n  %s ip-throttle unblock %s --address %s\n\n", program(), from, shellWord("unix/"+socket))
	} else {
		fmt.Fprintf(&b, "There is no lifting that here: for a way to, give a --state-dir with a shorter path.\n\n")
	}
	return b.String()
}

// answers reports whether a chat will be answered, as far as is known.
func (s *setup) answers() bool {
	return s.Upstream.Demo || s.Upstream.Version != "" && s.Lack == ""
}

// modelLine is the model for requests that name none, and what is wrong with it.
func (s *setup) modelLine() string {
	switch {
	case s.Model == "" && s.Lack == "":
		return "none yet: it is chosen when the gateway starts and Ollama answers, or named with --model"
	case s.Model == "":
		return "none: " + s.Lack
	case s.Lack != "":
		return s.Model + ": " + s.Lack
	}
	return s.Model
}

// curl is a command that asks the model something.
func (s *setup) curl(url, fresh string) string {
	body, err := json.Marshal(map[string]any{
		"model":    s.Model,
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
