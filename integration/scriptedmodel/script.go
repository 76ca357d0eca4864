package scriptedmodel

import "strings"

// AssistantTurn is the token after which a script starts unless it names
// another one. Every template here ends its prompt with
// "<|im_start|>assistant" and a newline, and the tokenizer turns that newline
// into a token of its own.
const AssistantTurn = "\n"

// Script is one thing a model says: a path from a start token to the end of
// the answer.
type Script struct {
	// After is the last token of the prompt that sets this script off:
	// AssistantTurn, or a marker such as "<|no_tools|>" that the model's
	// template puts at the very end of the prompt. Any text longer than one
	// byte becomes a control token of the vocabulary.
	After string

	// Pieces are the tokens of the answer in order. Each has at least two
	// bytes (every single byte is already a token, and prompts are made of
	// those) and may end in the middle of a UTF-8 sequence. A piece has one
	// successor in the whole model: scripts may share pieces only if they go
	// on in the same way.
	Pieces []string

	// Loops makes the script start again after its last piece instead of
	// ending the answer. A looping script needs at least two pieces, because
	// Ollama ends an answer of more than 30 equal chunks in a row (v0.17.4,
	// llm/server.go).
	Loops bool
}

// Text returns what the script says in full, or one round of it if it loops.
func (s Script) Text() string {
	return strings.Join(s.Pieces, "")
}

// EvalCount returns the eval_count Ollama v0.17.4 reports for the script: the
// end token counts too, though it is never shown. A looping script has no such
// number; 0 is returned for it.
func (s Script) EvalCount() int {
	if s.Loops {
		return 0
	}
	return len(s.Pieces) + 1
}
