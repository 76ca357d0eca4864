package ollamadoctor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/gateway18789/caddy-ollama/cmd/ollamadoctor/checkup"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
)

// liveOllama is the Ollama at an address: host:port, or unix//path.
type liveOllama struct {
	base   string
	client *http.Client
}

func newOllama(address string) *liveOllama {
	dial := func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		if path, isSocket := strings.CutPrefix(address, "unix/"); isSocket {
			return d.DialContext(ctx, "unix", path)
		}
		return d.DialContext(ctx, "tcp", address)
	}
	base := "http://" + address
	if strings.HasPrefix(address, "unix/") {
		base = "http://localhost" // which Ollama takes for its name
	}
	return &liveOllama{base, &http.Client{Transport: &http.Transport{ // with no proxy
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
		DisableKeepAlives: true,
	}}}
}

func (o *liveOllama) call(ctx context.Context, method, path, body string, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, o.base+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := o.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s of %s", resp.Status, path)
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("the answer of %s is not the JSON that Ollama gives", path)
	}
	return nil
}

func (o *liveOllama) Version(ctx context.Context) (string, error) {
	var v ollama.Version
	if err := o.call(ctx, http.MethodGet, "/api/version", "", &v); err != nil {
		return "", err
	}
	if v.Version == "" {
		return "", errors.New("it has no version")
	}
	return v.Version, nil
}

func (o *liveOllama) Installed(ctx context.Context) ([]ollama.Tag, error) {
	var tags ollama.Tags
	err := o.call(ctx, http.MethodGet, "/api/tags", "", &tags)
	return tags.Models, err
}

func (o *liveOllama) Running(ctx context.Context) ([]ollama.Tag, error) {
	var tags ollama.Tags
	err := o.call(ctx, http.MethodGet, "/api/ps", "", &tags)
	return tags.Models, err
}

func (o *liveOllama) Show(ctx context.Context, model string) (*ollama.Show, error) {
	body, err := json.Marshal(ollama.ShowRequest{Model: model})
	if err != nil {
		return nil, err
	}
	show := new(ollama.Show)
	return show, o.call(ctx, http.MethodPost, "/api/show", string(body), show)
}

var _ checkup.Ollama = (*liveOllama)(nil)
