package jwtauth

import "github.com/gateway18789/caddy-ollama/ollamaadapter/openai"

// refusal is the answer to a token that fails. Clients are told the same of every fault;
// a handler further out can tell which it is with errors.Is.
type refusal struct {
	told  *openai.Error
	fault error
}

func (r refusal) Error() string   { return r.told.Error() }
func (r refusal) Unwrap() []error { return []error{r.told, r.fault} }
