// Package policy decides which models clients may ask for, and with which
// options. It is pure: the Caddyfile says what it decides by.
package policy

import (
	"regexp"
	"strings"
)

// plainName is a model's name as Ollama takes it: [host/][namespace/]name[:tag].
var plainName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/:@-]{0,255}$`)

// Canonical is a model's name in the one form that comparisons use: Ollama takes
// names in any case, and no tag for latest.
func Canonical(name string) string {
	name = strings.ToLower(name)
	last := name[strings.LastIndexByte(name, '/')+1:]
	if !strings.Contains(last, ":") {
		name += ":latest"
	}
	return name
}

// matches reports whether a name matches a glob, in which * stands for anything.
// A glob without a tag means every tag only if it ends in *.
func matches(glob, name string) bool {
	return wildcard(strings.ToLower(glob), strings.ToLower(name)) || wildcard(Canonical(glob), Canonical(name))
}

func wildcard(glob, name string) bool {
	parts := strings.Split(glob, "*")
	if len(parts) == 1 {
		return glob == name
	}
	first, last := parts[0], parts[len(parts)-1]
	if !strings.HasPrefix(name, first) || len(name) < len(first)+len(last) || !strings.HasSuffix(name, last) {
		return false
	}
	name = name[len(first) : len(name)-len(last)]
	for _, part := range parts[1 : len(parts)-1] {
		_, rest, found := strings.Cut(name, part)
		if !found {
			return false
		}
		name = rest
	}
	return true
}

// IsCloud reports whether Ollama would send requests for this model to
// ollama.com (names that end so are, since 0.12.0 and 0.18.0).
func IsCloud(name string) bool {
	return strings.HasSuffix(strings.ToLower(name), ":cloud") || strings.HasSuffix(strings.ToLower(name), "-cloud")
}
