package policy

import (
	"maps"
	"strings"
)

// Policy is the server's side of every request.
type Policy struct {
	// DefaultModel is asked when the client names none.
	DefaultModel string
	// Models are globs of names that clients may ask for; none: all but cloud-hosted ones.
	Models []string
	// Aliases are names that clients may use for models, by their canonical form.
	Aliases map[string]string
	// Rules hold for every model, those of PerModel over them where their glob matches.
	Rules    Rules
	PerModel []ModelRules
}

// ModelRules are Rules for the models that a glob matches.
type ModelRules struct {
	Glob string
	Rules
}

// Rules are what the server says of options.
type Rules struct {
	// Defaults are options for what the client leaves open; load-time options
	// among them hold whatever the client says.
	Defaults map[string]any
	// Limits are the largest values of options.
	Limits map[string]float64
	// KeepAlive is how long a model stays loaded, in seconds; negative: forever.
	// Nil: Ollama's own default.
	KeepAlive *float64
}

// Resolve finds the model that a client means, and whether it may. only narrows
// what this client may ask for to names that match one of its globs, if not nil.
func (p *Policy) Resolve(asked string, only []string) (model string, allowed bool) {
	if asked == "" {
		asked = p.DefaultModel
	}
	if !PlainName(asked) {
		return "", false
	}
	if !Permits(only, asked) {
		return "", false
	}
	if model, ok := p.alias(asked); ok {
		return model, true
	}
	return asked, p.Visible(asked, false)
}

// alias is the model that is meant by a name, if it is an alias.
func (p *Policy) alias(asked string) (model string, ok bool) {
	if len(p.Aliases) == 0 {
		return "", false
	}
	model, ok = p.Aliases[Canonical(asked)]
	return model, ok
}

// MayLeave reports whether requests for a model that runs elsewhere, though its
// name does not tell, may go there: if it is listed by its very name, or meant by
// an alias.
func (p *Policy) MayLeave(asked, model string) bool {
	_, alias := p.alias(asked)
	return alias || p.Visible(model, true)
}

// Visible reports whether clients may ask for a model under its own name. remote
// says that it runs elsewhere though its name does not tell.
func (p *Policy) Visible(name string, remote bool) bool {
	if remote || IsCloud(name) {
		// a glob that does not speak of the cloud does not mean it
		for _, glob := range p.Models {
			if matches(glob, name) && (remote && glob == name || strings.Contains(strings.ToLower(glob), "cloud")) {
				return true
			}
		}
		return false
	}
	return len(p.Models) == 0 || matchesAny(p.Models, name)
}

// Permits reports whether somebody for whom there are only these globs may ask for a
// name; nil narrows nothing.
func Permits(only []string, name string) bool { return only == nil || matchesAny(only, name) }

func matchesAny(globs []string, name string) bool {
	for _, glob := range globs {
		if matches(glob, name) {
			return true
		}
	}
	return false
}

// For returns the rules for a model: those for all, and over them those of each
// glob that matches, in their order.
func (p *Policy) For(model string) Rules {
	rules := p.Rules
	for _, special := range p.PerModel {
		if !matches(special.Glob, model) {
			continue
		}
		rules.Defaults = overlay(rules.Defaults, special.Defaults)
		rules.Limits = overlay(rules.Limits, special.Limits)
		if special.KeepAlive != nil {
			rules.KeepAlive = special.KeepAlive
		}
	}
	return rules
}

func overlay[V any](base, over map[string]V) map[string]V {
	if len(over) == 0 {
		return base
	}
	out := make(map[string]V, len(base)+len(over))
	maps.Copy(out, base)
	maps.Copy(out, over)
	return out
}

// LoadTime are the options that a model is loaded with: another value than the
// loaded one makes Ollama load the model again, which takes seconds to minutes.
var LoadTime = []string{"main_gpu", "num_batch", "num_ctx", "num_gpu", "num_thread", "use_mmap"}

// Options are the options of a request: what the client asked for, filled up and
// bounded by the rules. The result must not be changed: it may be the rules' own.
func (r Rules) Options(asked map[string]any) map[string]any {
	if len(asked) == 0 && len(r.Limits) == 0 {
		return r.Defaults
	}
	options := make(map[string]any, len(asked)+len(r.Defaults))
	maps.Copy(options, r.Defaults)
	maps.Copy(options, asked)
	for _, name := range LoadTime {
		if pinned, ok := r.Defaults[name]; ok {
			options[name] = pinned
		}
	}
	for name, limit := range r.Limits {
		value, given := number(options[name])
		switch {
		case name == "num_predict" && (!given || value < 0 || value > limit):
			options[name] = int64(limit) // negative means endless, and so does silence
		case given && value > limit:
			options[name] = limit
			if limit == float64(int64(limit)) {
				options[name] = int64(limit)
			}
		}
	}
	return options
}

// LoadOptions are those among options that a model is loaded with.
func LoadOptions(options map[string]any) map[string]any {
	load := make(map[string]any)
	for _, name := range LoadTime {
		if value, ok := options[name]; ok {
			load[name] = value
		}
	}
	return load
}

// KeepAliveFor is the keep_alive of a request: the client's, in seconds, as far
// as the server's allows. Nil: Ollama's own default.
func (r Rules) KeepAliveFor(asked *float64) *float64 {
	switch {
	case r.KeepAlive == nil:
		return asked
	case asked == nil, *asked < 0 && *r.KeepAlive >= 0:
		return r.KeepAlive
	case *r.KeepAlive >= 0 && *asked > *r.KeepAlive:
		return r.KeepAlive
	default:
		return asked
	}
}

func number(value any) (float64, bool) {
	switch v := value.(type) {
	case int64:
		return float64(v), true
	case float64:
		return v, true
	default:
		return 0, false
	}
}
