package ollamagateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
)

// defaultOllama is where Ollama listens if nobody says otherwise.
const defaultOllama = "127.0.0.1:11434"

// upstream is the Ollama behind the gateway.
type upstream struct {
	Address string // host:port
	Version string // empty if it did not answer
	Demo    bool   // none answered: the built-in model stands in
}

// findUpstream looks for the Ollama to use. One that the user has named is used
// even if it does not answer yet; the demo stands in only where nobody named any.
func findUpstream(named string) (upstream, error) {
	address := defaultOllama
	if named != "" {
		var err error
		if address, err = hostPort(named); err != nil {
			return upstream{}, err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	var version ollama.Version
	if err := ask(ctx, address, "/api/version", nil, &version); err != nil || version.Version == "" {
		return upstream{Address: address, Demo: named == ""}, nil
	}
	return upstream{Address: address, Version: version.Version}, nil
}

// hostPort reads the address of an Ollama: a URL, or host and port.
func hostPort(named string) (string, error) {
	wrong := func(why string) error {
		return fmt.Errorf("--ollama %q: %s; give an address such as http://127.0.0.1:11434", named, why)
	}
	text := named
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "" || strings.ContainsAny(u.Host, "\"{} \t"):
		return "", wrong("this is no address")
	case u.Scheme == "https":
		return "", wrong("https is not supported here")
	case u.Scheme != "http":
		return "", wrong("only http is supported here")
	case strings.Trim(u.Path, "/") != "":
		return "", wrong("leave out the path, the gateway puts in its own")
	}
	port := u.Port()
	if port == "" {
		port = "11434"
	}
	return net.JoinHostPort(u.Hostname(), port), nil
}

// ask asks an Ollama: by POST with a question, by GET without.
func ask(ctx context.Context, address, path string, question, into any) error {
	method, body := http.MethodGet, []byte(nil)
	if question != nil {
		method = http.MethodPost
		var err error
		if body, err = json.Marshal(question); err != nil {
			return err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+address+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	return json.NewDecoder(io.LimitReader(resp.Body, 4<<20)).Decode(into)
}

// demoModel is the name of the built-in model.
const demoModel = "demo"

// serveDemo serves the built-in model on a loopback port and returns its address.
func serveDemo() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("listening for the demo model: %w", err)
	}
	server := &http.Server{
		Handler:           ollamatest.NewHandler(ollamatest.Model{Name: demoModel, Answer: demoAnswer}),
		ReadHeaderTimeout: 10 * time.Second,
	}
	go server.Serve(listener) // for the life of the process
	return listener.Addr().String(), nil
}

// demoAnswer says who speaks, word by word.
func demoAnswer(req ollama.ChatRequest) ollamatest.Answer {
	words := 0
	for _, m := range req.Messages {
		words += len(strings.Fields(m.Content))
	}
	return ollamatest.Answer{
		Content: strings.SplitAfter("Hello from the built-in demo model of caddy-ollama. "+
			"Your request came through TLS, client certificate, allow-list, throttle and token, "+
			"was translated for Ollama and back, and is in the audit log. "+
			"Start Ollama, then this gateway again, and a real model will answer you.", " "),
		PromptTokens: words,
		Interval:     20 * time.Millisecond,
	}
}
