package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// loaded is what an Ollama has loaded. It is asked in the background, and only as long
// as somebody wants to know.
type loaded struct {
	ctx    context.Context
	url    string
	client *http.Client

	mu     sync.Mutex
	asking bool
	asked  time.Time
	known  Loaded
}

// Loaded is the models that are loaded, as they are shown.
type Loaded struct {
	Known  bool    `json:"known"` // it has answered
	Fault  string  `json:"fault,omitempty"`
	Models []Model `json:"models"`
}

// Model is a loaded model, in Ollama's words.
type Model struct {
	Name    string    `json:"name"`
	Size    int64     `json:"size"`
	VRAM    int64     `json:"size_vram"`
	Context int       `json:"context_length"`
	Expires time.Time `json:"expires_at"`
}

const (
	askEvery   = 3 * time.Second
	askTimeout = 2 * time.Second
	// Bounds of an answer: in bytes, and in models.
	longestAnswer = 1 << 20
	mostModels    = 50
)

func newLoaded(ctx context.Context, address *url.URL) *loaded {
	return &loaded{
		ctx: ctx,
		url: address.JoinPath("/api/ps").String(),
		client: &http.Client{
			Transport:     &http.Transport{MaxConnsPerHost: 1, IdleConnTimeout: 2 * askEvery},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

func (l *loaded) close() { l.client.CloseIdleConnections() }

// latest is what is known, which may be nothing yet. It waits for nobody.
func (l *loaded) latest(now time.Time) Loaded {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.asking && now.Sub(l.asked) >= askEvery && l.ctx.Err() == nil {
		l.asking, l.asked = true, now
		go l.ask()
	}
	return l.known
}

func (l *loaded) ask() {
	ctx, cancel := context.WithTimeout(l.ctx, askTimeout)
	defer cancel()
	models, err := l.fetch(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asking = false
	l.known = Loaded{Known: true, Models: models}
	if err != nil {
		l.known.Fault = "Ollama does not answer" // more is for the log of who runs it
	}
}

func (l *loaded) fetch(ctx context.Context) ([]Model, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, l.url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := l.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, longestAnswer+1))
	if err != nil {
		return nil, err
	}
	if len(body) > longestAnswer {
		return nil, errors.New("the answer is too long")
	}
	var answer struct {
		Models []Model `json:"models"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, err
	}
	models := answer.Models[:min(len(answer.Models), mostModels)]
	for i := range models {
		models[i].Name = models[i].Name[:min(len(models[i].Name), 256)]
	}
	return models, nil
}
