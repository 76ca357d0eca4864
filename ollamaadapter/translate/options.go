package translate

import (
	"fmt"
	"math"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
)

// askedOptions collects what the client asks for as Ollama's options. OpenAI's
// fields go before Ollama's own of the same meaning. What the client leaves out
// stays out: Ollama's /v1 would set temperature and top_p to 1, whatever the
// model's own defaults are (ollama#17744).
func askedOptions(req *openai.Sampling) (map[string]any, error) {
	var options asked
	for name, value := range req.Options {
		parsed, err := nativeOption(name, value)
		if err != nil {
			return nil, err
		}
		if parsed != nil {
			options.set(name, parsed)
		}
	}
	if err := setNumbers(&options, []field[float64]{
		{"min_p", "min_p", req.MinP, 0, 1},
		{"repeat_penalty", "repeat_penalty", req.RepeatPenalty, 0, 10},
		{"temperature", "temperature", req.Temperature, 0, 2},
		{"top_p", "top_p", req.TopP, 0, 1},
		{"frequency_penalty", "frequency_penalty", req.FrequencyPenalty, -2, 2},
		{"presence_penalty", "presence_penalty", req.PresencePenalty, -2, 2},
	}); err != nil {
		return nil, err
	}
	if err := setNumbers(&options, []field[int64]{
		{"num_ctx", "num_ctx", req.NumCtx, 1, 1 << 30},
		{"top_k", "top_k", req.TopK, 0, 1 << 30},
		{"seed", "seed", req.Seed, math.MinInt64, math.MaxInt64},
		// max_tokens is the old name; whoever sends both means the new one
		{"max_tokens", "num_predict", req.MaxTokens, 1, 1 << 30},
		{"max_completion_tokens", "num_predict", req.MaxCompletionTokens, 1, 1 << 30},
	}); err != nil {
		return nil, err
	}
	if stop := sequences(req.Stop); len(stop) > 0 {
		options.set("stop", stop)
	}
	return options, nil
}

// asked are the options that a client asks for; nil: none.
type asked map[string]any

func (a *asked) set(option string, value any) {
	if *a == nil {
		*a = make(asked)
	}
	(*a)[option] = value
}

// sequences are those that can end an answer: an empty one would end every answer
// before its first word.
func sequences(stop openai.Stop) []string {
	if len(stop) == 0 {
		return nil
	}
	return slices.DeleteFunc(slices.Clone([]string(stop)), func(s string) bool { return s == "" })
}

// field is a numeric field of a request, the option it becomes, and its range.
type field[N int64 | float64] struct {
	param, option string
	value         *N
	min, max      N
}

func setNumbers[N int64 | float64](options *asked, fields []field[N]) error {
	for _, f := range fields {
		if f.value == nil {
			continue
		}
		if *f.value < f.min || *f.value > f.max {
			return invalid(f.param, fmt.Sprintf("must lie between %v and %v", f.min, f.max))
		}
		options.set(f.option, *f.value)
	}
	return nil
}

// nativeOption reads an option of Ollama's own that a client sends. One that is
// not known, such as those of old versions, is left out, as Ollama does; one of a
// wrong type is refused, because Ollama answers 500 to it.
func nativeOption(name string, value jsontext.Value) (any, error) {
	if !isSet(value) {
		return nil, nil
	}
	if name == "stop" {
		var stop openai.Stop
		if json.Unmarshal(value, &stop) != nil {
			return nil, wrongType("options.stop")
		}
		if sound := sequences(stop); len(sound) > 0 {
			return sound, nil
		}
		return nil, nil
	}
	if !ollama.KnownOption(name) {
		return nil, nil
	}
	text := string(value)
	if value.Kind() == '"' {
		return nil, wrongType("options." + name)
	}
	parsed, err := ollama.ParseOption(name, text)
	if err != nil {
		return nil, wrongType("options." + name)
	}
	return parsed, nil
}
