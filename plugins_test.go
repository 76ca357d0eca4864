package caddyollama

import (
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"

	_ "github.com/caddyserver/caddy/v2/modules/standard"
)

// Without a route block, Caddy sorts directives: the lines of defence must come
// out in the right order however the user wrote them, and with no order option.
func TestDirectivesSortThemselves(t *testing.T) {
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(`
		http://localhost:18789
		reverse_proxy 127.0.0.1:11434
		ollama_adapter
		jwt_auth {
			secret {env.JWT_SECRET}
		}
		encode
		ip_throttle {
			rate 5/s
		}
		audit_log
	`), nil)
	if err != nil {
		t.Fatal(err)
	}
	rest := string(config)
	for _, handler := range []string{"audit_log", "ip_throttle", "jwt_auth", "encode", "ollama_adapter", "reverse_proxy"} {
		_, after, found := strings.Cut(rest, `"handler":"`+handler+`"`)
		if !found {
			t.Fatalf("%s does not come after those before it: %s", handler, config)
		}
		rest = after
	}
}
