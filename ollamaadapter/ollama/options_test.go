package ollama_test

import (
	"strings"
	"testing"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
)

func TestParseOption(t *testing.T) {
	for _, test := range []struct {
		option, value string
		want          any
	}{
		{"num_keep", "4", int64(4)},
		{"seed", "-1", int64(-1)},
		{"seed", "9223372036854775807", int64(1<<63 - 1)},
		{"num_predict", "-1", int64(-1)},
		{"top_k", "40", int64(40)},
		{"top_p", "0.9", 0.9},
		{"min_p", "0", 0.0},
		{"typical_p", "1", 1.0},
		{"repeat_last_n", "-1", int64(-1)},
		{"temperature", "0.7", 0.7},
		{"temperature", "1", 1.0},
		{"repeat_penalty", "1.1", 1.1},
		{"presence_penalty", "-1.5", -1.5},
		{"frequency_penalty", "2", 2.0},
		{"num_ctx", "32768", int64(32768)},
		{"num_ctx", "1048576", int64(1 << 20)},
		{"num_batch", "512", int64(512)},
		{"num_gpu", "-1", int64(-1)},
		{"main_gpu", "0", int64(0)},
		{"use_mmap", "false", false},
		{"use_mmap", "true", true},
		{"num_thread", "8", int64(8)},
	} {
		t.Run(test.option+" "+test.value, func(t *testing.T) {
			got, err := ollama.ParseOption(test.option, test.value)
			if err != nil || got != test.want {
				t.Errorf("got %v (%T), %v; want %v (%T)", got, got, err, test.want, test.want)
			}
		})
	}
}

func TestParseOptionRefuses(t *testing.T) {
	for _, test := range []struct{ name, option, value, says string }{
		{"an option nobody knows, and says which there are", "num_ctxx", "1", "num_ctx, num_gpu"},
		{"an option in capitals", "Temperature", "1", "unknown option"},
		{"an option without a name", "", "1", "unknown option"},
		{"words for a whole number", "num_ctx", "many", "num_ctx"},
		{"a fraction for a whole number", "num_ctx", "32768.5", "num_ctx"},
		{"a unit", "num_ctx", "32k", "num_ctx"},
		{"a whole number of more than 64 bits", "seed", "9223372036854775808", "seed"},
		{"no value", "num_ctx", "", "num_ctx"},
		{"words for a number", "temperature", "hot", "temperature"},
		{"infinity", "temperature", "inf", "temperature"},
		{"not a number", "temperature", "NaN", "temperature"},
		{"a number too large", "temperature", "1e999", "temperature"},
		{"a decimal comma", "temperature", "0,7", "temperature"},
		{"words for true", "use_mmap", "yes", "use_mmap"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := ollama.ParseOption(test.option, test.value)
			if err == nil {
				t.Fatalf("accepted as %v", got)
			}
			if !strings.Contains(err.Error(), test.says) {
				t.Errorf("%q does not say %q", err, test.says)
			}
		})
	}
}
