// Package caddyollama bundles the Caddy modules of this repository, so that one
// `xcaddy build --with github.com/gateway18789/caddy-ollama` gets them all.
package caddyollama

import (
	_ "github.com/gateway18789/caddy-ollama/auditlog"
	_ "github.com/gateway18789/caddy-ollama/auditlog/console"
	_ "github.com/gateway18789/caddy-ollama/auditlog/ecs"
	_ "github.com/gateway18789/caddy-ollama/auditlog/webhook"
	_ "github.com/gateway18789/caddy-ollama/cmd/ollamadoctor"
	_ "github.com/gateway18789/caddy-ollama/cmd/ollamagateway"
	_ "github.com/gateway18789/caddy-ollama/jwtauth"
	_ "github.com/gateway18789/caddy-ollama/ollamaadapter"
	_ "github.com/gateway18789/caddy-ollama/ratelimit"
	_ "github.com/gateway18789/caddy-ollama/ratelimit/awaitrequests"
)
