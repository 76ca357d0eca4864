// Command stockcaddy is Caddy without the modules of this repository, of the same
// version, for integration/bench to compare with.
package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	_ "github.com/caddyserver/caddy/v2/modules/standard"
)

func main() {
	caddycmd.Main()
}
