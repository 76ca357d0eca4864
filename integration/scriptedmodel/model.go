package scriptedmodel

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// Model is a model that says what its scripts say.
type Model struct {
	// Name is the name under which Ollama serves the model.
	Name string

	// Template is the Go template with which Ollama turns a chat into a
	// prompt. Ollama also reads the model's capabilities from it (thinking,
	// tools), so it decides what the model is taken for.
	Template string

	// Scripts are the things the model can say; the end of the prompt
	// chooses among them.
	Scripts []Script
}

// Script returns the script that begins after the given end of the prompt. It
// panics if there is none, which is a mistake in the test that asks.
func (m Model) Script(after string) Script {
	for _, s := range m.Scripts {
		if s.After == after {
			return s
		}
	}
	panic(fmt.Sprintf("scriptedmodel: model %q has no script after %q", m.Name, after))
}

// WriteGGUF writes the model as a GGUF v3 file. It fails if the scripts cannot
// be told apart token by token, or if writing fails.
func (m Model) WriteGGUF(w io.Writer) error {
	v, err := newVocabulary(m.Scripts)
	if err != nil {
		return fmt.Errorf("model %q: %w", m.Name, err)
	}
	buffered := bufio.NewWriter(w)
	if err := layOut(m.Name, v).writeTo(buffered); err != nil {
		return fmt.Errorf("model %q: write gguf: %w", m.Name, err)
	}
	if err := buffered.Flush(); err != nil {
		return fmt.Errorf("model %q: write gguf: %w", m.Name, err)
	}
	return nil
}

// Modelfile returns the Modelfile with which "ollama create" makes the model
// from the GGUF file at ggufPath. The model is kept on one thread of the CPU:
// it is too small for more to help, and the threads of llama.cpp wait for each
// other by spinning, which makes a token take 100 ms on a busy machine.
func (m Model) Modelfile(ggufPath string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "FROM %s\n", ggufPath)
	fmt.Fprintf(&b, "TEMPLATE \"\"\"%s\"\"\"\n", m.Template)
	b.WriteString("PARAMETER num_gpu 0\n")
	b.WriteString("PARAMETER num_thread 1\n")
	return b.String()
}
