package checkup

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/policy"
)

func checkOllama(ctx context.Context, p *Patient) Finding {
	switch {
	case p.Ollama == nil && p.behindIsAnEngine():
		return skipped("behind the gateway is no Ollama, but a server of OpenAI's dialect; the step adapter asks it")
	case p.Ollama == nil:
		return skipped("no --ollama is given, and it should not be reachable from here")
	}
	version, err := p.Ollama.Version(ctx)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOENT):
		return failed("nothing listens at %s", p.OllamaAddress).because(
			"Ollama is not running, or listens elsewhere.",
			"Start it (`systemctl start ollama` or `ollama serve`), or correct the address in reverse_proxy, or name it with --ollama.")
	case errors.Is(err, context.DeadlineExceeded):
		return failed("no answer from %s in time", p.OllamaAddress).because(
			"Ollama hangs, or a firewall swallows the packets.",
			"Look at `journalctl -u ollama`, restart it, and check the route to it.")
	case err != nil:
		return failed("what answers at %s is not Ollama: %v", p.OllamaAddress, err).because(
			"Another program has that port, or a proxy stands in between; or it is vLLM, llama.cpp or the like.",
			"Find out with `ss -ltnp` who listens there, and correct the address; those engines need `upstream openai` in ollama_adapter.")
	}
	if silent := p.silentUpstreams(ctx); len(silent) > 0 {
		return warning("Ollama %s at %s, but nobody at %s", version, p.OllamaAddress, strings.Join(silent, ", ")).because(
			"One of several Ollamas is down. Requests that go to it are 502, unless lb_retries has them go on to another.",
			"Start it, or take it out of reverse_proxy; see README, \"Several Ollamas\".")
	}
	if !ollama.FeaturesOf(version).Truncate {
		return warning("Ollama %s at %s", version, p.OllamaAddress).because(
			"Versions before 0.12.6 cut a conversation that is too long without a word.",
			"Update Ollama.")
	}
	return ok("Ollama %s at %s", version, p.OllamaAddress)
}

// silentUpstreams are those of several that take no connections.
func (p *Patient) silentUpstreams(ctx context.Context) (silent []string) {
	if c := p.gatewayConfigured(); c != nil {
		for _, upstream := range c.Upstreams {
			if upstream != p.OllamaAddress && !strings.HasPrefix(upstream, "unix/") && !p.Host.Answers(ctx, upstream) {
				silent = append(silent, upstream)
			}
		}
	}
	return silent
}

func checkModel(ctx context.Context, p *Patient) Finding {
	if p.Ollama == nil {
		return skipped("Ollama is not looked at")
	}
	installed, err := p.Ollama.Installed(ctx)
	if err != nil {
		return failed("Ollama does not list its models: %v", err).because(
			"Its folder of models cannot be read, perhaps.", "Look at `journalctl -u ollama`.")
	}
	if len(installed) == 0 {
		return failed("Ollama has no model").because(
			"None was pulled, or Ollama runs as another user than the one who pulled it.",
			"`ollama pull "+orElse(p.Model, "qwen3:32b")+"`, and check OLLAMA_MODELS of the service.")
	}
	if p.Model == "" {
		p.model = installed[0].Name
		return ok("%s (no default_model or --model is named; this is the newest)", p.model)
	}
	for _, tag := range installed {
		if policy.Canonical(tag.Name) == policy.Canonical(p.Model) {
			p.model = tag.Name
			if tag.RemoteHost != "" {
				return warning("%s runs at %s, not here", p.model, tag.RemoteHost).because(
					"It is a model of Ollama's cloud, so prompts leave this house.",
					"Use a local model unless that is what you want.")
			}
			return ok("%s is there", p.model)
		}
	}
	var names []string
	for _, tag := range installed {
		names = append(names, tag.Name)
	}
	correct := "default_model"
	if policy.Canonical(p.Asked) != policy.Canonical(p.Model) {
		correct = "the alias " + p.Asked
	}
	return failed("%s is not there; there are %s", p.Model, strings.Join(names, ", ")).because(
		"It was never pulled, or the name has another tag.",
		"`ollama pull "+p.Model+"`, or correct "+correct+".")
}

func checkLoaded(ctx context.Context, p *Patient) Finding {
	if p.Ollama == nil {
		return skipped("Ollama is not looked at")
	}
	tag, err := p.running(ctx)
	if err != nil {
		return failed("Ollama does not say what is loaded: %v", err).because(
			"Versions before 0.1.38 cannot.", "Update Ollama.")
	}
	if tag == nil {
		return warning("%s is not loaded", p.model).because(
			"The next request loads it first, which takes seconds to minutes; clients with less patience fail then.",
			"Nothing need be done; `keep_alive -1` in ollama_adapter keeps it loaded once it is.")
	}
	return ok("%s is loaded", p.model)
}

// running is the model as it is loaded; nil if it is not.
func (p *Patient) running(ctx context.Context) (*ollama.Tag, error) {
	tags, err := p.Ollama.Running(ctx)
	if err != nil {
		return nil, err
	}
	for _, tag := range tags {
		if policy.Canonical(tag.Name) == policy.Canonical(p.model) {
			return &tag, nil
		}
	}
	return nil, nil
}

func checkContext(ctx context.Context, p *Patient) Finding {
	if p.Ollama == nil {
		return skipped("Ollama is not looked at")
	}
	show, err := p.Ollama.Show(ctx, p.model)
	if err != nil {
		return failed("Ollama does not show %s: %v", p.model, err).because(
			"The model's files are damaged, perhaps.", "`ollama pull "+p.model+"` again.")
	}
	made := int64(show.ContextLength())
	loaded := int64(0)
	if tag, err := p.running(ctx); err == nil && tag != nil {
		loaded = int64(tag.ContextLength)
	}
	gateway := p.gatewayConfigured()
	switch {
	case gateway == nil:
		return ok("made for %s, loaded with %s", tokens(made), tokens(loaded))
	case gateway.NumCtx == 0:
		return warning("num_ctx is not set; made for %s, loaded with %s", tokens(made), tokens(loaded)).because(
			"Ollama then decides by the GPU's memory, often 4096, and each client may ask for another, which loads the model anew.",
			"Set it once in ollama_adapter: `defaults { num_ctx 32768 }`.")
	case made > 0 && gateway.NumCtx > made:
		return failed("num_ctx is %d, but %s was made for %d", gateway.NumCtx, p.model, made).because(
			"Ollama cuts the context down to what the model was made for.",
			fmt.Sprintf("Set num_ctx to %d or less, or take a model with a longer context.", made))
	case loaded > 0 && loaded != gateway.NumCtx:
		return warning("num_ctx is %d, but %s is loaded with %d", gateway.NumCtx, p.model, loaded).because(
			"Somebody goes around the gateway, or it was loaded before num_ctx was changed; each change of hands loads the model anew.",
			"Let all clients come through the gateway; `ollama stop "+p.model+"` if it is left over.")
	}
	return ok("num_ctx %d; made for %s, loaded with %s", gateway.NumCtx, tokens(made), tokens(loaded))
}

func tokens(n int64) string {
	if n == 0 {
		return "unknown"
	}
	return fmt.Sprint(n)
}

func orElse(text, standard string) string {
	if text == "" {
		return standard
	}
	return text
}
