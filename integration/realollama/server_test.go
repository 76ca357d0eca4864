package realollama

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gateway18789/caddy-ollama/integration/scriptedmodel"
)

// TestScriptedModelsInARealOllama shows that a real Ollama takes the scripted
// models for what they are made to be, and says what they script.
func TestScriptedModelsInARealOllama(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a real ollama, and building one takes minutes; run without -short")
	}
	s := startAll(t)

	t.Run("hello streams its pieces, whole characters each", func(t *testing.T) {
		got := chat(t, s, object{"model": "hello", "messages": []object{user("hi")}})
		want := []string{"你好", ", ", "hello", " world", " 👋", " 再见!"}
		if !slices.Equal(got.contents, want) {
			t.Errorf("chunks are %q, want %q", got.contents, want)
		}
		checkEnd(t, got, scriptedmodel.HelloText, scriptedmodel.Hello.Script(scriptedmodel.AssistantTurn).EvalCount())
		// One token for each byte: <|im_start|>user\nhi<|im_end|>\n and
		// <|im_start|>assistant\n.
		if got.last.PromptEvalCount != 21 {
			t.Errorf("prompt_eval_count is %d, want 21", got.last.PromptEvalCount)
		}
	})

	t.Run("hello keeps to its script under wild sampling", func(t *testing.T) {
		for seed := range 5 {
			options := object{
				"seed": seed, "temperature": 2, "top_k": 1000, "top_p": 1,
				"repeat_penalty": 2, "presence_penalty": 2, "frequency_penalty": 2,
			}
			got := chat(t, s, object{"model": "hello", "options": options, "messages": []object{user("你好 👋")}})
			checkEnd(t, got, scriptedmodel.HelloText, scriptedmodel.Hello.Script(scriptedmodel.AssistantTurn).EvalCount())
		}
	})

	t.Run("hello stops early at num_predict", func(t *testing.T) {
		got := chat(t, s, object{"model": "hello", "options": object{"num_predict": 3}, "messages": []object{user("hi")}})
		if got.content != "你好, hello" || got.last.DoneReason != "length" {
			t.Errorf("says %q and is done because of %q, want the first three pieces and length", got.content, got.last.DoneReason)
		}
	})

	t.Run("thinker returns its thinking apart from its answer", func(t *testing.T) {
		got := chat(t, s, object{"model": "thinker", "messages": []object{user("hi")}})
		if got.thinking != scriptedmodel.ThinkerThinking {
			t.Errorf("thinks %q, want %q", got.thinking, scriptedmodel.ThinkerThinking)
		}
		checkEnd(t, got, scriptedmodel.ThinkerAnswer, scriptedmodel.Thinker.Script(scriptedmodel.AssistantTurn).EvalCount())
	})

	t.Run("thinker answers at once when thinking is off", func(t *testing.T) {
		got := chat(t, s, object{"model": "thinker", "think": false, "messages": []object{user("hi")}})
		if got.thinking != "" {
			t.Errorf("thinks %q, want nothing", got.thinking)
		}
		checkEnd(t, got, scriptedmodel.ThinkerAnswer, scriptedmodel.Thinker.Script(scriptedmodel.NoThinking).EvalCount())
	})

	t.Run("toolcaller calls the offered tool and then uses its result", func(t *testing.T) {
		question := user("What is the weather in Paris?")
		got := chat(t, s, object{"model": "toolcaller", "tools": weatherTools(), "messages": []object{question}})
		if want := []string{`get_weather{"city":"Paris"}`}; !slices.Equal(got.calls, want) {
			t.Fatalf("calls are %q, want %q", got.calls, want)
		}
		checkEnd(t, got, "", scriptedmodel.ToolCaller.Script(scriptedmodel.AssistantTurn).EvalCount())

		call := object{"function": object{"name": scriptedmodel.ToolName, "arguments": object{"city": scriptedmodel.ToolCity}}}
		got = chat(t, s, object{"model": "toolcaller", "tools": weatherTools(), "messages": []object{
			question,
			{"role": "assistant", "tool_calls": []object{call}},
			{"role": "tool", "tool_name": scriptedmodel.ToolName, "content": "sunny"},
		}})
		if len(got.calls) > 0 {
			t.Errorf("calls %q again", got.calls)
		}
		checkEnd(t, got, scriptedmodel.ToolAnswer, scriptedmodel.ToolCaller.Script(scriptedmodel.ToolResult).EvalCount())
	})

	t.Run("toolcaller answers in text without tools", func(t *testing.T) {
		got := chat(t, s, object{"model": "toolcaller", "messages": []object{user("hi")}})
		checkEnd(t, got, scriptedmodel.NoToolAnswer, scriptedmodel.ToolCaller.Script(scriptedmodel.NoTools).EvalCount())
	})

	t.Run("paralleltools calls both tools and uses their results, whichever comes first", func(t *testing.T) {
		weather := object{"role": "tool", "tool_call_id": "1", "tool_name": scriptedmodel.ToolName, "content": "sunny"}
		clock := object{"role": "tool", "tool_call_id": "2", "tool_name": scriptedmodel.SecondToolName, "content": "noon"}
		got := chat(t, s, parallel())
		checkParallelCalls(t, got)
		for _, results := range [][]object{{weather, clock}, {clock, weather}} {
			got = chat(t, s, parallel(results...))
			if len(got.calls) > 0 {
				t.Errorf("calls %q again after %v", got.calls, results)
			}
			checkEnd(t, got, scriptedmodel.ToolAnswer, scriptedmodel.ParallelTools.Script(scriptedmodel.ToolResult).EvalCount())
		}
	})

	t.Run("paralleltools calls again while a call has no result of its own", func(t *testing.T) {
		weather := object{"role": "tool", "tool_call_id": "1", "tool_name": scriptedmodel.ToolName, "content": "sunny"}
		nameless := object{"role": "tool", "tool_call_id": "2", "content": "noon"}
		misnamed := object{"role": "tool", "tool_call_id": "2", "tool_name": scriptedmodel.ToolName, "content": "noon"}
		strange := object{"role": "tool", "tool_call_id": "3", "tool_name": scriptedmodel.SecondToolName, "content": "noon"}
		for _, results := range [][]object{{weather}, {weather, nameless}, {weather, misnamed}, {weather, strange}} {
			checkParallelCalls(t, chat(t, s, parallel(results...)))
		}
	})

	t.Run("agent works with the tools that it knows, whatever else there is", func(t *testing.T) {
		file := `{"content":"` + scriptedmodel.AgentFileText + `","path":"` + scriptedmodel.AgentFile + `"}`
		for _, test := range []struct{ offered, want string }{
			{"read write edit", "write" + file},
			{"bash read write", `bash{"command":"printf '` + scriptedmodel.AgentFileText + `' \u003e ` + scriptedmodel.AgentFile + `","description":"Makes a file"}`},
			// Ollama v0.17.4 finds this name in the tag of the call, which is why
			// clients.md turns OpenClaw's tool search off.
			{"read write tool_call", "tool_call" + file},
		} {
			got := chat(t, s, object{"model": "agent", "tools": toolsNamed(test.offered), "messages": []object{user("work")}})
			if !slices.Equal(got.calls, []string{test.want}) {
				t.Errorf("with %s it calls %q, want %q", test.offered, got.calls, test.want)
			}
		}
		got := chat(t, s, object{"model": "agent", "tools": toolsNamed("write"), "messages": []object{
			user("work"), {"role": "tool", "tool_name": "write", "content": "done"}, user("nothing else runs"),
		}})
		checkEnd(t, got, scriptedmodel.AgentAnswer, scriptedmodel.Agent.Script(scriptedmodel.ToolResult).EvalCount())
		got = chat(t, s, object{"model": "agent", "messages": []object{user("a title?")}})
		checkEnd(t, got, scriptedmodel.AgentNoToolAnswer, scriptedmodel.Agent.Script(scriptedmodel.NoTools).EvalCount())
	})

	for _, model := range []string{"hello", "thinker"} {
		t.Run(model+" answers in JSON of the requested schema", func(t *testing.T) {
			got := chat(t, s, object{"model": model, "format": personSchema(), "messages": []object{user("hi")}})
			var person struct {
				Name *string
				Age  *int
				Tags []string
			}
			if err := json.Unmarshal([]byte(got.content), &person); err != nil || person.Name == nil || person.Age == nil {
				t.Errorf("answer %q does not fit the schema: %v", got.content, err)
			}
		})
	}

	t.Run("endless goes on until the client cancels", func(t *testing.T) {
		checkCancel(t, s)
	})
}

