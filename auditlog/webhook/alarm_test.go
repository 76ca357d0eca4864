package webhook

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// encoded is an alarm as a receiver reads it.
func encoded(t *testing.T, event string, data map[string]any) (a alarm, body string) {
	t.Helper()
	text, err := alarm{Event: event, ID: "id", Time: time.Unix(0, 0).UTC(), Gateway: "gw"}.encode(data)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &a); err != nil {
		t.Fatal(err)
	}
	return a, string(text)
}

func TestTheOneLineOfAnAlarm(t *testing.T) {
	for _, test := range []struct {
		name  string
		event string
		data  map[string]any
		want  string
	}{
		{"a forged token", "audit_log.forged_token", map[string]any{
			"event.reason": "bad_token:signature", "source.ip": "203.0.113.7", "tls.client.subject": "CN=bot", "http.request.id": "r-1",
		}, "audit_log.forged_token: bad_token:signature, from 203.0.113.7, certificate CN=bot, request r-1"},
		{"a block", "ip_throttle.blocked", map[string]any{"client": "2001:db8::/64", "cause": "errors_in_a_row", "seconds": 600},
			"ip_throttle.blocked: client 2001:db8::/64, for errors_in_a_row, for 600 s"},
		{"an upstream", "audit_log.upstream_down", map[string]any{"server.address": "127.0.0.1:11434"}, "audit_log.upstream_down: upstream 127.0.0.1:11434"},
		{"an event that is none of ours", "cert_obtained", map[string]any{"identifier": "example.com"}, "cert_obtained"},
		{"texts that anybody can write are not in it", "e", map[string]any{"url.path": "/<!channel>", "user_agent.original": "<!here>", "gen_ai.request.model": "@all"}, "e"},
		{"what calls everybody is disarmed", "e", map[string]any{"user.id": "<!channel> @all [x](http://evil)&"}, "e: user ‹!channel› ＠all [x](http://evil)＆"},
		{"what controls terminals is visible", "e", map[string]any{"user.id": "a\x1b[31m\u202e\nb"}, `e: user a\u001b[31m\u202e\u000ab`},
		{"what is long is cut", "e", map[string]any{"user.id": strings.Repeat("é", 500)}, "e: user " + strings.Repeat("é", 199) + "…"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if a, _ := encoded(t, test.event, test.data); a.Text != test.want {
				t.Errorf("it is\n%s, want\n%s", a.Text, test.want)
			}
		})
	}
}

func TestWhatAnAlarmHasOfAnEvent(t *testing.T) {
	a, body := encoded(t, "e", map[string]any{
		"text": "t", "number": 7, "float": 1.5, "truth": true, "list": []any{"a", 1, []any{"nested"}, struct{ Secret string }{"s"}},
		"texts": []string{"b"}, "time": time.Unix(1, 0).UTC(), "duration": time.Second, "huge": strings.Repeat("ü", 4096),
		"nothing": nil, "nan": math.NaN(), "infinite": math.Inf(1), "struct": struct{ Secret string }{"s"}, "map": map[string]any{"Secret": 1},
		"function": func() {}, "channel": make(chan int),
	})
	for name, want := range map[string]any{
		"text": "t", "number": 7.0, "float": 1.5, "truth": true, "time": "1970-01-01T00:00:01Z", "duration": "1s",
	} {
		if a.Data[name] != want {
			t.Errorf("%s is %v, want %v", name, a.Data[name], want)
		}
	}
	if list := a.Data["list"].([]any); !slices.Equal(list, []any{"a", 1.0}) {
		t.Errorf("the list is %v", list)
	}
	if huge := a.Data["huge"].(string); len(huge) != 4096 || !utf8.ValidString(huge) {
		t.Errorf("the long text has %d bytes", len(huge))
	}
	if len(a.Data) != 9 || strings.Contains(body, "Secret") {
		t.Errorf("it has %d fields: %s", len(a.Data), body)
	}
	for _, field := range []string{`"text":"e"`, `"event":"e"`, `"id":"id"`, `"time":"1970-01-01T00:00:00Z"`, `"gateway":"gw"`} {
		if !strings.Contains(body, field) {
			t.Errorf("%s is missing in %s", field, body)
		}
	}
}

func TestAnAlarmIsBounded(t *testing.T) {
	data, list := make(map[string]any), slices.Repeat([]any{"item"}, 10_000)
	for n := range 500 {
		data[strings.Repeat("n", 20*n)] = list
	}
	if _, body := encoded(t, "e", data); len(body) > 1_000_000 {
		t.Errorf("it has %d bytes", len(body))
	}
}
