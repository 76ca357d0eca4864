package verify

import (
	"cmp"
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
		begin = append(begin, beginning{name, anyNumber(name)})
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

// anyNumber is the number of a line near the file's beginning, which tells where in the
// log the file belongs. What a single line says may have been changed, so it is that of
// the first line that fits to the one before it; if there is none, the first line's. It
// is zero if nobody can tell.
func anyNumber(name string) uint64 {
	reader := lines.NewReader(name)
	defer reader.Close()
	var first uint64
	before, now := new(item), new(item)
	for range sampled {
		line, err := reader.Next()
		if err != nil {
			break // whoever reads the file in earnest will tell
		}
		now.set(line)
		if now.fault == nil {
			if before.number > 0 && before.fault == nil && now.follows(before.sealed.Hash) {
				return now.sealed.Sequence
			}
			if first == 0 {
				first = now.sealed.Sequence
			}
		}
		before, now = now, before
	}
	return first
}
