package visible

import (
	"encoding/json"
	"testing"
	"unicode"
)

func TestNothingHidesInAText(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"plain text", "clawdbot é 日本", "clawdbot é 日本"},
		{"nothing", "", ""},
		{"escape sequences", "\x1b[2J", `\u001b[2J`},
		{"line breaks and tabs", "a\nb\tc\r", `a\u000ab\u0009c\u000d`},
		{"delete", "\x7f", `\u007f`},
		{"C1 control characters", "\u009b2J", `\u009b2J`},
		{"marks that turn the direction of writing", "\u202egnp.exe\u2066", `\u202egnp.exe\u2066`},
		{"characters without width", "a\u200bb\ufeff", `a\u200bb\ufeff`},
		{"separators of lines", "\u2028", `\u2028`},
		{"tags beyond the first plane", "\U000e0041", `\udb40\udc41`},
		{"bytes that are no text", "a\xffb", "a\ufffdb"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := Text(test.text)
			if got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
			for _, r := range got {
				if !unicode.IsPrint(r) {
					t.Errorf("%U is not to be seen", r)
				}
			}
		})
	}
}

func TestJSONStaysTheSame(t *testing.T) {
	const text = "\x1b\u202e\u009b\x7f\U000e0041é\""
	raw, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	var back string
	if err := json.Unmarshal(Append(nil, raw), &back); err != nil || back != text {
		t.Errorf("got %q (%v), want %q", back, err, text)
	}
}

func TestCellsAreNotTooLong(t *testing.T) {
	for text, want := range map[string]string{"abc": "abc", "abcd": "abcd", "abcde": "abc…", "\x00": `\u0…`, "日本日本日": "日本日…"} {
		if got := Cell(text, 4); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
