package main

import (
	"bufio"
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
	text := newRequest("burst", true, 1000).appendTo(nil, "token")
	req, err := http.ReadRequest(bufio.NewReader(strings.NewReader(string(text))))
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
	if chat.Model != "burst" || !chat.Stream || len(chat.Messages) != 2 || len(chat.Messages[1].Content) != 1000 ||
		req.Header.Get("Authorization") != "Bearer token" || int64(len(body)) != req.ContentLength {
		t.Errorf("%v %s", req.Header, body)
	}
}
