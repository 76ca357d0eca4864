package token_test

import (
	"slices"
	"testing"

	"github.com/gateway18789/caddy-ollama/jwtauth/token"
)

func TestRequirements(t *testing.T) {
	for _, test := range []struct {
		name, claims string
		required     token.Requirement
		want         token.Fault
	}{
		{"a claim that is there", `"team":"blue"`, token.Requirement{Claim: "team"}, ""},
		{"a claim that is not", ``, token.Requirement{Claim: "team"}, token.MissingClaim},
		{"a claim that is null", `"team":null`, token.Requirement{Claim: "team"}, token.MissingClaim},
		{"a claim in other letters", `"Team":"blue"`, token.Requirement{Claim: "team"}, token.MissingClaim},
		{"one of the values", `"team":"blue"`, token.Requirement{Claim: "team", Values: []string{"red", "blue"}}, ""},
		{"another value", `"team":"green"`, token.Requirement{Claim: "team", Values: []string{"red", "blue"}}, token.MissingClaim},
		{"a part of a value", `"team":"blue moon"`, token.Requirement{Claim: "team", Values: []string{"blue"}}, token.MissingClaim},
		{"a list with one of the values", `"team":["green","blue"]`, token.Requirement{Claim: "team", Values: []string{"blue"}}, ""},
		{"a list without", `"team":["green",7,{"blue":1}]`, token.Requirement{Claim: "team", Values: []string{"blue"}}, token.MissingClaim},
		{"a number is no text", `"team":7`, token.Requirement{Claim: "team", Values: []string{"7"}}, token.MissingClaim},
		{"a scope among others", `"scope":"chat embed"`, token.Requirement{Claim: "scope", Values: []string{"embed"}}, ""},
		{"a scope that begins alike", `"scope":"chat:read"`, token.Requirement{Claim: "scope", Values: []string{"chat"}}, token.MissingScope},
		{"no scope", ``, token.Requirement{Claim: "scope", Values: []string{"chat"}}, token.MissingScope},
	} {
		t.Run(test.name, func(t *testing.T) {
			v := verifier
			v.Required = []token.Requirement{test.required}
			check(t, v, sign(goodHeader, good(test.claims)), now, test.want)
		})
	}
}

func TestGlobsOfModels(t *testing.T) {
	for _, test := range []struct {
		name  string
		claim any
		want  []string
	}{
		{"a list", []any{"qwen3:*", "llama*"}, []string{"qwen3:*", "llama*"}},
		{"a text with blanks", "qwen3:* llama*", []string{"qwen3:*", "llama*"}},
		{"a text with commas", "qwen3:*, llama*", []string{"qwen3:*", "llama*"}},
		{"what is no text permits nothing", 7.0, nil},
		{"nothing permits nothing", nil, nil},
		{"an empty text too", "", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := (token.Claims{"models": test.claim}).Globs("models"); !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}
