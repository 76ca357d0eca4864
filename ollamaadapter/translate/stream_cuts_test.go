package translate_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// scripts are upstream answers of every kind, for the tests that cut them up.
// Calls have ids, so that two runs give the same events.
var scripts = []struct{ name, in string }{
	{"an answer", hello + world + final},
	{"an answer with all that there is", "\r\n" + quiet +
		`{"message":{"thinking":"h m"}}` + "\r\n" +
		"{\"message\":{\"content\":\"grüße 世界 👋🏽 \u2028\"}}\n\n" +
		`{"message":{"content":"\u4e16\ud83d\udc4b\n"}}` + "\n" +
		`{"message":{"tool_calls":[{"id":"a","function":{"name":"f","arguments":{"ü":"é"}}},{"id":"b","function":{"name":"g"}}]}}` + "\n" +
		`{"message":{"content":"x","thinking":"y","tool_calls":[{"id":"c","function":{"name":"h","arguments":{}}}]},"done":true,"eval_count":9}` + "\r\n"},
	{"an answer without a line break at its end", hello + strings.TrimSpace(final)},
	{"an answer with more after it", hello + final + final + world + "garbage"},
	{"an answer with half a rune in it", "{\"message\":{\"content\":\"\xe4\xb8\"}}\n" + final},
	{"an answer cut short", hello + world},
	{"an answer cut short within a line", hello + world[:30]},
	{"an error in the middle", hello + `{"error":"x"}` + "\n" + final},
	{"garbage in the middle", hello + "\xff\xfe\n" + final},
	{"nothing", ""},
}

func TestStreamDoesNotCareWhereItIsCut(t *testing.T) {
	for _, script := range scripts {
		t.Run(script.name, func(t *testing.T) {
			events, stream, err := feed(true, script.in)
			endedOnce(t, events, stream, err)
			check := func(how string, pieces []string) {
				t.Helper()
				again, _, errAgain := feed(true, pieces...)
				if again != events || errAgain != err {
					t.Fatalf("%s: %q\n%s, error %v\nin one piece:\n%s, error %v", how, pieces, again, errAgain, events, err)
				}
			}
			check("line by line", strings.SplitAfter(script.in, "\n"))
			check("byte by byte", bytewise(script.in))
			for at := range len(script.in) {
				check("in two", []string{script.in[:at], script.in[at:]})
			}
			random := rand.New(rand.NewPCG(1, 2))
			for range 200 {
				check("at random", cut(script.in, random))
			}
		})
	}
}

// bytewise cuts s into bytes, where strings.Split would cut into runes.
func bytewise(s string) []string {
	pieces := make([]string, len(s))
	for i := range pieces {
		pieces[i] = s[i : i+1]
	}
	return pieces
}

// cut cuts s at up to twenty places, some of them the same.
func cut(s string, random *rand.Rand) []string {
	ends := []int{len(s)}
	for range random.IntN(20) {
		ends = append(ends, random.IntN(len(s)+1))
	}
	slices.Sort(ends)
	pieces, from := []string(nil), 0
	for _, end := range ends {
		pieces = append(pieces, s[from:end])
		from = end
	}
	return pieces
}
