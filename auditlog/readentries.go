package auditlog

import (
	"errors"
	"fmt"
	"io"

	"github.com/gateway18789/caddy-ollama/auditlog/entry"
	"github.com/gateway18789/caddy-ollama/auditlog/lines"
)

// toldFaults is how many lines that are no records are named.
const toldFaults = 20

// readEntries shows the entries of all files to add, and tells of lines that are none.
// They are left out, and in the end are an error.
func readEntries(stderr io.Writer, names []string, add func(entry.Entry)) error {
	names, err := chooseFiles(stderr, names)
	if err != nil {
		return err
	}
	bar := newProgress(stderr, names)
	reader := lines.NewReader(names...)
	defer reader.Close()
	reader.Progress = bar.show
	parser := entry.NewParser()
	faults := 0
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
		var e entry.Entry
		if err = line.Fault; err == nil {
			e, err = parser.Parse(line.Text)
		}
		if err == nil {
			add(e)
			continue
		}
		if faults++; faults <= toldFaults {
			bar.clear()
			say(stderr, "%s:%d: %v", line.File, line.Number, err)
		}
	}
	bar.clear()
	if len(unreadable) > 0 {
		return errors.Join(unreadable...)
	}
	if faults > 0 {
		return fault{fmt.Errorf("%d lines are no records and are not counted", faults)}
	}
	return nil
}

// say writes a line in which nothing hides.
func say(w io.Writer, format string, args ...any) {
	fmt.Fprintln(w, shown(fmt.Sprintf(format, args...)))
}
