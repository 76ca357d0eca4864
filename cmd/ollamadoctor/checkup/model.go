package checkup

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/policy"
)

func askInstalled(ctx context.Context, o *Upstream) {
	o.installed, o.installedErr = o.API.Installed(ctx)
}

func judgeModel(p *Patient, o *Upstream) Finding {
	if o.installedErr != nil {
		return failed("Ollama does not list its models: %v", o.installedErr).because(
			"Its folder of models cannot be read, perhaps.", "Look at `journalctl -u ollama`.")
	}
	if len(o.installed) == 0 {
		return failed("Ollama has no model").because(
			"None was pulled, or Ollama runs as another user than the one who pulled it.",
			"`ollama pull "+orElse(p.Model, "qwen3:32b")+"`, and check OLLAMA_MODELS of the service.")
	}
	if p.Model == "" {
		o.model = o.installed[0].Name
		return p.aliases(o, ok("%s (no default_model or --model is named; this is the newest)", o.model))
	}
	tag := tagOf(o.installed, p.Model)
	if tag == nil {
		return p.lacking(o)
	}
	o.model = tag.Name
	if tag.RemoteHost != "" {
		return warning("%s runs at %s, not here", o.model, tag.RemoteHost).because(
			"It is a model of Ollama's cloud, so prompts leave this house.",
			"Use a local model unless that is what you want.")
	}
	return p.aliases(o, ok("%s is there", o.model))
}

// aliases is what was found, unless there are aliases whose model is not there.
func (p *Patient) aliases(o *Upstream, found Finding) Finding {
	c := p.gatewayConfigured()
	if c == nil {
		return found
	}
	var lost, models []string
	for _, public := range slices.Sorted(maps.Keys(c.Offers.Aliases)) {
		model := c.Offers.Aliases[public]
		if policy.IsCloud(model) || o.has(model) || c.ByModel && p.elsewhere(o, model) {
			continue
		}
		lost = append(lost, strings.TrimSuffix(public, ":latest")+" ("+model+")")
		models = append(models, model)
	}
	if lost == nil {
		return found
	}
	return warning("%s is there, but not what these aliases mean: %s", o.model, some(lost)).because(
		"Who asks for one of them gets a 404.",
		"`ollama pull "+models[0]+"` and the like, or take the aliases out of ollama_adapter.")
}

// has reports whether an Ollama has a model.
func (o *Upstream) has(model string) bool { return tagOf(o.installed, model) != nil }

// elsewhere reports whether another Ollama has a model.
func (p *Patient) elsewhere(than *Upstream, model string) bool {
	return p.another(than, func(o *Upstream) bool { return o.has(model) }) != nil
}

// lacking is what is said of an Ollama that does not have the model.
func (p *Patient) lacking(o *Upstream) Finding {
	var names []string
	for _, tag := range o.installed {
		names = append(names, tag.Name)
	}
	correct := "default_model"
	if policy.Canonical(p.Asked) != policy.Canonical(p.Model) {
		correct = "the alias " + p.Asked
	}
	text, pull := fmt.Sprintf("%s is not there; there are %s", p.Model, strings.Join(names, ", ")), "`ollama pull "+p.Model+"`"
	switch {
	case !p.elsewhere(o, p.Model):
		return failed("%s", text).because("It was never pulled, or the name has another tag.", pull+", or correct "+correct+".")
	case p.byModel():
		return warning("%s", text).because("It was never pulled there; the others get all requests for it.", pull+" there, if it is to take its part.").final()
	}
	return failed("%s", text).because("It was never pulled there, and requests for it that go there get a 404.", pull+" there, or have `lb_policy ollama_model` go around it.")
}

func askRunning(ctx context.Context, o *Upstream) {
	var tags []ollama.Tag
	tags, o.runningErr = o.API.Running(ctx)
	o.running = tagOf(tags, o.model)
}

func judgeLoaded(p *Patient, o *Upstream) Finding {
	if o.runningErr != nil {
		return failed("Ollama does not say what is loaded: %v", o.runningErr).because(
			"Versions before 0.1.38 cannot.", "Update Ollama.")
	}
	if o.running != nil {
		return ok("%s is loaded", o.model)
	}
	if at := p.another(o, (*Upstream).loaded); at != nil && p.byModel() {
		return ok("%s is not loaded; requests go to %s, where it is", o.model, at.Address)
	}
	return warning("%s is not loaded", o.model).because(
		"The next request loads it first, which takes seconds to minutes; clients with less patience fail then.",
		"Nothing need be done; `keep_alive -1` in ollama_adapter keeps it loaded once it is.")
}

// loaded reports whether the model is.
func (o *Upstream) loaded() bool { return o.running != nil }

// byModel reports whether that one of several Ollamas gets a request that has its model.
func (p *Patient) byModel() bool {
	c := p.gatewayConfigured()
	return c != nil && c.ByModel
}

func askShow(ctx context.Context, o *Upstream) { o.show, o.showErr = o.API.Show(ctx, o.model) }

func judgeContext(p *Patient, o *Upstream) Finding {
	if o.showErr != nil {
		return failed("Ollama does not show %s: %v", o.model, o.showErr).because(
			"The model's files are damaged, perhaps.", "`ollama pull "+o.model+"` again.")
	}
	made := int64(o.show.ContextLength())
	loaded := int64(0)
	if o.running != nil {
		loaded = int64(o.running.ContextLength)
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
		return failed("num_ctx is %d, but %s was made for %d", gateway.NumCtx, o.model, made).because(
			"Ollama cuts the context down to what the model was made for.",
			fmt.Sprintf("Set num_ctx to %d or less, or take a model with a longer context.", made))
	case loaded > 0 && loaded != gateway.NumCtx:
		return warning("num_ctx is %d, but %s is loaded with %d", gateway.NumCtx, o.model, loaded).because(
			"Somebody goes around the gateway, or it was loaded before num_ctx was changed; each change of hands loads the model anew.",
			"Let all clients come through the gateway; `ollama stop "+o.model+"` if it is left over.")
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
