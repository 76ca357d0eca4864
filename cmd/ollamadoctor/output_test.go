package ollamadoctor

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gateway18789/caddy-ollama/cmd/ollamadoctor/checkup"
)

func TestLinesFitTheTerminal(t *testing.T) {
	step := checkup.Step{Name: "server certificate", Finding: checkup.Finding{
		Status: checkup.Failed, Text: "the server's certificate is signed by a CA that is not trusted here",
		Cause: "It is another CA than the one given — or the chain lacks an intermediate.", Remedy: "Name the CA with --cacert.",
	}}
	for _, columns := range []int{200, 80, 60, 45} {
		var b bytes.Buffer
		table := newTable(&b)
		table.columns = columns
		table.row(step)
		text := b.String()
		for line := range strings.Lines(text) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > columns {
				t.Errorf("of %d columns a line takes %d: %q", columns, n, line)
			}
		}
		for _, words := range []string{step.Text, "cause: " + step.Cause, "remedy: " + step.Remedy} {
			if !strings.Contains(strings.Join(strings.Fields(text), " "), words) {
				t.Errorf("of %d columns %q is not whole: %s", columns, words, text)
			}
		}
	}
	for _, columns := range []int{0, 20} { // no terminal, or one that is no use
		var b bytes.Buffer
		table := newTable(&b)
		table.columns = columns
		table.row(step)
		if n := strings.Count(b.String(), "\n"); n != 3 {
			t.Errorf("of %d columns it takes %d lines: %s", columns, n, b.String())
		}
	}
}
