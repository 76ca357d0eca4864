package ollamadoctor

import (
	"bytes"
	"testing"

	"github.com/gateway18789/caddy-ollama/cmd/ollamadoctor/checkup"
)

func TestTheTable(t *testing.T) {
	step := checkup.Step{Name: "model", Finding: checkup.Finding{
		Status: checkup.Failed, Text: "evil\x1b[2J model", Cause: "It is evil.", Remedy: "Exorcise it."}}
	for name, test := range map[string]struct {
		colours bool
		want    string
	}{
		"on paper": {false, "failed   model  evil\\u001b[2J model\n" +
			"                cause:  It is evil.\n" +
			"                remedy: Exorcise it.\n"},
		"on a terminal": {true, "\x1b[1;31mfailed \x1b[0m  model  evil\\u001b[2J model\n" +
			"                cause:  It is evil.\n" +
			"                remedy: Exorcise it.\n"},
	} {
		var b bytes.Buffer
		(&table{&b, test.colours, 5}).row(step)
		if b.String() != test.want {
			t.Errorf("%s: got %q, want %q", name, b.String(), test.want)
		}
	}
	if newTable(new(bytes.Buffer)).colours {
		t.Error("there are colours where there is no terminal")
	}
}
