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
			text := gateway{home: t.TempDir(), address: "127.0.0.1:18789", upstream: "127.0.0.1:11434", parts: parts}.caddyfile()
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

func TestAGatewayThatRemembersGoesByForwardedFor(t *testing.T) {
	for name, c := range map[string]struct {
		gateway gateway
		want    map[string]bool
	}{
		"it does":                            {gateway{parts: allParts, remembers: true}, map[string]bool{"trusted_proxies": true, "1/h": true, knownPath: true}},
		"another does not":                   {gateway{parts: allParts}, map[string]bool{"trusted_proxies": false, "1/h": false, knownPath: false}},
		"stock Caddy beside it reads it too": {gateway{remembers: true}, map[string]bool{"trusted_proxies": true, knownPath: false}},
	} {
		t.Run(name, func(t *testing.T) {
			g := c.gateway
			g.home, g.address, g.upstream = t.TempDir(), "127.0.0.1:18789", "127.0.0.1:11434"
			config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(g.caddyfile()), nil)
			if err != nil {
				t.Fatal(err)
			}
			for text, want := range c.want {
				if strings.Contains(string(config), text) != want {
					t.Errorf("%q: want %t\n%s", text, want, config)
				}
			}
		})
	}
}
