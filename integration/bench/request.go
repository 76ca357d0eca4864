package main

import (
	"fmt"
	"strings"
)

// The upstream's models: what a request asks for is what it gets.
const (
	objectModel = "object" // short, for answers in one piece
	burstModel  = "burst"  // streams without delay
	heldModel   = "held"   // streams that last
)

// request is an HTTP request that lacks its token. It is the same for all targets: in
// OpenAI's dialect, over HTTP/1.1.
type request struct {
	head, tail string
}

// newRequest asks a model for an answer to a prompt of so many bytes.
func newRequest(model string, stream bool, promptBytes int) request {
	prompt := strings.Repeat("What is as fast as it is safe? ", promptBytes/31+1)[:promptBytes]
	body := fmt.Sprintf(`{"model":%q,"stream":%t,"messages":[{"role":"system","content":"You are a helpful assistant."},{"role":"user","content":%q}]}`,
		model, stream, prompt)
	return request{
		head: "POST /v1/chat/completions HTTP/1.1\r\nHost: " + host + "\r\nUser-Agent: bench\r\nAccept: application/json\r\nAuthorization: Bearer ",
		tail: fmt.Sprintf("\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body),
	}
}

// appendTo appends the request with a token.
func (r request) appendTo(buffer []byte, token string) []byte {
	return append(append(append(buffer, r.head...), token...), r.tail...)
}
