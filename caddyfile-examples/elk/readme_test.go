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

	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
)

// The Caddyfile of the README is one, and the id that it speaks of is Logstash's.
func TestTheGatewayShipsToLogstash(t *testing.T) {
	_, rest, _ := strings.Cut(string(readFile(t, "README.md")), "```caddyfile\n")
	block, _, found := strings.Cut(rest, "```\n")
	if !found {
		t.Fatal("the README has no Caddyfile")
	}
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte("{\n"+block+"}\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := `"ship":{"address":"logstash.example.com:5044","ca":"/etc/caddy-ollama/logstash-ca.crt",` +
		`"certificate":"/etc/caddy-ollama/ship.crt","key":"/etc/caddy-ollama/ship.key"}`
	if !strings.Contains(string(config), want) {
		t.Errorf("got %s, want %s", config, want)
	}
	logstash := string(readFile(t, "logstash.conf"))
	for _, part := range []string{"beats {", "port => 5044", "if [@metadata][_id] {", `document_id => "%{[@metadata][_id]}"`} {
		if !strings.Contains(logstash, part) {
			t.Errorf("logstash.conf does not say %s", part)
		}
	}
}

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
