package jwtauth

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
)

func TestServeExecAnswersOpenClaw(t *testing.T) {
	for _, test := range []struct{ name, request, want string }{
		{"one id", `{"protocolVersion":1,"provider":"jwt","ids":["gateway"]}`,
			`{"protocolVersion":1,"values":{"gateway":"token-1"}}`},
		{"a token of its own for each id", `{"protocolVersion":1,"provider":"jwt","ids":["a","b/c#d"]}`,
			`{"protocolVersion":1,"values":{"a":"token-1","b/c#d":"token-2"}}`},
		{"a member that is not known yet", `{"protocolVersion":1,"ids":["a"],"deadline":{"ms":5000}}` + "\n",
			`{"protocolVersion":1,"values":{"a":"token-1"}}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			var out bytes.Buffer
			issued := 0
			err := serveExec(strings.NewReader(test.request), &out, func() (string, error) {
				issued++
				return fmt.Sprintf("token-%d", issued), nil
			})
			if err != nil || out.String() != test.want+"\n" {
				t.Errorf("got %q (%v), want %q", out.String(), err, test.want)
			}
		})
	}
}

func TestServeExecRefuses(t *testing.T) {
	for _, test := range []struct{ name, request, want string }{
		{"no request", "", "--exec-provider"},
		{"what is no JSON", "gateway", "--exec-provider"},
		{"a list", `["gateway"]`, "--exec-provider"},
		{"a name twice", `{"protocolVersion":1,"protocolVersion":1,"ids":["a"]}`, "--exec-provider"},
		{"something after the request", `{"protocolVersion":1,"ids":["a"]} {}`, "--exec-provider"},
		{"another version", `{"protocolVersion":2,"ids":["a"]}`, "version 2"},
		{"no version", `{"ids":["a"]}`, "version 0"},
		{"no ids", `{"protocolVersion":1,"ids":[]}`, "no ids"},
		{"ids that are none", `{"protocolVersion":1,"ids":"a"}`, "--exec-provider"},
		{"a request without end", `{"protocolVersion":1,"ids":["` + strings.Repeat("a", maxExecRequest), "longer than"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var out bytes.Buffer
			err := serveExec(strings.NewReader(test.request), &out, func() (string, error) { return "token", nil })
			if err == nil || !strings.Contains(err.Error(), test.want) || out.Len() > 0 {
				t.Errorf("got %q, error %v; want an error that says %q", out.String(), err, test.want)
			}
		})
	}

	t.Run("a token that cannot be made leaves no half answer", func(t *testing.T) {
		var out bytes.Buffer
		broken := errors.New("no key")
		err := serveExec(strings.NewReader(`{"protocolVersion":1,"ids":["a"]}`), &out, func() (string, error) { return "", broken })
		if !errors.Is(err, broken) || out.Len() > 0 {
			t.Errorf("got %q, error %v", out.String(), err)
		}
	})
}

// The whole way, from standard input to standard output.
func TestIssueCommandIsAnExecProvider(t *testing.T) {
	stdin := os.Stdin
	defer func() { os.Stdin = stdin }()
	var err error
	if os.Stdin, err = os.Open(writeFile(t, `{"protocolVersion":1,"provider":"jwt","ids":["a","b"]}`)); err != nil {
		t.Fatal(err)
	}
	defer os.Stdin.Close()
	output := stdoutOf(t, "--exec-provider", "--secret-file", writeFile(t, secret), "--sub", "openclaw")
	var response execResponse
	if err := json.Unmarshal([]byte(output), &response); err != nil || len(response.Values) != 2 || response.Values["a"] == response.Values["b"] {
		t.Fatalf("output is %q (%v); want two tokens", output, err)
	}
	for id, compact := range response.Values {
		if claims := payloadOf(t, compact); string(claims["sub"]) != `"openclaw"` {
			t.Errorf("the token for %s says %s", id, claims)
		}
	}
}

// stdoutOf is what `caddy jwt issue` with these arguments writes to standard output.
func stdoutOf(t *testing.T, args ...string) string {
	t.Helper()
	stdout := os.Stdout
	defer func() { os.Stdout = stdout }()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	os.Stdout = write
	cmd := issueCommand()
	cmd.SetArgs(args)
	err = cmd.Execute()
	write.Close()
	if err != nil {
		t.Fatal(err)
	}
	output, err := io.ReadAll(read)
	if err != nil {
		t.Fatal(err)
	}
	return string(output)
}
