package chain

import (
	"crypto/ed25519"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func signedHead(t *testing.T) (Head, ed25519.PublicKey) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	h := Head{First: 3, Link: Link{9, Hash{1, 2}}, Time: time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.UTC)}
	h.Sign(private)
	return h, public
}

func TestASignedHeadSurvivesItsFile(t *testing.T) {
	h, public := signedHead(t)
	text, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	var read Head
	if err := json.Unmarshal(text, &read); err != nil {
		t.Fatal(err)
	}
	if err := read.Verify(public); err != nil {
		t.Error(err)
	}
	if read.First != 3 || read.Link != h.Link || !read.Time.Equal(h.Time) {
		t.Errorf("read as %+v", read)
	}
}

func TestTheSignatureCoversAllTheHeadSays(t *testing.T) {
	for name, change := range map[string]func(*Head){
		"another beginning": func(h *Head) { h.First++ },
		"another end":       func(h *Head) { h.Sequence++ },
		"another hash":      func(h *Head) { h.Hash[31] ^= 1 },
		"another time":      func(h *Head) { h.Time = h.Time.Add(time.Microsecond) },
		"another key":       func(h *Head) { h.Key = strings.Repeat("0", 64) },
		"another signature": func(h *Head) { h.Signature[0] ^= 1 },
		"no signature":      func(h *Head) { h.Signature = nil },
	} {
		t.Run(name, func(t *testing.T) {
			h, public := signedHead(t)
			change(&h)
			if h.Verify(public) == nil {
				t.Error("the change was not noticed")
			}
		})
	}
}

func TestAHeadOfAnotherKeyIsNotVerified(t *testing.T) {
	h, _ := signedHead(t)
	_, stranger := signedHead(t)
	if h.Verify(stranger) == nil {
		t.Error("a stranger's key verified the head")
	}
}

func TestAFileThatIsNoHeadIsNotRead(t *testing.T) {
	h, _ := signedHead(t)
	good, _ := json.Marshal(h)
	for _, test := range []struct{ name, old, replacement string }{
		{"a broken hash", h.Hash.String(), "xyz"},
		{"a broken time", `"2026-`, `"20x6-`},
		{"a broken signature", `"signature":"`, `"signature":"*`},
		{"no beginning", `"first_sequence":3`, `"first_sequence":0`},
		{"a beginning after the end", `"first_sequence":3`, `"first_sequence":10`},
		{"no JSON", `{`, `[`},
	} {
		t.Run(test.name, func(t *testing.T) {
			text := strings.Replace(string(good), test.old, test.replacement, 1)
			var read Head
			if err := json.Unmarshal([]byte(text), &read); err == nil {
				t.Errorf("read as %+v", read)
			}
		})
	}
}

func TestAnOpeningLineReadsAsItWasWritten(t *testing.T) {
	o := Opening{time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.UTC), Rotated, Hash{7}}
	sealed, _, err := Link{41, o.Previous}.Seal(nil, o.Line())
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := ParseOpening(sealed); !ok || got != o {
		t.Errorf("read as %+v, %v from %s", got, ok, sealed)
	}
}

func TestOtherLinesAreNoOpening(t *testing.T) {
	for name, line := range map[string]string{
		"a record":                    `{"event.action":"x"}`,
		"a record that speaks of one": `{"url.path":"/\"event.action\":\"audit-file-opened\""}`,
		"within another object":       `{"labels":{"event.action":"audit-file-opened"}}`,
		"without the hash before":     `{"@timestamp":"2026-01-02T03:04:05Z","event.action":"audit-file-opened"}`,
		"no JSON":                     `"event.action":"audit-file-opened"`,
	} {
		if got, ok := ParseOpening([]byte(line)); ok {
			t.Errorf("%s was read as %+v", name, got)
		}
	}
}
