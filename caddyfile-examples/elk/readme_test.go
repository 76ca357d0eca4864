package elk

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// The commands of the README, as they are pasted, send Elasticsearch what it wants.
func TestTheCommandsOfTheREADME(t *testing.T) {
	for _, tool := range []string{"bash", "curl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(err)
		}
	}
	var asked []string
	elasticsearch := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || !json.Valid(body) || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s: no JSON: %s (%v)", r.Method, r.URL, body, err)
		}
		asked = append(asked, r.Method+" "+r.URL.Path)
	}))
	defer elasticsearch.Close()
	_, rest, _ := strings.Cut(string(readFile(t, "README.md")), "```sh\n")
	commands, _, _ := strings.Cut(rest, "```\n")
	commands = strings.NewReplacer("https://elasticsearch.example.com:9200", elasticsearch.URL,
		"--cacert elasticsearch-ca.crt -u elastic", "-u elastic:secret").Replace(commands)
	if output, err := exec.Command("bash", "-euc", commands).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, output)
	}
	want := []string{"PUT /_ilm/policy/caddy-ollama-audit", "PUT /_index_template/logs-caddy_ollama.audit", "POST /_security/api_key"}
	if !slices.Equal(asked, want) {
		t.Errorf("asked %q, want %q", asked, want)
	}
}
