package translate

import (
	"unicode/utf8"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
)

// DecodeText reads the body of a request to /v1/completions, as DecodeChat does.
func DecodeText(body []byte) (*openai.TextRequest, error) {
	return decode[openai.TextRequest](body)
}

// TextDraft is a request for a completion, checked as a ChatDraft is.
type TextDraft struct {
	req     *openai.TextRequest
	options map[string]any // as the client asks for them
}

// DraftText checks a decoded request for a completion, as DraftChat does.
func DraftText(req *openai.TextRequest) (*TextDraft, error) {
	if err := checkText(req); err != nil {
		return nil, err
	}
	options, err := askedOptions(&req.Sampling)
	if err != nil {
		return nil, err
	}
	return &TextDraft{req, options}, nil
}

// For turns the draft into requests for this upstream, as ChatDraft.For does. The
// model's template stays around the prompt, as Ollama's own /v1 has it, unless the
// client asks for it raw.
func (d *TextDraft) For(settings Settings) (*Exchange, error) {
	if settings.Engine {
		return d.forEngine(settings)
	}
	req := d.req
	if req.Logprobs != nil && !settings.Features.Logprobs {
		return nil, unsupported("logprobs", "the model server is too old for this")
	}
	native := ollama.GenerateRequest{
		Model:     settings.Model,
		Suffix:    req.Suffix,
		Stream:    true,
		Raw:       req.Raw,
		Options:   settings.Rules.Options(d.options),
		KeepAlive: settings.Rules.KeepAliveFor(req.KeepAlive.Seconds),
	}
	if settings.Thinks && settings.Features.Think {
		native.Think = false // there is no field for it
	}
	if settings.Features.Truncate && !settings.CutOverflow {
		native.Truncate = new(bool)
	}
	if req.Logprobs != nil {
		native.Logprobs, native.TopLogprobs = true, *req.Logprobs
	}
	exchange := &Exchange{Path: "/api/generate", Model: settings.Model, Answer: AnswerForm{
		Text:         true,
		IncludeUsage: req.StreamOptions != nil && req.StreamOptions.IncludeUsage,
		Logprobs:     native.Logprobs,
		MaxTokens:    maxTokens(native.Options),
	}, Load: loadRequest("/api/generate", settings, native.Options), KeepAlive: native.KeepAlive}
	for _, prompt := range req.Prompt.Texts {
		for choice := range choices(req.N) {
			one := native
			one.Prompt, one.Options = prompt, optionsOf(native.Options, choice)
			exchange.add(&one)
			if req.Echo {
				exchange.Answer.Echo = append(exchange.Answer.Echo, prompt)
			}
		}
	}
	return exchange, nil
}

func checkText(req *openai.TextRequest) error {
	n := choices(req.N)
	switch {
	case req.Prompt.Tokens:
		return unsupported("prompt", "token numbers are not supported by this server; send text")
	case len(req.Prompt.Texts) == 0:
		return missing("prompt")
	case n < 1 || n > maxChoices/len(req.Prompt.Texts):
		return invalid("n", "prompts times n must lie between 1 and 8")
	case req.BestOf != nil && int(*req.BestOf) != n:
		return unsupported("best_of", "not supported by this server")
	case isSet(req.LogitBias) && string(req.LogitBias) != "{}":
		return unsupported("logit_bias", "not supported by this server")
	case req.Logprobs != nil && (*req.Logprobs < 0 || *req.Logprobs > 5):
		return invalid("logprobs", "must lie between 0 and 5")
	}
	for _, prompt := range req.Prompt.Texts {
		if prompt == "" { // Ollama would load the model and answer nothing
			return missing("prompt")
		}
	}
	return nil
}

// textChoice is the choice that was read, in the form of /v1/completions.
func (w *Whole) textChoice(reason string) *openai.TextChoice {
	choice := &openai.TextChoice{Index: w.choice, FinishReason: &reason}
	if w.choice < len(w.form.Echo) {
		choice.Text = w.form.Echo[w.choice]
	}
	if w.form.Logprobs {
		choice.Logprobs, _ = textLogprobs(w.probabilities, utf8.RuneCountInString(choice.Text))
	}
	choice.Text += openai.Text(w.content.value()).String()
	return choice
}

// text sends what a line adds to a text.
func (s *Stream) text(resp *ollama.ChatResponse) {
	choice := openai.TextChoice{Text: resp.Message.Content}
	if s.form.Logprobs && len(resp.Logprobs) > 0 {
		choice.Logprobs, s.offset = textLogprobs(resp.Logprobs, s.offset)
	}
	if choice.Text != "" || choice.Logprobs != nil {
		s.sendText(choice)
	}
}

// textLogprobs turns probabilities into the form of /v1/completions. offset is
// where the first token's text begins, in characters; the next one's is returned.
func textLogprobs(in []ollama.Logprob, offset int) (out *openai.TextLogprobs, next int) {
	out = &openai.TextLogprobs{
		Tokens: []string{}, TokenLogprobs: []float64{}, TopLogprobs: []map[string]float64{}, TextOffset: []int{},
	}
	for _, token := range in {
		top := make(map[string]float64, len(token.TopLogprobs))
		for _, other := range token.TopLogprobs {
			top[other.Token] = other.Logprob
		}
		out.Tokens = append(out.Tokens, token.Token)
		out.TokenLogprobs = append(out.TokenLogprobs, token.Logprob)
		out.TopLogprobs = append(out.TopLogprobs, top)
		out.TextOffset = append(out.TextOffset, offset)
		offset += len([]rune(token.Token))
	}
	return out, offset
}
