package policy

import (
	"regexp"
	"strings"
	"testing"
)

func TestPlainNamesAreThoseOfOllama(t *testing.T) {
	ollamas := regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/:@-]{0,255}$`)
	names := []string{"", "qwen3:32b", "hf.co/some-one/model_1:Q4_K_M", "a@sha256", strings.Repeat("a", 256), strings.Repeat("a", 257)}
	for b := range 256 {
		c := string([]byte{byte(b)})
		names = append(names, c, "a"+c, "a"+c+"b", c+"b")
	}
	for _, name := range names {
		if got := PlainName(name); got != ollamas.MatchString(name) {
			t.Errorf("%q: %t", name, got)
		}
	}
}

// All globs and names of up to five letters, against what a regular expression says.
func TestWildcardIsWhatItMeans(t *testing.T) {
	names := words("ab", 5)
	for _, glob := range words("ab*", 5) {
		meant := regexp.MustCompile(`^` + strings.ReplaceAll(glob, "*", ".*") + `$`)
		for _, name := range names {
			if got := wildcard(glob, name); got != meant.MatchString(name) {
				t.Fatalf("wildcard(%q, %q) = %t", glob, name, got)
			}
		}
	}
}

// words are all words of these letters, none longer than that.
func words(letters string, longest int) []string {
	all := []string{""}
	for from := 0; longest > 0; longest-- {
		to := len(all)
		for _, word := range all[from:to] {
			for _, letter := range letters {
				all = append(all, word+string(letter))
			}
		}
		from = to
	}
	return all
}
