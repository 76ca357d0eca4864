package jwtauth

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/gateway18789/caddy-ollama/jwtauth/key"
	"github.com/gateway18789/caddy-ollama/jwtauth/token"
)

func TestAnIssuedTokenIsLetIn(t *testing.T) {
	file := writeFile(t, secret+"\n")
	handler := newHandler(t, Handler{Secrets: secrets("{file." + file + "}")})
	for _, ttl := range []time.Duration{time.Second, time.Minute, 5 * time.Minute} {
		compact, err := issue(file, "clawdbot", ttl, now)
		if err != nil {
			t.Fatal(err)
		}
		a := ask(t, handler, "Bearer "+compact)
		if a.err != nil || a.record.UserID != "clawdbot" {
			t.Errorf("ttl %v: %v, user %q", ttl, a.err, a.record.UserID)
		}
	}
	compact, err := issue(file, "clawdbot", 5*time.Minute+time.Second, now)
	if err != nil {
		t.Fatal(err)
	}
	if a := ask(t, handler, "Bearer "+compact); a.record.Reason != "bad_token:lifetime" {
		t.Errorf("ttl 5m1s: the record's reason is %q, want bad_token:lifetime", a.record.Reason)
	}
}

func TestIssueRefuses(t *testing.T) {
	file := writeFile(t, secret)
	for _, test := range []struct {
		name          string
		file, subject string
		ttl           time.Duration
		want          string
	}{
		{"no file", "", "clawdbot", time.Minute, "--secret-file"},
		{"no subject", file, "", time.Minute, "--sub"},
		{"no life", file, "clawdbot", 0, "--ttl"},
		{"a negative life", file, "clawdbot", -time.Minute, "--ttl"},
		{"a life of less than a second, which rounds to none", file, "clawdbot", 999 * time.Millisecond, "--ttl"},
		{"a file that does not exist", filepath.Join(t.TempDir(), "missing.key"), "clawdbot", time.Minute, "missing.key"},
		{"a secret too short", writeFile(t, "canary-short"), "clawdbot", time.Minute, "12 bytes"},
		{"an empty file", writeFile(t, ""), "clawdbot", time.Minute, "0 bytes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			compact, err := issue(test.file, test.subject, test.ttl, now)
			if err == nil || compact != "" {
				t.Fatalf("issued %q, error %v", compact, err)
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("the error does not say %q: %v", test.want, err)
			}
			if strings.Contains(err.Error(), "canary") {
				t.Errorf("the error tells the secret: %v", err)
			}
		})
	}
}

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

func TestIssueCommandPrintsTheTokenAndNothingElse(t *testing.T) {
	file := writeFile(t, secret)
	stdout := os.Stdout
	defer func() { os.Stdout = stdout }()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	os.Stdout = write
	cmd := issueCommand()
	cmd.SetArgs([]string{"--secret-file", file, "--sub", "clawdbot"})
	err = cmd.Execute()
	write.Close()
	os.Stdout = stdout
	if err != nil {
		t.Fatal(err)
	}
	output, err := io.ReadAll(read)
	if err != nil {
		t.Fatal(err)
	}
	compact, rest, _ := strings.Cut(string(output), "\n")
	k, err := key.Secret([]byte(secret), "HS256")
	if err != nil {
		t.Fatal(err)
	}
	verifier := token.Verifier{Keys: key.Set{k}, MaxLifetime: 5 * time.Minute}
	if _, err := verifier.Verify(t.Context(), compact, time.Now()); err != nil || rest != "" {
		t.Errorf("output is %q: %v; want a token and a line break", output, err)
	}
}

func TestIssueCommandRefuses(t *testing.T) {
	for _, args := range [][]string{
		{}, {"--sub", "clawdbot"}, {"--secret-file", writeFile(t, secret)}, {"clawdbot"}, {"--subject", "clawdbot"},
		{"--secret-file", writeFile(t, secret), "--sub", "clawdbot", "--ttl", "300"},
	} {
		cmd := issueCommand()
		cmd.SetArgs(args)
		cmd.SetOut(io.Discard)
		cmd.SetErr(io.Discard)
		if err := cmd.Execute(); err == nil {
			t.Errorf("%q is accepted", args)
		}
	}
}
