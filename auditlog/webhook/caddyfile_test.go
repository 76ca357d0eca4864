package webhook

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
)

func TestTheCaddyfilesOptions(t *testing.T) {
	w := new(Webhook)
	err := w.UnmarshalCaddyfile(caddyfile.NewTestDispenser(`webhook https://alerts.example.com/hook {
		timeout    2s
		queue      10
		retry      1d
		header     authorization "Bearer {file./etc/key}"
		header     X-Team ops
		allow_http on
	}`))
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(w)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"url":"https://alerts.example.com/hook","timeout":2000000000,"queue":10,"retry":86400000000000,` +
		`"header":{"Authorization":"Bearer {file./etc/key}","X-Team":"ops"},"allow_http":true,"source":"Testfile:1"}`
	if string(got) != want {
		t.Errorf("it is\n%s, want\n%s", got, want)
	}
}

func TestWhatTheCaddyfileRefuses(t *testing.T) {
	for _, test := range []struct{ name, text, refuse string }{
		{"no URL", `webhook`, "wrong argument count"},
		{"two URLs", `webhook https://a.example.com https://b.example.com`, "wrong argument count"},
		{"a URL that is refused", `webhook http://a.example.com`, "in the clear"},
		{"an unknown option", "webhook https://a.example.com {\n colour red\n}", `unrecognized option "colour"`},
		{"an option twice", "webhook https://a.example.com {\n queue 1\n queue 2\n}", `"queue" is given twice`},
		{"a header twice", "webhook https://a.example.com {\n header a 1\n header A 2\n}", "header A is given twice"},
		{"a header that is not the user's", "webhook https://a.example.com {\n header Host x\n}", "not yours"},
		{"a header without a value", "webhook https://a.example.com {\n header a\n}", "wrong argument count"},
		{"no room", "webhook https://a.example.com {\n queue 0\n}", "greater than 0"},
		{"no number", "webhook https://a.example.com {\n queue many\n}", "greater than 0"},
		{"no time", "webhook https://a.example.com {\n timeout 0\n}", "no duration"},
		{"no duration", "webhook https://a.example.com {\n retry often\n}", "no duration"},
		{"neither on nor off", "webhook https://a.example.com {\n allow_http yes\n}", "must be on or off"},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := new(Webhook).UnmarshalCaddyfile(caddyfile.NewTestDispenser(test.text))
			if err == nil || !strings.Contains(err.Error(), test.refuse) || !strings.Contains(err.Error(), "Testfile:") {
				t.Errorf("the error is %v, want %q and the line", err, test.refuse)
			}
		})
	}
}

func TestCaddyTakesItForEvents(t *testing.T) {
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(`{
		events {
			on ip_throttle.blocked webhook https://alerts.example.com/hook {
				timeout 5s
				queue 1000
				header Authorization "Bearer {file./etc/caddy-ollama/webhook.key}"
			}
			on audit_log.forged_token webhook {file./etc/caddy-ollama/webhook.url}
		}
	}`), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{
		`"events":["ip_throttle.blocked"]`, `"handler":"webhook"`, `"url":"https://alerts.example.com/hook"`, `"url":"{file./etc/caddy-ollama/webhook.url}"`,
	} {
		if !strings.Contains(string(config), part) {
			t.Errorf("%s is missing in %s", part, config)
		}
	}
}
