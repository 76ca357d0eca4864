package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"

	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/gateway18789/caddy-ollama"
)

func TestCaddyfileHasThePartsItIsToHave(t *testing.T) {
	cases := map[string][]string{
		"stock Caddy has none":   nil,
		"the gateway has all":    allParts,
		"without audit_log":      without(audit),
		"without ip_throttle":    without(throttle),
		"without jwt_auth":       without(jwtAuth),
		"without ollama_adapter": without(translate),
	}
	for name, parts := range cases {
		t.Run(name, func(t *testing.T) {
			text := caddyfile(t.TempDir(), "127.0.0.1:18789", "127.0.0.1:11434", parts)
			config, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), nil)
			if err != nil || len(warnings) > 0 && strings.Contains(warnings[0].Message, "unknown") {
				t.Fatalf("%v, %v:\n%s", err, warnings, text)
			}
			for _, part := range allParts {
				has := strings.Contains(string(config), `"handler":"`+part+`"`)
				if has != slices.Contains(parts, part) {
					t.Errorf("%s: %t\n%s", part, has, text)
				}
			}
			for _, always := range []string{`"handler":"reverse_proxy"`, `"mode":"require_and_verify"`, `"127.0.0.1:11434"`} {
				if !strings.Contains(string(config), always) {
					t.Errorf("there is no %s\n%s", always, text)
				}
			}
		})
	}
}
