package verify

import (
	"cmp"
	"io"
	"slices"

	"github.com/gateway18789/caddy-ollama/auditlog/lines"
)

// sampled is how many lines of a file are read at most to find where it belongs.
const sampled = 64

// Order puts files into the order of the log. Their names do not count. Files of which
// nobody can tell come last.
func Order(names []string) []string {
	type beginning struct {
		name   string
		number uint64
	}
	var begin []beginning
	for _, name := range names {
		begin = append(begin, beginning{name, firstNumber(name)})
	}
	slices.SortStableFunc(begin, func(a, b beginning) int {
		return cmp.Or(cmp.Compare(a.number-1, b.number-1), cmp.Compare(a.name, b.name)) // 0 is the last
	})
	ordered := make([]string, len(begin))
	for i, b := range begin {
		ordered[i] = b.name
	}
	return ordered
}

// firstNumber is the number that a file begins with, by the word of the first line that
// fits to the one before it: what a single line says may have been changed. It is zero if
// nobody can tell.
func firstNumber(name string) uint64 {
	reader := lines.NewReader(name)
	defer reader.Close()
	var before, now item
	var first uint64
	for range sampled {
		line, err := reader.Next()
		if err != nil {
			if err == io.EOF {
				break
			}
			return first // whoever reads the file in earnest will tell
		}
		now.set(line)
		if now.fault != nil {
			before, now = now, before
			continue
		}
		number := now.sealed.Sequence - uint64(now.number) + 1
		if now.provesItself() || before.number > 0 && before.fault == nil && now.follows(before.sealed.Hash) {
			return number
		}
		if first == 0 {
			first = number
		}
		before, now = now, before
	}
	return first
}
