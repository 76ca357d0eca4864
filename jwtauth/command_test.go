package jwtauth

import (
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// If command and handler disagreed about a line break, no token would fit.
func TestReadSecretReadsWhatThePlaceholderReads(t *testing.T) {
	for _, test := range []struct{ name, content, want string }{
		{"no line break", secret, secret},
		{"a line feed", secret + "\n", secret},
		{"a line break of Windows", secret + "\r\n", secret},
		{"a carriage return", secret + "\r", secret},
		{"one line feed of two", secret + "\n\n", secret + "\n"},
		{"one line break of two", secret + "\r\n\r\n", secret + "\r\n"},
		{"a line break the wrong way round", secret + "\n\r", secret + "\n"},
		{"blanks belong to it", " " + secret + " \n", " " + secret + " "},
		{"a line break in front belongs to it", "\n" + secret, "\n" + secret},
		{"bytes that are no text", secret + "\x00\xff", secret + "\x00\xff"},
		{"braces", "{env.HOME}" + secret, "{env.HOME}" + secret},
	} {
		t.Run(test.name, func(t *testing.T) {
			file := writeFile(t, test.content)
			got, err := ReadSecret(file)
			if err != nil || string(got) != test.want {
				t.Errorf("ReadSecret: %q, %v; want %q", got, err, test.want)
			}
			placeholder, err := caddy.NewReplacer().ReplaceOrErr("{file."+file+"}", true, true)
			if err != nil || placeholder != test.want {
				t.Errorf("{file.*}: %q, %v; want %q", placeholder, err, test.want)
			}
		})
	}
}
