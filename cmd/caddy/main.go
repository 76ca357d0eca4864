// Command caddy is Caddy with the modules and subcommands of this repository.
package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/gateway18789/caddy-ollama"
)

func main() {
	caddycmd.Main()
}