// checkCancel reads some of an endless answer, cancels, and checks that Ollama
// has stopped working on it.
func checkCancel(t *testing.T, s *Server) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	response, err := s.post(ctx, "/api/chat", object{"model": "endless", "messages": []object{user("go")}})
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var said strings.Builder
	lines := bufio.NewScanner(response.Body)
	for range 100 {
		var c chunk
		if !lines.Scan() {
			t.Fatalf("the stream ended after %q: %v", said.String(), lines.Err())
		}
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil || c.Done {
			t.Fatalf("line %q: done or broken (%v)", lines.Bytes(), err)
		}
		said.WriteString(c.Message.Content)
	}
	if want := strings.Repeat(scriptedmodel.EndlessRound, 34)[:said.Len()]; said.String() != want {
		t.Errorf("says %q, want %q", said.String(), want)
	}
	cancel()

	deadline, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	if err := s.AwaitUnloaded(deadline, "endless"); err != nil {
		t.Errorf("ollama still works on the cancelled request: %v\n%s", err, s.Log())
	}
}

// checkEnd checks the text of an answer and the counts of its last line.
func checkEnd(t *testing.T, got answer, content string, evalCount int) {
	t.Helper()
	if got.content != content {
		t.Errorf("says %q, want %q", got.content, content)
	}
	if got.last.DoneReason != "stop" {
		t.Errorf("done_reason is %q, want stop", got.last.DoneReason)
	}
	if got.last.EvalCount != evalCount {
		t.Errorf("eval_count is %d, want %d", got.last.EvalCount, evalCount)
	}
}

