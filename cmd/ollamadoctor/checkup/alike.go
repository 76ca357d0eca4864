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

// checkSameVersion looks whether it matters to clients which of several Ollamas they get.
func checkSameVersion(_ context.Context, p *Patient) Finding {
	at := make(map[string][]string) // by version
	known := make(map[ollama.Features]bool)
	answering := 0
	for _, o := range p.Ollamas {
		if o.answers() {
			at[o.version] = append(at[o.version], o.Address)
			known[ollama.FeaturesOf(o.version)] = true
			answering++
		}
	}
	if answering < 2 {
		return skipped("there are no two that answer")
	}
	versions := slices.Sorted(maps.Keys(at))
	if len(versions) == 1 {
		return ok("%s have %s", p.all(answering, "those that answer"), versions[0])
	}
	var said []string
	for _, version := range versions {
		said = append(said, version+" at "+strings.Join(at[version], ", "))
	}
	cause := "What is answered may hang on which of them is asked."
	if len(known) > 1 {
		cause = "They do not understand the same. The gateway writes to all as to the one whose version it asked, and an older one may refuse that, or ignore a part."
	}
	return warning("%s", strings.Join(said, "; ")).because(cause, "Update Ollama until all have the same version.")
}

// checkSameModels looks whether the Ollamas have the same models, of those that clients
// may ask for.
func checkSameModels(_ context.Context, p *Patient) Finding {
	var listing []*Upstream
	digests := make(map[string]map[string]string) // by model and address
	for _, o := range p.Ollamas {
		if !o.answers() || o.installedErr != nil {
			continue
		}
		listing = append(listing, o)
		for _, tag := range o.installed {
			if !p.offers(tag) {
				continue
			}
			name := policy.Canonical(tag.Name)
			if digests[name] == nil {
				digests[name] = make(map[string]string)
			}
			digests[name][o.Address] = tag.Digest
		}
	}
	if len(listing) < 2 {
		return skipped("there are no two that list their models")
	}
	var differences []string
	of := make(map[string][]string) // models, by what is said of them
	for _, name := range slices.Sorted(maps.Keys(digests)) {
		for _, difference := range differencesOf(digests[name], listing) {
			if of[difference] == nil {
				differences = append(differences, difference)
			}
			of[difference] = append(of[difference], name)
		}
	}
	if differences == nil {
		return ok("%s have the same models", p.all(len(listing), "those that list them"))
	}
	for i, difference := range differences {
		differences[i] = some(of[difference]) + " " + difference
	}
	return warning("%s", strings.Join(differences, "; ")).because(
		"What `/v1/models` lists, and what is answered, hangs on which of them is asked.",
		"`ollama pull` what is missing there, and what differs everywhere.")
}

// differencesOf are where a model is missing, and where it is another than at the first
// that has it.
func differencesOf(digests map[string]string, listing []*Upstream) (differences []string) {
	var has, lacks, other []string
	for _, o := range listing {
		digest, there := digests[o.Address]
		switch {
		case !there:
			lacks = append(lacks, o.Address)
			continue
		case has != nil && digest != digests[has[0]]:
			other = append(other, o.Address)
		}
		has = append(has, o.Address)
	}
	switch {
	case lacks == nil:
	case len(has) < len(lacks):
		differences = append(differences, "only at "+strings.Join(has, ", "))
	default:
		differences = append(differences, "not at "+strings.Join(lacks, ", "))
	}
	if other != nil {
		differences = append(differences, "another at "+strings.Join(other, ", ")+" than at "+has[0])
	}
	return differences
}

// offers reports whether clients may ask for a model, by its own name or another.
func (p *Patient) offers(tag ollama.Tag) bool {
	is := func(name string) bool { return policy.Canonical(name) == policy.Canonical(tag.Name) }
	c := p.gatewayConfigured()
	if c == nil || is(p.Model) || c.Offers.Visible(tag.Name, tag.RemoteHost != "") {
		return true
	}
	return slices.ContainsFunc(slices.Collect(maps.Values(c.Offers.Aliases)), is)
}

// all is what so many of the Ollamas are called.
func (p *Patient) all(n int, otherwise string) string {
	if n == len(p.Ollamas) {
		return "all"
	}
	return otherwise
}

// some are names, and how many more there are.
func some(names []string) string {
	const shown = 3
	if len(names) <= shown {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:shown], ", "), len(names)-shown)
}
