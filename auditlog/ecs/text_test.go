package ecs

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
)

func TestAppendString(t *testing.T) {
	for _, test := range []struct {
		name, in string
		limit    int
		want     string
	}{
		{"plain", "abc", 99, `"abc"`},
		{"nothing", "", 99, `""`},
		{"quotes", `a"\b`, 99, `"a\"\\b"`},
		{"C0", "\x00\b\t\n\r\x1b[2J\x1f", 99, `"\u0000\u0008\u0009\u000a\u000d\u001b[2J\u001f"`},
		{"DEL and C1", "\x7f\u0080\u009b\u009f\u00a0", 99, `"\u007f\u0080\u009b\u009f` + "\u00a0\""},
		{"separators", "\u2027\u2028\u2029", 99, "\"\u2027" + `\u2028\u2029"`},
		{"directions", "\u202a\u202e\u202f\u2065\u2066\u2069\u206a", 99, `"\u202a\u202e` + "\u202f\u2065" + `\u2066\u2069` + "\u206a\""},
		{"marks", "\u200d\u200e\u200f\u2010\u061b\u061c\u061d", 99, "\"\u200d" + `\u200e\u200f` + "\u2010\u061b" + `\u061c` + "\u061d\""},
		{"other scripts", "é€😀", 99, `"é€😀"`},
		{"no UTF-8", "a\xff\xc3b\xed\xa0\x80", 99, `"a\ufffd\ufffdb\ufffd\ufffd\ufffd"`},
		{"a real U+FFFD", "\ufffd", 99, "\"\ufffd\""},
		{"all that has room", "abc", 5, `"abc"`},
		{"no more than has room", "abcd", 5, `"abc"`},
		{"no half character", "ab€", 6, `"ab"`},
		{"no half escape", "ab\n", 9, `"ab"`},
		{"nor after one", "\nab\n", 12, `"\u000aab"`},
		{"no room", "abc", 2, `""`},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, cut := appendString([]byte("x"), test.in, test.limit)
			if string(got) != "x"+test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
			var back string
			if err := json.Unmarshal(got[1:], &back); err != nil {
				t.Error(err)
			}
			if want := back != strings.ToValidUTF8(test.in, "\ufffd") && !strings.Contains(test.in, "\xff"); cut != want {
				t.Errorf("cut is %v, want %v", cut, want)
			}
		})
	}
}
