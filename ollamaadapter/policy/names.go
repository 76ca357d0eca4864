// Package policy decides which models clients may ask for, and with which
// options. It is pure: the Caddyfile says what it decides by.
package policy

import "strings"

// PlainName reports whether a model may have this name as Ollama takes it:
// [host/][namespace/]name[:tag].
func PlainName(name string) bool {
	if name == "" || len(name) > 256 || strings.IndexByte("._/:@-", name[0]) >= 0 {
		return false
	}
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("._/:@-", c) >= 0:
		default:
			return false
		}
	}
	return true
}

// Canonical is a model's name in the one form that comparisons use: Ollama takes
// names in any case, and no tag for latest.
func Canonical(name string) string {
	name = strings.ToLower(name)
	if !tagged(name) {
		name += ":latest"
	}
	return name
}

func tagged(name string) bool {
	return strings.IndexByte(name[strings.LastIndexByte(name, '/')+1:], ':') >= 0
}

// matches reports whether a name matches a glob, in which * stands for anything.
// A glob without a tag means every tag only if it ends in *.
func matches(glob, name string) bool {
	glob, name = strings.ToLower(glob), strings.ToLower(name)
	if wildcard(glob, name) {
		return true
	}
	return (!tagged(glob) || !tagged(name)) && wildcard(Canonical(glob), Canonical(name))
}

func wildcard(glob, name string) bool {
	first, rest, found := strings.Cut(glob, "*")
	if !found {
		return glob == name
	}
	name, found = strings.CutPrefix(name, first)
	for found {
		part, after, more := strings.Cut(rest, "*")
		if !more {
			return strings.HasSuffix(name, part)
		}
		_, name, found = strings.Cut(name, part)
		rest = after
	}
	return false
}

// IsCloud reports whether Ollama would send requests for this model to
// ollama.com (names that end so are, since 0.12.0 and 0.18.0).
func IsCloud(name string) bool {
	return strings.HasSuffix(strings.ToLower(name), ":cloud") || strings.HasSuffix(strings.ToLower(name), "-cloud")
}
