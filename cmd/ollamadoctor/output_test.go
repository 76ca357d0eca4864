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

// Scripts know one Ollama by the member "ollama", and each of several in its steps.
func TestJSONNamesTheOllamas(t *testing.T) {
	for _, test := range []struct {
		name      string
		addresses []string
		says, not []string
	}{
		{"none", nil, nil, []string{`"ollama"`, `"ollamas"`}},
		{"one", []string{"a:1"}, []string{`"ollama": "a:1"`}, []string{`"ollamas"`}},
		{"several", []string{"a:1", "b:1"}, []string{`"ollamas": [`, `"b:1"`}, []string{`"ollama": "a:1"`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := &checkup.Patient{}
			for _, address := range test.addresses {
				p.Ollamas = append(p.Ollamas, &checkup.Upstream{Address: address})
			}
			var b bytes.Buffer
			if err := writeJSON(&b, p, []checkup.Step{{Name: "gateway"}}); err != nil {
				t.Fatal(err)
			}
			for _, words := range test.says {
				if !strings.Contains(b.String(), words) {
					t.Errorf("lacks %s: %s", words, b.String())
				}
			}
			for _, words := range test.not {
				if strings.Contains(b.String(), words) {
					t.Errorf("has %s: %s", words, b.String())
				}
			}
		})
	}
}
