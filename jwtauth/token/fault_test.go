package token_test

import (
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"slices"
	"strconv"
	"testing"

	"github.com/gateway18789/caddy-ollama/jwtauth/token"
)

func TestWhichFaultsAreOfForgedTokens(t *testing.T) {
	for fault, forged := range map[token.Fault]bool{
		token.Malformed: false, token.BadHeader: true, token.BadAlgorithm: true, token.UnknownKey: true, token.BadSignature: true,
		token.KeysUnavailable: false,
		token.BadClaims:       false, token.BadSubject: false, token.Expired: false, token.NotYetValid: false, token.TooLong: false,
		token.BadIssuer: false, token.BadAudience: false, token.MissingClaim: false, token.MissingScope: false,
		token.BadBinding: true, token.Replayed: false,
	} {
		if fault.Forged() != forged {
			t.Errorf("%s: forged is %v", fault, !forged)
		}
		if !fault.Known() {
			t.Errorf("%s is not known", fault)
		}
	}
	if fault := token.Fault("invented"); fault.Known() || fault.Forged() {
		t.Error("a fault that does not exist is known")
	}
}

// A fault that is given a name and forgotten there would have no series in metrics.
func TestFaultsAreAllThatHaveAName(t *testing.T) {
	file, err := parser.ParseFile(gotoken.NewFileSet(), "fault.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var named []token.Fault
	for _, decl := range file.Decls {
		constants, ok := decl.(*ast.GenDecl)
		if !ok || constants.Tok != gotoken.CONST {
			continue
		}
		for _, spec := range constants.Specs {
			name, err := strconv.Unquote(spec.(*ast.ValueSpec).Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			named = append(named, token.Fault(name))
		}
	}
	all := token.Faults()
	slices.Sort(named)
	slices.Sort(all)
	if len(named) < 16 || !slices.Equal(all, named) {
		t.Errorf("faults are %v, those with a name %v", all, named)
	}
	clear(all)
	if !named[0].Known() {
		t.Error("whoever changes what Faults returns changes what is known")
	}
}
