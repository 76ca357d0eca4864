package realollama

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"
)

// object is a JSON object that a test writes.
type object = map[string]any

// chunk is a line of an answer of /api/chat, as far as the tests look at it.
type chunk struct {
	Message struct {
		Content   string
		Thinking  string
		ToolCalls []struct {
			ID       string
			Function struct {
				Name      string
				Arguments map[string]any
			}
		} `json:"tool_calls"`
	}
	Done            bool
	DoneReason      string `json:"done_reason"`
	PromptEvalCount int    `json:"prompt_eval_count"`
	EvalCount       int    `json:"eval_count"`
}

// answer is what the chunks of a stream add up to.
type answer struct {
	contents []string // the content of each chunk that has any
	content  string
	thinking string
	calls    []string // as name{"argument":"value"}
	last     chunk
}

func (s *Server) post(ctx context.Context, path string, body object) (*http.Response, error) {
	encoded, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL+path, bytes.NewReader(encoded))
	if err != nil {
		return nil, err
	}
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		defer response.Body.Close()
		message, _ := io.ReadAll(response.Body)
		return nil, fmt.Errorf("POST %s: %s: %s", path, response.Status, message)
	}
	return response, nil
}

// chat streams one answer of /api/chat to its end.
func chat(t *testing.T, s *Server, body object) answer {
	t.Helper()
	response, err := s.post(t.Context(), "/api/chat", body)
	if err != nil {
		t.Fatalf("%v\n%s", err, s.Log())
	}
	defer response.Body.Close()
	var a answer
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		var c chunk
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatalf("line %q: %v", lines.Bytes(), err)
		}
		if c.Message.Content != "" {
			a.contents = append(a.contents, c.Message.Content)
		}
		a.content += c.Message.Content
		a.thinking += c.Message.Thinking
		for _, call := range c.Message.ToolCalls {
			arguments, err := json.Marshal(call.Function.Arguments)
			if err != nil {
				t.Fatal(err)
			}
			a.calls = append(a.calls, call.Function.Name+string(arguments))
		}
		a.last = c
	}
	if !a.last.Done {
		t.Fatalf("the stream ended without a done line\n%s", s.Log())
	}
	return a
}

func user(text string) object {
	return object{"role": "user", "content": text}
}
