package record_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
)

func TestTheClassOfAReason(t *testing.T) {
	for reason, want := range map[string]string{
		record.OK:                   "ok",
		record.BadToken + "expired": "bad_token",
		record.BadToken:             "bad_token",
		"bad_token":                 "bad_token",
		"because of 192.0.2.1":      record.OtherReason,
		"ok:fine":                   record.OtherReason,
		"":                          record.OtherReason,
	} {
		if got := (&record.Record{Reason: reason}).ReasonClass(); got != want {
			t.Errorf("%q is %q, want %q", reason, got, want)
		}
	}
}

// A reason that is given a name here and forgotten there would be "other" in all metrics.
func TestEveryReasonThatHasANameHasAClass(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "reasons.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	constants := file.Decls[1].(*ast.GenDecl)
	if len(constants.Specs) < 19 {
		t.Fatalf("%d constants", len(constants.Specs))
	}
	for _, spec := range constants.Specs {
		value, err := strconv.Unquote(spec.(*ast.ValueSpec).Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		if got := (&record.Record{Reason: value}).ReasonClass(); got != strings.TrimSuffix(value, ":") {
			t.Errorf("%s is %q", value, got)
		}
		if slices.Contains(record.Reasons(), value) == (value == record.BadToken) {
			t.Errorf("%s: among the reasons are %v", value, record.Reasons())
		}
	}
}
