package ollamadoctor

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/term"

	"github.com/gateway18789/caddy-ollama/auditlog/visible"
	"github.com/gateway18789/caddy-ollama/cmd/ollamadoctor/checkup"
)

// table shows steps as they are taken.
type table struct {
	w       io.Writer
	colours bool
	width   int // of the steps' names
	columns int // of the terminal; zero: it is none, and lines are as long as they are
	before  checkup.Step
}

func newTable(w io.Writer) *table {
	t := &table{w: w}
	if file, ok := w.(*os.File); ok {
		terminal := term.IsTerminal(int(file.Fd()))
		t.colours = terminal && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
		if terminal {
			t.columns, _, _ = term.GetSize(int(file.Fd())) // zero if it does not say
		}
	}
	for _, name := range checkup.Names() {
		t.width = max(t.width, len(name))
	}
	return t
}

// colours of statuses on a terminal.
var colours = map[checkup.Status]string{
	checkup.OK: "\x1b[32m", checkup.Warning: "\x1b[33m", checkup.Failed: "\x1b[1;31m", checkup.Skipped: "\x1b[2m",
}

func (t *table) row(s checkup.Step) {
	status := fmt.Sprintf("%-7s", s.Status)
	if t.colours {
		status = colours[s.Status] + status + "\x1b[0m"
	}
	indent := 7 + 2 + t.width + 2
	fmt.Fprintf(t.w, "%s  %-*s  %s\n", status, t.width, s.Name, wrapped(visible.Text(s.Text), t.columns, indent))
	if t.columns > 0 && t.columns < 2*indent {
		indent = 4 // where there is not much room
	}
	told := t.before.Name == s.Name && t.before.Cause == s.Cause && t.before.Remedy == s.Remedy // of another Ollama
	t.before = s
	for _, more := range []struct{ title, text string }{{"cause:  ", s.Cause}, {"remedy: ", s.Remedy}} {
		if more.text != "" && !told {
			begun := indent + len(more.title)
			fmt.Fprintf(t.w, "%s%s%s\n", strings.Repeat(" ", indent), more.title, wrapped(visible.Text(more.text), t.columns, begun))
		}
	}
}

// wrapped breaks a text between words, so that it fits into a terminal of so many columns
// all of it so far from the left. With no columns, or too few, it stays whole.
func wrapped(text string, columns, indent int) string {
	if columns < indent+16 {
		return text
	}
	var b strings.Builder
	at := indent
	for i, word := range strings.Split(text, " ") {
		length := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case at+1+length > columns:
			b.WriteString("\n" + strings.Repeat(" ", indent))
			at = indent
		default:
			b.WriteString(" ")
			at++
		}
		b.WriteString(word)
		at += length
	}
	return b.String()
}

// report is what --json prints.
type report struct {
	Sound   bool           `json:"sound"`
	Gateway string         `json:"gateway,omitzero"`
	Ollama  string         `json:"ollama,omitzero"`
	Ollamas []string       `json:"ollamas,omitzero"` // if there are several
	Steps   []checkup.Step `json:"steps"`
}

func writeJSON(w io.Writer, p *checkup.Patient, taken []checkup.Step) error {
	r := report{Sound: checkup.Sound(taken), Gateway: p.GatewayAddress, Steps: taken}
	switch addresses := p.OllamaAddresses(); len(addresses) {
	case 0:
	case 1:
		r.Ollama = addresses[0]
	default:
		r.Ollamas = addresses
	}
	if err := json.MarshalWrite(w, r, jsontext.WithIndent("  "), jsontext.AllowInvalidUTF8(true)); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w)
	return err
}
