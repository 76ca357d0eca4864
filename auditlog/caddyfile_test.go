package auditlog

import (
	"maps"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

func TestCaddyfile(t *testing.T) {
	for _, test := range []struct {
		input string
		want  map[string]string
	}{
		{"audit_log", nil},
		{"audit_log {\n}", nil},
		{"audit_log {\n pseudonymize user.id {file./key}\n}", map[string]string{"user.id": "{file./key}"}},
		{"audit_log {\n pseudonymize user.id a\n pseudonymize tls.client.subject b\n}", map[string]string{"user.id": "a", "tls.client.subject": "b"}},
	} {
		h := new(Handler)
		if err := h.UnmarshalCaddyfile(caddyfile.NewTestDispenser(test.input)); err != nil || !maps.Equal(h.Pseudonymize, test.want) {
			t.Errorf("%q becomes %v, %v", test.input, h.Pseudonymize, err)
		}
	}
	for _, test := range []struct{ name, input, want string }{
		{"an argument", "audit_log everything", "Testfile:1"},
		{"an unknown option", "audit_log {\n format json\n}", `"format", at Testfile:2`},
		{"a field that is none of them", "audit_log {\n pseudonymize source.ip key\n}", "user.id and tls.client.subject can be pseudonymized, at Testfile:2"},
		{"a field twice", "audit_log {\n pseudonymize user.id a\n pseudonymize user.id b\n}", "user.id is given twice, at Testfile:3"},
		{"no key", "audit_log {\n pseudonymize user.id\n}", "Testfile:2"},
		{"two keys", "audit_log {\n pseudonymize user.id a b\n}", "Testfile:2"},
	} {
		err := new(Handler).UnmarshalCaddyfile(caddyfile.NewTestDispenser(test.input))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error is %v, want it to name %s", test.name, err, test.want)
		}
	}
}
