package ollamadoctor

import (
	"fmt"
	"io"
	"os"
	"strings"

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
}

func newTable(w io.Writer) *table {
	t := &table{w: w}
	if file, ok := w.(*os.File); ok {
		t.colours = os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(file.Fd()))
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
	fmt.Fprintf(t.w, "%s  %-*s  %s\n", status, t.width, s.Name, visible.Text(s.Text))
	under := strings.Repeat(" ", 7+2+t.width+2)
	if s.Cause != "" {
		fmt.Fprintf(t.w, "%scause:  %s\n", under, visible.Text(s.Cause))
	}
	if s.Remedy != "" {
		fmt.Fprintf(t.w, "%sremedy: %s\n", under, visible.Text(s.Remedy))
	}
}

// report is what --json prints.
type report struct {
	Sound   bool           `json:"sound"`
	Gateway string         `json:"gateway,omitzero"`
	Ollama  string         `json:"ollama,omitzero"`
	Steps   []checkup.Step `json:"steps"`
}

func writeJSON(w io.Writer, plan checkup.Plan, taken []checkup.Step) error {
	r := report{Sound: checkup.Sound(taken), Ollama: plan.OllamaAddress, Gateway: plan.GatewayAddress, Steps: taken}
	if err := json.MarshalWrite(w, r, jsontext.WithIndent("  "), jsontext.AllowInvalidUTF8(true)); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w)
	return err
}
