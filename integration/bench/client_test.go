package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestSentAt(t *testing.T) {
	for name, c := range map[string]struct {
		line string
		want int64 // 0: there is none
	}{
		"in OpenAI's shape":            {`data: {"choices":[{"delta":{"content":"t1700000000123456789"}}]}`, 1700000000123456789},
		"in Ollama's shape":            {`{"message":{"role":"assistant","content":"t1700000000123456789"}}`, 1700000000123456789},
		"not in an empty piece":        {`data: {"choices":[{"delta":{"content":""}}]}`, 0},
		"not in a line that is cut":    {`{"content":"t17000`, 0},
		"not where there is no number": {`{"content":"there is something to say"}`, 0},
		"not at the end of a stream":   {"data: [DONE]", 0},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := sentAt([]byte(c.line))
			if ok != (c.want != 0) || ok && !got.Equal(time.Unix(0, c.want)) {
				t.Errorf("%v, %v", got, ok)
			}
		})
	}
}

func TestRequestIsWhatItSays(t *testing.T) {
	for name, c := range map[string]struct {
		request request
		from    string
		stream  bool
		model   string
		prompt  int
	}{
		"for an answer in one piece":       {chat(objectModel, 1000), "", false, objectModel, 1000},
		"for a stream":                     {chatStream(burstModel, burstTokens), "", true, burstModel, 100},
		"of one of many clients":           {chat(objectModel, 5).as(10), "10.0.0.7", false, objectModel, 5},
		"with a prompt of 100 kB, exactly": {chat(objectModel, 100_000), "", false, objectModel, 100_000},
	} {
		t.Run(name, func(t *testing.T) {
			text := c.request.appendTo(nil, sender{"token", c.from})
			req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(text)))
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(req.Body)
			if err != nil {
				t.Fatal(err)
			}
			var chat struct {
				Model    string
				Stream   bool
				Messages []struct{ Role, Content string }
			}
			if err := json.Unmarshal(body, &chat); err != nil {
				t.Fatal(err)
			}
			if chat.Model != c.model || chat.Stream != c.stream || len(chat.Messages) != 2 || len(chat.Messages[1].Content) != c.prompt ||
				req.Header.Get("Authorization") != "Bearer token" || req.Header.Get("X-Forwarded-For") != c.from ||
				int64(len(body)) != req.ContentLength {
				t.Errorf("%v %.200s", req.Header, body)
			}
		})
	}
}

// answering is a client whose every answer is the same.
type answering struct {
	status int
	body   string
}

func (a answering) send(request, sender) (int, io.ReadCloser, error) {
	return a.status, io.NopCloser(strings.NewReader(a.body)), nil
}
func (answering) reconnect() error { return nil }
func (answering) close()           {}

func TestOnlyCompleteAnswersCount(t *testing.T) {
	token := `data: {"choices":[{"delta":{"content":"t1700000000123456789"}}]}` + "\n\n"
	const done = "data: [DONE]\n\n"
	whole := strings.Repeat("word ", objectTokens)
	for name, c := range map[string]struct {
		request request
		status  int
		body    string
		ok      bool
	}{
		"an answer in one piece":                     {chat(objectModel, 1), 200, whole, true},
		"not one that is shorter than what was said": {chat(objectModel, 1), 200, whole[1:], false},
		"not an error":                               {chat(objectModel, 1), 429, whole, false},
		"a stream with all its tokens":               {chatStream(briefModel, 2), 200, token + token + done, true},
		"not one that lacks a token":                 {chatStream(briefModel, 2), 200, token + done, false},
		"not one that breaks off":                    {chatStream(briefModel, 2), 200, token + token, false},
		"not a stream's error":                       {chatStream(briefModel, 2), 503, token + token + done, false},
	} {
		t.Run(name, func(t *testing.T) {
			client, tokens := answering{c.status, c.body}, 0
			var err error
			if c.request.tokens > 0 {
				err = stream(client, c.request, sender{}, func(time.Time) { tokens++ })
			} else {
				err = ask(client, c.request, sender{})
			}
			if (err == nil) != c.ok || c.ok && tokens != c.request.tokens {
				t.Errorf("%v, %d tokens", err, tokens)
			}
		})
	}
}

func TestEachClientHasAnAddress(t *testing.T) {
	const clients = 100_000
	s := &session{tokens: []string{"token"}}
	seen := make(map[string]bool)
	for range clients {
		seen[s.sender(request{clients: clients}).from] = true
	}
	if len(seen) != clients {
		t.Errorf("%d addresses, want %d", len(seen), clients)
	}
	for client, want := range map[int]string{0: "10.0.0.0", 258: "10.0.1.2", 999_999: "10.15.66.63"} {
		if got := address(client); got != want {
			t.Errorf("client %d is %s, want %s", client, got, want)
		}
	}
	if by := s.sender(request{}); by.from != "" {
		t.Errorf("one client alone comes from %s", by.from)
	}
}
