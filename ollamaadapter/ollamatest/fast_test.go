package ollamatest

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
)

// startFast serves a model of three tokens until the test ends.
func startFast(t *testing.T) (url string, client *http.Client) {
	t.Helper()
	return serveFast(t, NewFast(FastModel{Name: "fast", Tokens: 3, Interval: time.Millisecond}))
}

func serveFast(t *testing.T, fast *Fast) (url string, client *http.Client) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- fast.Serve(listener) }()
	transport := &http.Transport{}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		_ = listener.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return "http://" + listener.Addr().String(), &http.Client{Transport: transport}
}

func postFast(t *testing.T, client *http.Client, url, body string) (status int, text string) {
	t.Helper()
	resp, err := client.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(data)
}

func TestFastAnswersInBothShapes(t *testing.T) {
	url, client := startFast(t)
	for range 2 { // the second comes over the same connection
		for name, c := range map[string]struct{ path, prefix string }{
			"in Ollama's shape at /api/chat":            {path: "/api/chat"},
			"in OpenAI's shape at /v1/chat/completions": {"/v1/chat/completions", "data: "},
		} {
			t.Run(name, func(t *testing.T) {
				status, text := postFast(t, client, url+c.path, `{"model":"fast","stream":false,"messages":[{"role":"user","content":"hi"}]}`)
				if status != 200 || !strings.Contains(text, "word word word") {
					t.Errorf("not streamed: %d %s", status, text)
				}
				var any map[string]any
				if err := json.Unmarshal([]byte(text), &any); err != nil {
					t.Errorf("not streamed: %v: %s", err, text)
				}

				before := time.Now()
				status, text = postFast(t, client, url+c.path, `{"model":"fast","stream":true,"messages":[{"role":"user","content":"hi"}]}`)
				tokens := 0
				for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
					line := strings.TrimPrefix(lines.Text(), c.prefix)
					if line == "" || line == "[DONE]" {
						continue
					}
					if err := json.Unmarshal([]byte(line), &any); err != nil {
						t.Errorf("%v: %s", err, line)
					}
					_, rest, found := strings.Cut(line, SentMark)
					if !found {
						continue
					}
					tokens++
					sent, err := strconv.ParseInt(rest[:SentDigits], 10, 64)
					if at := time.Unix(0, sent); err != nil || at.Before(before) || at.After(time.Now()) {
						t.Errorf("a token was sent at %v: %s", at, line)
					}
				}
				if status != 200 || tokens != 3 {
					t.Errorf("streamed: %d, %d tokens: %s", status, tokens, text)
				}
			})
		}
	}
}

func TestFastTellsOllamasCounts(t *testing.T) {
	url, client := startFast(t)
	_, text := postFast(t, client, url+"/api/chat", `{"model":"fast","stream":true}`)
	lines := strings.Split(strings.TrimSpace(text), "\n")
	var last ollama.ChatResponse
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil || !last.Done || last.EvalCount != 3 {
		t.Errorf("%v, %+v", err, last)
	}
	// of this form translators may know everything but the text
	const before, after = `{"model":"fast","created_at":"2026-01-01T00:00:00.000000000Z","message":{"role":"assistant","content":"t`, `"},"done":false}`
	if !strings.HasPrefix(lines[0], before) || !strings.HasSuffix(lines[0], after) {
		t.Errorf("a line is not as Ollama writes it: %s", lines[0])
	}
}

func TestFastLeavesTheRestToTheHandler(t *testing.T) {
	url, client := startFast(t)
	if status, text := postFast(t, client, url+"/api/show", `{"model":"fast"}`); status != 200 || !strings.Contains(text, "completion") {
		t.Errorf("%d %s", status, text)
	}
	if status, text := postFast(t, client, url+"/api/chat", `{"model":"other","messages":[{"role":"user","content":"hi"}]}`); status != 404 {
		t.Errorf("an unknown model: %d %s", status, text)
	}
}