// parallel is a request to paralleltools: its question, or, with results, what
// follows on its two calls.
func parallel(results ...object) object {
	messages := []object{user("What are the weather and the time in Paris?")}
	if len(results) > 0 {
		messages = append(messages, object{"role": "assistant", "tool_calls": []object{
			{"id": "1", "function": object{"name": scriptedmodel.ToolName, "arguments": object{"city": scriptedmodel.ToolCity}}},
			{"id": "2", "function": object{"name": scriptedmodel.SecondToolName, "arguments": object{"timezone": scriptedmodel.SecondToolZone}}},
		}})
	}
	clock := object{"type": "function", "function": object{
		"name":        scriptedmodel.SecondToolName,
		"description": "Tells the time in a time zone.",
		"parameters":  object{"type": "object", "properties": object{"timezone": object{"type": "string"}}},
	}}
	return object{"model": "paralleltools", "tools": append(weatherTools(), clock), "messages": append(messages, results...)}
}

// checkParallelCalls checks that an answer is paralleltools's two calls.
func checkParallelCalls(t *testing.T, got answer) {
	t.Helper()
	want := []string{`get_weather{"city":"Paris"}`, `get_time{"timezone":"Europe/Paris"}`}
	if !slices.Equal(got.calls, want) {
		t.Errorf("calls are %q, want %q", got.calls, want)
	}
	checkEnd(t, got, "", scriptedmodel.ParallelTools.Script(scriptedmodel.AssistantTurn).EvalCount())
}

// toolsNamed are tools with these names, which take anything.
func toolsNamed(names string) (tools []object) {
	for _, name := range strings.Fields(names) {
		tools = append(tools, object{"type": "function", "function": object{"name": name, "parameters": object{"type": "object"}}})
	}
	return tools
}

func weatherTools() []object {
	return []object{{"type": "function", "function": object{
		"name":        scriptedmodel.ToolName,
		"description": "Tells the weather in a city.",
		"parameters": object{
			"type":       "object",
			"required":   []string{"city"},
			"properties": object{"city": object{"type": "string"}},
		},
	}}}
}

func personSchema() object {
	return object{
		"type":     "object",
		"required": []string{"name", "age", "tags"},
		"properties": object{
			"name": object{"type": "string"},
			"age":  object{"type": "integer"},
			"tags": object{"type": "array", "items": object{"type": "string"}},
		},
	}
}

// findOllama returns an Ollama binary or skips the test.
func findOllama(t *testing.T, log io.Writer) string {
	t.Helper()
	ctx := t.Context()
	// Leave the time to end what was started before "go test" ends this process.
	if deadline, ok := t.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-30*time.Second))
		defer cancel()
	}
	bin, err := Find(ctx, log)
	if unavailable, ok := errors.AsType[*Unavailable](err); ok {
		t.Skip(unavailable.Reason)
	}
	if err != nil {
		t.Fatal(err)
	}
	return bin
}

// startAll starts a server with all scripted models for the time of the test.
func startAll(t *testing.T) *Server {
	t.Helper()
	s, err := Start(t.Context(), findOllama(t, os.Stderr), t.TempDir(), scriptedmodel.All()...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func TestStartReportsTheLogOfABinaryThatEnds(t *testing.T) {
	if !canBuild {
		t.Skip("needs a shell script for a binary")
	}
	bin := filepath.Join(t.TempDir(), "ollama")
	script := "#!/bin/sh\necho no luck today\nexit 3\n"
	if err := os.WriteFile(bin, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	_, err := Start(t.Context(), bin, t.TempDir())
	for _, want := range []string{"ended before it answered", "exit status 3", "no luck today"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, want one with %q", err, want)
		}
	}
}

func TestStartEndsABinaryThatNeverAnswers(t *testing.T) {
	if !canBuild {
		t.Skip("needs a shell script for a binary")
	}
	bin := filepath.Join(t.TempDir(), "ollama")
	script := "#!/bin/sh\necho sitting here\nsleep 600 & wait\n"
	if err := os.WriteFile(bin, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err := Start(ctx, bin, t.TempDir())
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "sitting here") {
		t.Errorf("error is %v, want a deadline and the log", err)
	}
}

func TestStartNamesABinaryThatIsNotThere(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "nothing")
	if _, err := Start(t.Context(), bin, t.TempDir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error is %v, want one for a missing file", err)
	}
}
