package ollama

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// option is how the value of a runtime option reads, and what makes sense of it.
type option struct {
	parse    func(string) (any, error)
	min, max float64
}

// options are the runtime options of Ollama's API (api.Options and api.Runner).
// Ollama ignores names it does not know and answers 500 to values of another type.
var options = map[string]option{
	"num_keep":          {integer, -1, 1 << 30},
	"seed":              {integer, math.MinInt64, math.MaxInt64},
	"num_predict":       {integer, -2, 1 << 30},
	"top_k":             {integer, 0, 1 << 30},
	"top_p":             {number, 0, 1},
	"min_p":             {number, 0, 1},
	"typical_p":         {number, 0, 1},
	"repeat_last_n":     {integer, -1, 1 << 30},
	"temperature":       {number, 0, 100},
	"repeat_penalty":    {number, 0, 100},
	"presence_penalty":  {number, -100, 100},
	"frequency_penalty": {number, -100, 100},
	// load-time: another value than the loaded one makes Ollama load the model again
	"num_ctx":    {integer, 1, 1 << 30},
	"num_batch":  {integer, 1, 1 << 30},
	"num_gpu":    {integer, -1, 1 << 20},
	"main_gpu":   {integer, 0, 1 << 20},
	"use_mmap":   {boolean, 0, 0},
	"num_thread": {integer, 0, 1 << 20},
}

// KnownOption reports whether there is a runtime option of this name.
func KnownOption(name string) bool {
	_, known := options[name]
	return known
}

// ParseOption reads the value of a runtime option as the option's type.
func ParseOption(name, value string) (any, error) {
	o, known := options[name]
	if !known {
		return nil, fmt.Errorf("unknown option %q; Ollama has %s", name,
			strings.Join(slices.Sorted(maps.Keys(options)), ", "))
	}
	parsed, err := o.parse(value)
	if err != nil {
		return nil, fmt.Errorf("option %s: %w", name, err)
	}
	var n float64
	switch v := parsed.(type) {
	case int64:
		n = float64(v)
	case float64:
		n = v
	default:
		return parsed, nil
	}
	if n < o.min || n > o.max {
		return nil, fmt.Errorf("option %s: %s does not lie between %v and %v", name, value, o.min, o.max)
	}
	return parsed, nil
}

// integer also takes 8192.0, as some JSON writers have it.
func integer(value string) (any, error) {
	if n, err := strconv.ParseInt(value, 10, 64); err == nil {
		return n, nil
	}
	f, err := strconv.ParseFloat(value, 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
		return nil, fmt.Errorf("%q is no whole number", value)
	}
	return int64(f), nil
}

func number(value string) (any, error) {
	f, err := strconv.ParseFloat(value, 64)
	if err != nil || f-f != 0 { // f-f is not 0 for infinities and NaN
		return nil, fmt.Errorf("%q is no number", value)
	}
	return f, nil
}

func boolean(value string) (any, error) {
	if value != "true" && value != "false" {
		return nil, fmt.Errorf("%q is neither true nor false", value)
	}
	return value == "true", nil
}
