package ecs

import (
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

func TestCaddyfile(t *testing.T) {
	on, off := true, false
	for input, want := range map[string]Encoder{
		"ecs":                   {},
		"ecs {\n nested on\n}":  {Nested: &on},
		"ecs {\n nested off\n}": {Nested: &off},
		"ecs {\n service_name gw\n service_environment test\n service_node_name {system.hostname}\n}": {
			ServiceName: "gw", ServiceEnvironment: "test", ServiceNodeName: "{system.hostname}",
		},
	} {
		got := new(Encoder)
		if err := got.UnmarshalCaddyfile(caddyfile.NewTestDispenser(input)); err != nil {
			t.Errorf("%q: %v", input, err)
			continue
		}
		if (got.Nested == nil) != (want.Nested == nil) || got.Nested != nil && *got.Nested != *want.Nested ||
			got.ServiceName != want.ServiceName || got.ServiceEnvironment != want.ServiceEnvironment || got.ServiceNodeName != want.ServiceNodeName {
			t.Errorf("%q becomes %+v", input, got)
		}
	}
	for _, test := range []struct{ name, input, want string }{
		{"an argument", "ecs nested", "Testfile:1"},
		{"an unknown option", "ecs {\n fields x\n}", `"fields", at Testfile:2`},
		{"an option twice", "ecs {\n nested on\n nested off\n}", `"nested" is given twice, at Testfile:3`},
		{"neither on nor off", "ecs {\n nested maybe\n}", `nested "maybe"`},
		{"no value", "ecs {\n service_name\n}", "Testfile:2"},
		{"two values", "ecs {\n service_name a b\n}", "Testfile:2"},
	} {
		err := new(Encoder).UnmarshalCaddyfile(caddyfile.NewTestDispenser(test.input))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error is %v, want it to say %s", test.name, err, test.want)
		}
	}
}
