// Package verify tells whether an audit log is the one that was written: it follows the
// chain of its lines through all files, and names each place where it is broken.
package verify

import (
	"errors"
	"fmt"
	"io"

	"github.com/gateway18789/caddy-ollama/auditlog/chain"
	"github.com/gateway18789/caddy-ollama/auditlog/lines"
)

// Kind is what is wrong at a place.
type Kind string

// What can be wrong.
const (
	Changed    Kind = "changed"    // a line is not as it was written
	Missing    Kind = "missing"    // lines are missing
	Misplaced  Kind = "misplaced"  // a line was added or moved
	Foreign    Kind = "foreign"    // a line is none of the log's
	Unfinished Kind = "unfinished" // a file ends within a line
	Damaged    Kind = "damaged"    // a file cannot be read to its end
	NoOpening  Kind = "no_opening" // a file lacks its first line
	BadHead    Kind = "head"       // the head is not the log's, or not the key's
	Told       Kind = "told"       // the gateway itself has found something, and wrote it down
)

// Finding is something that was found, and where.
type Finding struct {
	File     string `json:"file,omitempty"`
	Line     int    `json:"line,omitempty"`
	Sequence uint64 `json:"sequence,omitempty"` // what the line says
	Kind     Kind   `json:"kind"`
	Message  string `json:"message"`
}

// File is what was read of a file.
type File struct {
	Name  string `json:"file"`
	Lines int    `json:"lines"`
	First uint64 `json:"first_sequence"`
	Last  uint64 `json:"last_sequence"`
}

// Report is what is to be said of a log.
type Report struct {
	Files []File `json:"files"`
	Lines int    `json:"lines"`
	// First and Last are the numbers of the first and last line.
	First uint64 `json:"first_sequence"`
	Last  uint64 `json:"last_sequence"`
	// Findings are the first of those places where the log is not as it was written,
	// Found is how many there are.
	Findings []Finding `json:"findings"`
	Found    int       `json:"findings_total"`
	// Notes are the first of what else is to be known, Noted is how many there are.
	Notes []Finding `json:"notes"`
	Noted int       `json:"notes_total"`
	// Unchecked counts the lines of which nobody can tell whether they were changed,
	// since the line before is missing or destroyed. There is a finding just before each.
	Unchecked int `json:"unchecked"`
	// AfterHead counts the lines that came after the head was written. The chain binds
	// them, but no head vouches for them.
	AfterHead uint64 `json:"lines_after_head"`
}

// Sound tells whether nothing is wrong.
func (r *Report) Sound() bool { return r.Found == 0 }

// Options say what to verify with.
type Options struct {
	Head *chain.Head // nil: there is none
	// Limit is how many findings, and how many notes, are kept.
	Limit int
	// Progress is told how many bytes have been read.
	Progress func(bytes int64)
}

// Files verifies the files of one log, which must be in order. The error says which
// files could not be read; the report is of the others.
func Files(names []string, o Options) (*Report, error) {
	reader := lines.NewReader(names...)
	defer reader.Close()
	reader.Progress = o.Progress
	w := &walker{head: o.Head, limit: o.Limit, report: new(Report)}
	for _, name := range names {
		w.report.Files = append(w.report.Files, File{Name: name})
	}
	var unreadable []error
	for {
		line, err := reader.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			unreadable = append(unreadable, err)
			continue
		}
		w.add(line)
	}
	w.end()
	return w.report, errors.Join(unreadable...)
}

func (w *walker) find(place *item, kind Kind, format string, args ...any) {
	w.report.Found++
	if len(w.report.Findings) < w.limit {
		w.report.Findings = append(w.report.Findings, place.finding(kind, fmt.Sprintf(format, args...)))
	}
}

func (w *walker) note(place *item, kind Kind, format string, args ...any) {
	w.report.Noted++
	if len(w.report.Notes) < w.limit {
		w.report.Notes = append(w.report.Notes, place.finding(kind, fmt.Sprintf(format, args...)))
	}
}
