package chain

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func TestASealedLineEndsWithItsNumberAndItsHash(t *testing.T) {
	for _, test := range []struct{ name, line, canonical string }{
		{"a line without a number gets one", `{"a":1}`, `{"a":1,"event.sequence":1}`},
		{"its line break is not doubled", `{"a":1}` + "\n", `{"a":1,"event.sequence":1}`},
		{"the process's own count gives way, in the middle", `{"a":1,"event.sequence":99,"b":2}`, `{"a":1,"b":2,"event.sequence":1}`},
		{"at the beginning", `{"event.sequence":99,"b":2}`, `{"b":2,"event.sequence":1}`},
		{"and at the end", `{"a":1,"event.sequence":99}`, `{"a":1,"event.sequence":1}`},
		{"at the end of a long line", `{"a":"a text that is longer than any number","event.sequence":18446744073709551615}`,
			`{"a":"a text that is longer than any number","event.sequence":1}`},
		{"the name within a text is no number", `{"a":"\"event.sequence\":5"}`, `{"a":"\"event.sequence\":5","event.sequence":1}`},
		{"nor is the name as a text", `{"a":"event.sequence"}`, `{"a":"event.sequence","event.sequence":1}`},
		{"a key that ends with the name stays", `{"my \"event.sequence":5}`, `{"my \"event.sequence":5,"event.sequence":1}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			sealed, next, err := Link{}.Seal([]byte("before"), []byte(test.line))
			if err != nil {
				t.Fatal(err)
			}
			// computed here by the rule, not by the code under test
			hash := Hash(sha256.Sum256(append(make([]byte, 32), test.canonical...)))
			want := "before" + strings.TrimSuffix(test.canonical, "}") + `,"event.hash":"` + hash.String() + `"}` + "\n"
			if string(sealed) != want || next != (Link{1, hash}) {
				t.Errorf("sealed as\n%s at %v, want\n%s", sealed, next, want)
			}
			if !json.Valid(sealed[len("before"):]) {
				t.Error("what was sealed is no JSON any more")
			}
		})
	}
}

func TestTheHashCoversTheLineBefore(t *testing.T) {
	_, first, _ := Link{}.Seal(nil, []byte(`{"a":1}`))
	_, second, err := first.Seal(nil, []byte(`{"a":1}`))
	if err != nil {
		t.Fatal(err)
	}
	want := Hash(sha256.Sum256(append(first.Hash[:], `{"a":1,"event.sequence":2}`...)))
	if second != (Link{2, want}) {
		t.Errorf("the second line is at %v", second)
	}
}

func TestWhatIsNoObjectOnOneLineIsNotSealed(t *testing.T) {
	for name, line := range map[string]string{
		"nothing":                   "",
		"a line break":              "\n",
		"console format":            "2026-01-02 INFO request {\"a\":1}",
		"an array":                  `[1]`,
		"half an object":            `{"a":1`,
		"an object and more":        `{"a":1} {"b":2}`,
		"an object on two lines":    "{\"a\":1,\n\"b\":2}",
		"with a carriage return":    "{\"a\":1,\r\"b\":2}",
		"an empty object":           `{}`,
		"an object of a space":      `{ }`,
		"nothing but a number":      `{"event.sequence":7}`,
		"a number that is a text":   `{"a":1,"event.sequence":"7"}`,
		"a number that is no whole": `{"a":1,"event.sequence":7.5}`,
	} {
		t.Run(name, func(t *testing.T) {
			at := Link{Sequence: 5}
			sealed, next, err := at.Seal([]byte("before"), []byte(line))
			if err == nil {
				t.Fatalf("sealed as %s", sealed)
			}
			if string(sealed) != "before" || next != at {
				t.Errorf("the failure left %q and %v", sealed, next)
			}
		})
	}
}

func TestHowDeepALineMayBe(t *testing.T) {
	for _, test := range []struct {
		depth int
		fit   bool
	}{{10_000, true}, {10_001, false}, {1_000_000, false}} {
		for _, value := range []string{"[]", `{"a":[]}`} {
			n := test.depth - strings.Count(value, ":") - 2 // the line is an object, the value is a list at least
			line := `{"a":` + strings.Repeat("[", n) + value + strings.Repeat("]", n) + "}"
			err := checkObject([]byte(line))
			if fit := json.Valid([]byte(line)); fit != test.fit || (err == nil) != fit {
				t.Errorf("%d deep with %s: %v, for encoding/json %v, want %v", test.depth, value, err, fit, test.fit)
			}
		}
	}
}

// seal makes a chain of the lines.
func seal(t *testing.T, lines ...string) (sealed []string) {
	t.Helper()
	var at Link
	for _, line := range lines {
		text, next, err := at.Seal(nil, []byte(line))
		if err != nil {
			t.Fatal(err)
		}
		sealed, at = append(sealed, string(text)), next
	}
	return sealed
}

func TestALineFollowsOnlyTheOneItWasSealedAfter(t *testing.T) {
	lines := seal(t, `{"a":1}`, `{"a":2}`, `{"a":3}`)
	parsed := func(text string) Line {
		line, err := Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return line
	}
	for _, test := range []struct {
		name           string
		line, previous Line
		want           error
	}{
		{"the next one follows", parsed(lines[1]), parsed(lines[0]), nil},
		{"also without its line break", parsed(strings.TrimSuffix(lines[1], "\n")), parsed(lines[0]), nil},
		{"one too far does not", parsed(lines[2]), parsed(lines[0]), ErrSequence},
		{"nor the same once more", parsed(lines[1]), parsed(lines[1]), ErrSequence},
		{"nor the one before", parsed(lines[0]), parsed(lines[1]), ErrSequence},
		{"nor one that was changed", parsed(strings.Replace(lines[1], `"a":2`, `"a":4`, 1)), parsed(lines[0]), ErrHash},
		{"nor one after a changed one", parsed(lines[1]), Line{Link: Link{1, Hash{1}}}, ErrHash},
	} {
		t.Run(test.name, func(t *testing.T) {
			if err := test.line.Follows(test.previous.Link); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

func TestALineThatIsNotSealedIsNotParsed(t *testing.T) {
	good := seal(t, `{"a":1}`)[0]
	for name, line := range map[string]string{
		"nothing":             "",
		"not sealed":          `{"a":1}`,
		"cut":                 good[:len(good)-3],
		"cut in front":        good[1:],
		"with something more": strings.TrimSuffix(good, "\n") + " \n",
		"a hash in capitals":  strings.Replace(good, good[len(good)-20:], strings.ToUpper(good[len(good)-20:]), 1),
		"no number":           strings.Replace(good, "event.sequence", "event.sequel", 1),
		"number zero":         strings.Replace(good, `sequence":1`, `sequence":0`, 1),
		"a padded number":     strings.Replace(good, `sequence":1`, `sequence":01`, 1),
		"a signed number":     strings.Replace(good, `sequence":1`, `sequence":+1`, 1),
		"an empty number":     strings.Replace(good, `sequence":1`, `sequence":`, 1),
		"too large a number":  strings.Replace(good, `sequence":1`, `sequence":18446744073709551616`, 1),
		"a member in between": strings.Replace(good, `sequence":1`, `sequence":1,"b":2`, 1),
	} {
		t.Run(name, func(t *testing.T) {
			if line, err := Parse([]byte(line)); err == nil {
				t.Errorf("parsed as %v", line)
			}
		})
	}
}

func TestAHashReadsAsItWasWritten(t *testing.T) {
	h := Hash(sha256.Sum256([]byte("x")))
	if got, err := ParseHash(h.String()); err != nil || got != h {
		t.Errorf("got %v, %v", got, err)
	}
	for _, wrong := range []string{"", h.String()[1:], h.String() + "0", "g" + h.String()[1:]} {
		if _, err := ParseHash(wrong); err == nil {
			t.Errorf("%q passed for a hash", wrong)
		}
	}
}

func BenchmarkSeal(b *testing.B) {
	for name, line := range map[string]string{"ecs": inECS, "json": inJSON} {
		b.Run(name, func(b *testing.B) {
			line := []byte(line)
			var at Link
			var sealed []byte
			b.SetBytes(int64(len(line)))
			b.ReportAllocs()
			for b.Loop() {
				var err error
				if sealed, at, err = at.Seal(sealed[:0], line); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// A record as the two formats have it.
const (
	inECS = `{"@timestamp":"2026-11-24T16:37:14.793790Z","log":{"level":"info","logger":"http.handlers.audit_log"},"message":"request",` +
		`"ecs":{"version":"9.4.0"},"service":{"name":"caddy-ollama"},"event":{"kind":"event","category":["web"],"type":["access"],` +
		`"action":"request","dataset":"caddy_ollama.audit","module":"caddy_ollama","outcome":"success","reason":"ok","duration":19629},` +
		`"http":{"version":"1.1","request":{"id":"5b214ab7-d6e8-4960-abb2-7f6dd928fa04","method":"POST"},"response":{"status_code":200}},` +
		`"url":{"path":"/v1/chat/completions"},"source":{"ip":"192.0.2.1"},"user":{"id":"clawdbot"},"user_agent":{"original":"openai-python/1.0"},` +
		`"tls":{"client":{"subject":"CN=clawdbot,O=Example","hash":{"sha256":"EB65EB67F2101EC746E7A975AB6BB2C1B5B244A17F92A237BF23C45B2BDD8063"}}},` +
		`"gen_ai":{"operation":{"name":"chat"},"provider":{"name":"ollama"},"conversation":{"id":"conv_0123456789abcdef0123456789abcdef"},` +
		`"request":{"model":"qwen3:32b","stream":false},"response":{"model":"qwen3:32b","finish_reasons":["stop"]},` +
		`"usage":{"input_tokens":7,"output_tokens":9}},"related":{"ip":["192.0.2.1"],"user":["clawdbot"]},"event.sequence":12345}` + "\n"
	inJSON = `{"level":"info","ts":1764002234.79379,"logger":"http.handlers.audit_log","msg":"request","@timestamp":"2026-11-24T16:37:14.793790Z",` +
		`"event.duration":19629,"event.outcome":"success","event.reason":"ok","event.sequence":12345,` +
		`"http.request.id":"5b214ab7-d6e8-4960-abb2-7f6dd928fa04","http.request.method":"POST","http.version":"1.1",` +
		`"url.path":"/v1/chat/completions","http.response.status_code":200,"source.ip":"192.0.2.1","user_agent.original":"openai-python/1.0",` +
		`"user.id":"clawdbot","tls.client.subject":"CN=clawdbot,O=Example",` +
		`"tls.client.hash.sha256":"EB65EB67F2101EC746E7A975AB6BB2C1B5B244A17F92A237BF23C45B2BDD8063","gen_ai.operation.name":"chat",` +
		`"gen_ai.provider.name":"ollama","gen_ai.request.stream":false,"gen_ai.request.model":"qwen3:32b","gen_ai.usage.output_tokens":9,` +
		`"gen_ai.usage.input_tokens":7,"gen_ai.response.finish_reasons":["stop"],"event.id":"0123456789abcdef-zz"}` + "\n"
)
