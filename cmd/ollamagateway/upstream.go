package ollamagateway

import (
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
	Address    string // host:port
	Version    string // empty if it did not answer
	FirstModel string // empty if it has none
	Demo       bool   // none answered: the built-in model stands in
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
	u := upstream{Address: address}
	var version struct{ Version string }
	if err := getJSON(ctx, address, "/api/version", &version); err != nil || version.Version == "" {
		if named == "" {
			return upstream{Demo: true, Address: "127.0.0.1:11434", FirstModel: demoModel}, nil
		}
		return u, nil
	}
	u.Version = version.Version
	var tags ollama.Tags
	if err := getJSON(ctx, address, "/api/tags", &tags); err == nil && len(tags.Models) > 0 {
		u.FirstModel = tags.Models[0].Name
	}
	return u, nil
}

// hostPort reads the address of an Ollama: a URL, or host and port.
func hostPort(named string) (string, error) {
	wrong := fmt.Errorf("--ollama %q: give an address such as http://127.0.0.1:11434 (https is not supported here)", named)
	if !strings.Contains(named, "://") {
		named = "http://" + named
	}
	u, err := url.Parse(named)
	if err != nil || u.Scheme != "http" || u.Hostname() == "" || strings.Trim(u.Path, "/") != "" {
		return "", wrong
	}
	if strings.ContainsAny(u.Host, "\"{} \t") {
		return "", wrong
	}
	port := u.Port()
	if port == "" {
		port = "11434"
	}
	return net.JoinHostPort(u.Hostname(), port), nil
}

func getJSON(ctx context.Context, address, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+path, nil)
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
