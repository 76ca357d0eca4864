package token

import (
	"slices"
	"strings"
)

// Requirement is a claim that a token must have.
type Requirement struct {
	Claim string `json:"claim"`
	// Values are those of which the claim must be or hold one; none: any value will do.
	Values []string `json:"values,omitempty"`
}

// IsScope reports whether it is about scopes, which are what a token permits and not
// who it is of.
func (r Requirement) IsScope() bool { return r.Claim == "scope" }

// Meets reports whether the claims have what is required. A claim is a string or a list
// of strings; a scope is a string of several, with blanks between (RFC 8693 section 4.2).
func (c Claims) Meets(r Requirement) bool {
	value, present := c[r.Claim]
	if !present || value == nil {
		return false
	}
	if len(r.Values) == 0 {
		return true
	}
	return slices.ContainsFunc(c.texts(r.Claim), func(text string) bool { return slices.Contains(r.Values, text) })
}

// texts are the strings of a claim that is one or a list of them.
func (c Claims) texts(claim string) []string {
	switch value := c[claim].(type) {
	case string:
		if claim == "scope" {
			return strings.Fields(value)
		}
		return []string{value}
	case []any:
		var texts []string
		for _, one := range value {
			if text, ok := one.(string); ok {
				texts = append(texts, text)
			}
		}
		return texts
	}
	return nil
}

// Globs are the names of models, with * for anything, that a claim lists: an array, or
// a string of several with blanks or commas between. A claim that is not there lists
// none.
func (c Claims) Globs(claim string) []string {
	texts := c.texts(claim)
	if text, ok := c[claim].(string); ok {
		texts = strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == ',' })
	}
	return texts
}
