package translate

import "maps"

// maxChoices is how many choices one request may ask for.
const maxChoices = 8

// Exchange is a request as Ollama gets it, and what the answer must become.
type Exchange struct {
	// Path of Ollama's API.
	Path string
	// Model is the upstream's name of the model.
	Model string
	// Requests are for Encode, one for each choice: Ollama gives one answer at a time.
	Requests []any
	Answer   AnswerForm
	// Load loads the model as these requests would; nil if there is nothing to be loaded.
	Load *Load
	// KeepAlive is how long the model stays loaded afterwards, in seconds; nil: as
	// long as Ollama likes.
	KeepAlive *float64
	// promptBytes is the text of the conversation, blanks aside, if Ollama may cut
	// it without a word; 0 if it would answer with an error.
	promptBytes int
}

// bytesPerToken is more than any tokenizer gets out of text on the average; Chinese
// comes to six at the most, English to five.
const bytesPerToken = 8

// WasCut reports whether the answer counts so few tokens of prompt that Ollama must
// have dropped a part of the conversation. Before 0.12.6 it cannot be told not to
// (ollama#4967). Ollama 0.30.0 counts what is not cached only (#16428), and old ones
// count nothing then; so no count says nothing.
func (e *Exchange) WasCut(s Summary) bool {
	return s.Counted && s.PromptTokens > 0 && s.CachedTokens == 0 &&
		e.promptBytes*len(e.Requests) > bytesPerToken*s.PromptTokens
}

// Embeds reports whether the answer is vectors.
func (e *Exchange) Embeds() bool { return e.Path == "/api/embed" || e.Path == engineEmbedPath }

// textBytes counts the bytes of a text without its blanks, of which a token may
// hold any number.
func textBytes(s string) int {
	n := 0
	for i := range len(s) {
		if s[i] > ' ' {
			n++
		}
	}
	return n
}

// add adds the request for the next choice.
func (e *Exchange) add(native any) {
	e.Requests = append(e.Requests, native)
	e.Answer.Choices++
}

func choices(n *int64) int {
	if n == nil {
		return 1
	}
	return int(*n)
}

// optionsOf are the options of one of several choices: with one seed they would be
// one choice several times.
func optionsOf(options map[string]any, choice int) map[string]any {
	if choice == 0 {
		return options
	}
	switch seed := options["seed"].(type) {
	case int64:
		options = maps.Clone(options)
		options["seed"] = seed + int64(choice)
	case float64: // the server's, out of Caddy's JSON
		options = maps.Clone(options)
		options["seed"] = seed + float64(choice)
	}
	return options
}
