package lines

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// LeftOut is a file with lines that is not read, and why.
type LeftOut struct{ File, Why string }

// companion are the files that an audit log has beside it, which hold no records.
var companion = regexp.MustCompile(`\.(head|lock|inflight|shipped|tmp)$|\.cut-[0-9]{8}T[0-9]{6}\.[0-9]{3}Z$`)

// Choose takes those of the files that hold lines of a log, each once. So one can name
// all files of a folder.
func Choose(names []string) (chosen []string, leftOut []LeftOut) {
	for _, name := range names {
		switch plain, zipped := strings.CutSuffix(name, ".gz"); {
		case companion.MatchString(name):
			// nobody can have meant these
		case slices.ContainsFunc(chosen, same(name)):
			leftOut = append(leftOut, LeftOut{name, "it is named twice"})
		case zipped && slices.ContainsFunc(names, same(plain)):
			// the gateway was stopped before it had deleted the original
			leftOut = append(leftOut, LeftOut{name, "it is a copy of " + plain})
		default:
			chosen = append(chosen, name)
		}
	}
	return chosen, leftOut
}

func same(a string) func(b string) bool {
	return func(b string) bool { return filepath.Clean(a) == filepath.Clean(b) }
}
