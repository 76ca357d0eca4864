package integration

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/gateway18789/caddy-ollama/integration/scriptedmodel"
)

// llamaCpp starts a real llama.cpp with the scripted model hello, until the test ends,
// and returns its address. Where there is no prebuilt one the test is skipped.
func llamaCpp(t *testing.T, contextLength int) (address string) {
	t.Helper()
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		t.Skip("the prebuilt llama.cpp of integration/llamacpp is for Linux on amd64")
	}
	packages := npmPackages(t, "llamacpp", "--omit=optional") // those for other machines and GPUs
	model := filepath.Join(t.TempDir(), "hello.gguf")
	file, err := os.Create(model)
	if err != nil {
		t.Fatal(err)
	}
	if err := scriptedmodel.Hello.WriteGGUF(file); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	// below the packages, where Node looks for what it imports
	dir, err := os.MkdirTemp(packages, "run")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	writeFile(t, filepath.Join(dir, "server.mjs"), []byte(readFile(t, "llamacpp/server.mjs")))
	server := exec.Command("node", filepath.Join(dir, "server.mjs"))
	server.Env = append(os.Environ(), "MODEL="+model, fmt.Sprintf("CONTEXT=%d", contextLength))
	var log strings.Builder
	server.Stderr = &log
	stdin, err := server.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = server.Wait()
	})
	port, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		_ = server.Wait()
		t.Fatalf("llama.cpp does not start: %v\n%s", err, log.String())
	}
	return "127.0.0.1:" + strings.TrimSpace(port)
}

// engineBlock makes the example's one block for Ollama that for another engine, as the
// README has it.
var engineBlock = []string{
	"ollama_adapter {\n\t\t\tdefault_model hello\n\t\t\tdefaults {\n\t\t\t\ttemperature 0.7\n\t\t\t\tnum_ctx 32768\n\t\t\t}",
	"ollama_adapter {\n\t\t\tupstream openai\n\t\t\tdefault_model hello\n\t\t\tdefaults {\n\t\t\t\ttemperature 0.7\n\t\t\t}",
}

func TestARealLlamaCppInOllamasPlace(t *testing.T) {
	g := startGatewayWith(t, llamaCpp(t, 256), engineBlock...)
	client := g.from("127.0.0.2")
	for _, stream := range []bool{true, false} {
		t.Run(fmt.Sprintf("stream %t", stream), func(t *testing.T) {
			a := g.mustPost(client, tokenFor(t, "bot"), chatBody("hello", stream))
			if got := said(t, a); got != scriptedmodel.HelloText {
				t.Errorf("says %q, want %q", got, scriptedmodel.HelloText)
			}
			r := g.recordOf(a)
			checkRecord(t, r, record{
				"event.reason": "ok", "gen_ai.provider.name": "openai_compatible",
				"gen_ai.usage.output_tokens": len(scriptedmodel.Hello.Scripts[0].Pieces),
			})
			if n, _ := r["gen_ai.usage.input_tokens"].(float64); n < 5 {
				t.Errorf("the prompt has %v tokens", r["gen_ai.usage.input_tokens"])
			}
		})
	}
	t.Run("a conversation that does not fit", func(t *testing.T) {
		body := strings.Replace(chatBody("hello", true), "hi", strings.Repeat("hello world ", 50), 1)
		a := g.mustPost(client, tokenFor(t, "bot"), body)
		if a.status != 400 || a.errorCode() != "context_length_exceeded" || !strings.Contains(a.body, "the model's context 256") {
			t.Errorf("got %d %s", a.status, a.body)
		}
		checkRecord(t, g.recordOf(a), record{"event.reason": "context_length_exceeded"})
	})
	t.Run("an answer of two tokens", func(t *testing.T) {
		body := strings.Replace(chatBody("hello", false), "{", `{"max_tokens":2,`, 1)
		a := g.mustPost(client, tokenFor(t, "bot"), body)
		if !strings.Contains(a.body, `"content":"你好, "`) || !strings.Contains(a.body, `"finish_reason":"length"`) {
			t.Errorf("got %d %s", a.status, a.body)
		}
	})
}
