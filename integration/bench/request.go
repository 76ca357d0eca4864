package main

import (
	"fmt"
	"net/http"
	"strings"
)

// The upstream's models: what a request asks for is what it gets.
const (
	objectModel = "object" // short, for answers in one piece
	briefModel  = "brief"  // streams that are over when they have begun
	burstModel  = "burst"  // streams without delay
	leaveModel  = "leave"  // that clients leave before it has said all
)

const (
	objectTokens = 40
	briefTokens  = 4
	burstTokens  = 256
)

// request is an HTTP request that lacks who sends it. It is the same for all targets:
// in OpenAI's dialect.
type request struct {
	method, path string
	body         string
	// clients is as how many different clients it is sent, by X-Forwarded-For; 0: as one
	// that has no such header.
	clients int
	// tokens is how many a complete answer has, if it is a stream; status and least what
	// it is like if it is none.
	tokens int
	status int
	least  int
}

// chat asks a model for an answer in one piece to a prompt of so many bytes.
func chat(model string, promptBytes int) request {
	return request{
		method: http.MethodPost, path: "/v1/chat/completions", body: chatBody(model, false, promptBytes),
		status: http.StatusOK, least: objectTokens * len("word "),
	}
}

// chatStream asks a model for a stream of so many tokens.
func chatStream(model string, tokens int) request {
	return request{
		method: http.MethodPost, path: "/v1/chat/completions", body: chatBody(model, true, 100),
		status: http.StatusOK, tokens: tokens,
	}
}

func chatBody(model string, stream bool, promptBytes int) string {
	const sentence = "What is as fast as it is safe? "
	prompt := strings.Repeat(sentence, promptBytes/len(sentence)+1)[:promptBytes]
	return fmt.Sprintf(`{"model":%q,"stream":%t,"messages":[{"role":"system","content":"You are a helpful assistant."},{"role":"user","content":%q}]}`,
		model, stream, prompt)
}

// as is a request that comes from so many clients.
func (r request) as(clients int) request {
	r.clients = clients
	return r
}

// sender is what makes a request one client's.
type sender struct {
	token string
	from  string // the address that X-Forwarded-For is to have, if any
}

// address is that of the client of this number: the first million lie in 10.0.0.0/8.
func address(client int) string {
	return fmt.Sprintf("10.%d.%d.%d", client>>16&0xff, client>>8&0xff, client&0xff)
}

// appendTo appends the request in the form of HTTP/1.1.
func (r request) appendTo(buffer []byte, by sender) []byte {
	buffer = append(buffer, r.method...)
	buffer = append(buffer, ' ')
	buffer = append(buffer, r.path...)
	buffer = append(buffer, " HTTP/1.1\r\nHost: "+host+"\r\nUser-Agent: bench\r\nAccept: application/json\r\nAuthorization: Bearer "...)
	buffer = append(buffer, by.token...)
	if by.from != "" {
		buffer = append(buffer, "\r\nX-Forwarded-For: "...)
		buffer = append(buffer, by.from...)
	}
	buffer = fmt.Appendf(buffer, "\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", len(r.body))
	return append(buffer, r.body...)
}
