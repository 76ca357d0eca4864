package ollama

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// optionTypes are the runtime options of Ollama's API (api.Options and
// api.Runner) and how their values read. Ollama ignores names it does not know
// and answers 500 to values of another type.
var optionTypes = map[string]func(string) (any, error){
	"num_keep":          integer,
	"seed":              integer,
	"num_predict":       integer,
	"top_k":             integer,
	"top_p":             number,
	"min_p":             number,
	"typical_p":         number,
	"repeat_last_n":     integer,
	"temperature":       number,
	"repeat_penalty":    number,
	"presence_penalty":  number,
	"frequency_penalty": number,
	// load-time: another value than the loaded one makes Ollama load the model again
	"num_ctx":    integer,
	"num_batch":  integer,
	"num_gpu":    integer,
	"main_gpu":   integer,
	"use_mmap":   boolean,
	"num_thread": integer,
}

// ParseOption reads the value of a runtime option as the option's type.
func ParseOption(name, value string) (any, error) {
	parse, known := optionTypes[name]
	if !known {
		return nil, fmt.Errorf("unknown option %q; Ollama has %s", name,
			strings.Join(slices.Sorted(maps.Keys(optionTypes)), ", "))
	}
	parsed, err := parse(value)
	if err != nil {
		return nil, fmt.Errorf("option %s: %w", name, err)
	}
	return parsed, nil
}

func integer(value string) (any, error) {
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("%q is no whole number", value)
	}
	return n, nil
}

func number(value string) (any, error) {
	f, err := strconv.ParseFloat(value, 64)
	if err != nil || f-f != 0 { // f-f is not 0 for infinities and NaN
		return nil, fmt.Errorf("%q is no number", value)
	}
	return f, nil
}

func boolean(value string) (any, error) {
	b, err := strconv.ParseBool(value)
	if err != nil {
		return nil, fmt.Errorf("%q is neither true nor false", value)
	}
	return b, nil
}
