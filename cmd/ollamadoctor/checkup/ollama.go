package checkup

import (
	"context"
	"errors"
	"syscall"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
)

func askVersion(ctx context.Context, o *Upstream) { o.version, o.versionErr = o.API.Version(ctx) }

func judgeVersion(p *Patient, o *Upstream) Finding {
	err := o.versionErr
	switch {
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOENT):
		return failed("nothing listens at %s", o.Address).because(
			"Ollama is not running, or listens elsewhere."+p.meanwhile(o),
			"Start it (`systemctl start ollama` or `ollama serve`), or correct the address in reverse_proxy, or name it with --ollama.")
	case errors.Is(err, context.DeadlineExceeded):
		return failed("no answer from %s in time", o.Address).because(
			"Ollama hangs, or a firewall swallows the packets."+p.meanwhile(o),
			"Look at `journalctl -u ollama`, restart it, and check the route to it.")
	case err != nil:
		return failed("what answers at %s is not Ollama: %v", o.Address, err).because(
			"Another program has that port, or a proxy stands in between; or it is vLLM, llama.cpp or the like."+p.meanwhile(o),
			"Find out with `ss -ltnp` who listens there, and correct the address; those engines need `upstream openai` in ollama_adapter.")
	}
	if !ollama.FeaturesOf(o.version).Truncate {
		return warning("Ollama %s at %s", o.version, o.Address).because(
			"Versions before 0.12.6 cut a conversation that is too long without a word.",
			"Update Ollama.")
	}
	return ok("Ollama %s at %s", o.version, o.Address)
}

// meanwhile is what becomes of requests while one of several Ollamas has failed.
func (p *Patient) meanwhile(failing *Upstream) string {
	if p.another(failing, (*Upstream).answers) == nil {
		return ""
	}
	return " Requests that go to it fail, unless others take them over (README, \"Several Ollamas\")."
}

// answers reports whether it has said which Ollama it is.
func (o *Upstream) answers() bool { return o.version != "" }
