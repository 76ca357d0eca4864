package ollamatest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync/atomic"
	"time"
)

// FastModel is a model of a Fast. Its answer is the same to every request: so many
// tokens, each the letter t and the time when it was sent, in Unix nanoseconds.
type FastModel struct {
	Name   string
	Tokens int
	// Interval is waited before each token of a stream, if it is not 0; before the first
	// only a part of it, each stream another, so that streams do not go in step. An answer
	// in one piece comes when all its tokens would have come.
	Interval time.Duration
}

// SentMark is what stands before the time, of SentDigits digits, in each token of a
// FastModel's stream, in Ollama's shape and in OpenAI's.
const (
	SentMark   = `"content":"t`
	SentDigits = 19
)

// Fast is a scripted Ollama that costs next to nothing, to measure what stands before
// it. It answers /api/chat, and /v1/chat/completions, with what it has made before: it
// looks for model and stream in a body, which must be compact JSON, and does not parse
// it. Everything else it leaves to a Handler. It speaks HTTP/1.1 without net/http's
// server, which would cost more than what it serves.
type Fast struct {
	// Began and Left, if they are set before Serve, are told of each answer of a model
	// that has an Interval: when it began, and when its client was seen to have gone.
	// Several goroutines call them.
	Began, Left func(model string, at time.Time)

	handler *Handler
	models  []fastModel
	streams atomic.Uint64 // that had an Interval
}

// NewFast returns a Fast with these models.
func NewFast(models ...FastModel) *Fast {
	f := &Fast{}
	var slow []Model
	for _, m := range models {
		f.models = append(f.models, m.prepare())
		slow = append(slow, Says(m.Name))
	}
	f.handler = NewHandler(slow...)
	return f
}

// Serve answers on the listener until it is closed.
func (f *Fast) Serve(listener net.Listener) error {
	for {
		conn, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		go f.serve(conn)
	}
}

// serve answers the requests of a connection until one end closes it.
func (f *Fast) serve(conn net.Conn) {
	defer conn.Close()
	reader := bufio.NewReaderSize(conn, 64<<10)
	var body bytes.Buffer
	for {
		req, err := http.ReadRequest(reader)
		if err != nil {
			return
		}
		body.Reset()
		if _, err := body.ReadFrom(req.Body); err != nil {
			return
		}
		if f.answer(conn, reader, req, body.Bytes()) != nil {
			return
		}
	}
}

func (f *Fast) answer(conn io.Writer, reader *bufio.Reader, req *http.Request, body []byte) error {
	openai := req.URL.Path == "/v1/chat/completions"
	if !openai && req.URL.Path != "/api/chat" {
		return f.leave(conn, req, body)
	}
	i := slices.IndexFunc(f.models, func(m fastModel) bool { return bytes.Contains(body, m.field) })
	if i < 0 {
		return f.leave(conn, req, body)
	}
	m := f.models[i]
	shape := m.ollama
	if openai {
		shape = m.openai
	}
	streamed := bytes.Contains(body, []byte(`"stream":true`))
	// without a message it is asked but to load the model, which is no work
	if m.Interval > 0 && bytes.Contains(body, []byte(`"messages":[{`)) {
		return f.slowly(conn, reader, m, shape, streamed)
	}
	if !streamed {
		_, err := conn.Write(shape.object)
		return err
	}
	return m.stream(conn, shape, func() error { return nil })
}

// leave lets the Handler answer.
func (f *Fast) leave(conn io.Writer, req *http.Request, body []byte) error {
	req.Body = io.NopCloser(bytes.NewReader(body))
	answer := httptest.NewRecorder()
	f.handler.ServeHTTP(answer, req)
	resp := answer.Result()
	resp.ContentLength = int64(answer.Body.Len())
	return resp.Write(conn)
}

// fastModel is a FastModel with its answers made.
type fastModel struct {
	FastModel
	field          []byte // as it stands in a body
	ollama, openai fastShape
}

// fastShape is an answer in the dialect of an endpoint, as it goes over the wire.
type fastShape struct {
	object     []byte // the whole answer, if it is no stream
	head       string // of a stream
	token, end string // chunks of a stream; that of a token has zeros for the time
}

func (m FastModel) prepare() fastModel {
	zeros := fmt.Sprintf("t%0*d", SentDigits, 0)
	words := bytes.Repeat([]byte("word "), m.Tokens)
	// as Ollama writes its lines, time and all: what reads them may know their form
	line := func(content, end string) string {
		return fmt.Sprintf(`{"model":%q,"created_at":"2026-01-01T00:00:00.000000000Z","message":{"role":"assistant","content":%q},%s}`+"\n", m.Name, content, end)
	}
	const more = `"done":false`
	last := fmt.Sprintf(`"done":true,"done_reason":"stop","total_duration":1000000,"load_duration":100000,`+
		`"prompt_eval_count":4,"prompt_eval_duration":100000,"eval_count":%d,"eval_duration":800000`, m.Tokens)
	const chunk = `data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":%q,` +
		`"system_fingerprint":"fp_ollama","choices":[{"index":0,"delta":%s,"finish_reason":%s}]}` + "\n\n"
	return fastModel{
		FastModel: m,
		field:     []byte(`"model":` + strconv.Quote(m.Name)),
		ollama: fastShape{
			object: fastObject(line(string(words), last)),
			head:   fastHead("application/x-ndjson"),
			token:  fastChunk(line(zeros, more)),
			end:    fastChunk(line("", last)),
		},
		openai: fastShape{
			object: fastObject(fmt.Sprintf(`{"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":%q,`+
				`"system_fingerprint":"fp_ollama","choices":[{"index":0,"message":{"role":"assistant","content":%q},"finish_reason":"stop"}],`+
				`"usage":{"prompt_tokens":4,"completion_tokens":%d,"total_tokens":%d}}`+"\n", m.Name, words, m.Tokens, m.Tokens+4)),
			head:  fastHead("text/event-stream"),
			token: fastChunk(fmt.Sprintf(chunk, m.Name, `{"role":"assistant","content":"`+zeros+`"}`, "null")),
			end: fastChunk(fmt.Sprintf(chunk, m.Name, `{"role":"assistant","content":""}`, `"stop"`)) +
				fastChunk("data: [DONE]\n\n"),
		},
	}
}

func fastObject(body string) []byte {
	return fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

func fastHead(contentType string) string {
	return "HTTP/1.1 200 OK\r\nContent-Type: " + contentType + "\r\nTransfer-Encoding: chunked\r\n\r\n"
}

func fastChunk(text string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(text), text) }

// stream sends the tokens, each in a write of its own as Ollama does, and after a wait.
func (m fastModel) stream(conn io.Writer, shape fastShape, wait func() error) error {
	head := len(shape.head)
	piece := []byte(shape.head + shape.token)
	sent := bytes.Index(piece, []byte(SentMark)) + len(SentMark)
	for i := range m.Tokens {
		if err := wait(); err != nil {
			return err
		}
		strconv.AppendInt(piece[:sent], time.Now().UnixNano(), 10)
		from := head
		if i == 0 {
			from = 0
		}
		if _, err := conn.Write(piece[from:]); err != nil {
			return err
		}
	}
	_, err := io.WriteString(conn, shape.end+"0\r\n\r\n")
	return err
}
