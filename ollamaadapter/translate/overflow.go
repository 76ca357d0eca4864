package translate

import (
	"fmt"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
)

// bytesOfToken is what a token has of text, blanks aside, in most languages. It is
// for the eyes of people only.
const bytesOfToken = 4

// TellLengths says in the error of an overflow how long prompt and context are, where
// Ollama does not (before 0.30). The prompt's length is an estimate: Ollama has counted
// it but tells nobody. context is that of the loaded model, in tokens.
func (e *Exchange) TellLengths(fault *openai.Error, context int) {
	if fault.Code != openai.CodeContextLength || fault.Message != messageTooLong(e.Path) || context <= 0 {
		return
	}
	tokens := max(e.promptText()/bytesOfToken, context+1)
	fault.Message = fmt.Sprintf("%s has about %d tokens and the model's context %d", subject(e.Path), tokens, context)
}

// promptText is the size of the longest text that a model was to read, in bytes
// without blanks.
func (e *Exchange) promptText() (longest int) {
	for _, native := range e.Requests {
		switch request := native.(type) {
		case *chatRequest:
			size := 0
			for _, m := range request.messages {
				size += textBytes(m.content.String()) + len(m.toolCalls)
			}
			longest = max(longest, size)
		case *ollama.GenerateRequest:
			longest = max(longest, textBytes(request.Prompt))
		case *ollama.EmbedRequest:
			for _, text := range request.Input {
				longest = max(longest, textBytes(text))
			}
		}
	}
	return longest
}
