package realollama

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// AwaitUnloaded asks Ollama to unload a model and returns when it has. Ollama
// unloads a model only when no request uses it any more, so this shows that
// none does.
func (s *Server) AwaitUnloaded(ctx context.Context, model string) error {
	body := fmt.Sprintf(`{"model":%q,"keep_alive":0}`, model)
	if _, err := s.ask(ctx, http.MethodPost, "/api/chat", body); err != nil {
		return err
	}
	ticker := time.NewTicker(readyPoll)
	defer ticker.Stop()
	for {
		loaded, err := s.ask(ctx, http.MethodGet, "/api/ps", "")
		if err != nil {
			return err
		}
		if !strings.Contains(loaded, model) {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
	}
}

// ask returns the whole answer to one request, on a connection of its own.
func (s *Server) ask(ctx context.Context, method, path, body string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, method, s.URL+path, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %s: %s", method, path, response.Status, answer)
	}
	return string(answer), err
}
