package scriptedmodel

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestFilesAreWhatALoaderDemands(t *testing.T) {
	for _, m := range All() {
		t.Run(m.Name, func(t *testing.T) {
			f := readGGUF(t, m)
			tokens := f.metadata["tokenizer.ggml.tokens"].([]any)
			size := len(tokens)
			if size%64 != 0 {
				t.Errorf("%d tokens, want a multiple of 64", size)
			}
			seen := map[any]bool{}
			for _, token := range tokens {
				if seen[token] {
					t.Errorf("token %q is there twice, which ends llama.cpp", token)
				}
				seen[token] = true
				if !utf8.ValidString(token.(string)) {
					t.Errorf("token %q is not UTF-8", token)
				}
			}
			if types := f.metadata["tokenizer.ggml.token_type"].([]any); len(types) != size {
				t.Errorf("%d token types for %d tokens", len(types), size)
			}
			if merges := f.metadata["tokenizer.ggml.merges"].([]any); len(merges) == 0 {
				t.Error("no merges, want at least one")
			}
			if end := f.metadata["tokenizer.ggml.eos_token_id"].(uint32); tokens[end] != "<|im_end|>" {
				t.Errorf("end token is %q", tokens[end])
			}
			if length := f.metadata["llama.embedding_length"].(uint32); int(length) != size {
				t.Errorf("embedding length %d, want the number of tokens, %d", length, size)
			}
			if heads := f.metadata["llama.attention.head_count"].(uint32); int(heads)*64 != size {
				t.Errorf("%d heads of 64, want them to make up %d", heads, size)
			}
		})
	}
}

func TestTensorsAreAlignedAndDoNotOverlap(t *testing.T) {
	f := readGGUF(t, Hello)
	end := 0
	taken := map[int]string{}
	for name, tensor := range f.tensors {
		if tensor.offset%32 != 0 {
			t.Errorf("tensor %s starts at %d, want a multiple of 32", name, tensor.offset)
		}
		for block := tensor.offset / 32; block < (tensor.offset+len(tensor.data)*4+31)/32; block++ {
			if other := taken[block]; other != "" {
				t.Fatalf("tensors %s and %s overlap", name, other)
			}
			taken[block] = name
		}
		end = max(end, tensor.offset+len(tensor.data)*4)
	}
	if want := f.dataAt + (end+31)/32*32; f.size != want {
		t.Errorf("file has %d bytes, want %d", f.size, want)
	}
}

// TestWeightsSayTheScripts walks the output matrix the way the model does.
func TestWeightsSayTheScripts(t *testing.T) {
	for _, m := range All() {
		for _, script := range m.Scripts {
			t.Run(m.Name+" after "+script.After, func(t *testing.T) {
				f := readGGUF(t, m)
				said := walk(f, script.After, len(script.Pieces)+1)
				want := make([]string, 0, len(script.Pieces)+1)
				for _, piece := range script.Pieces {
					want = append(want, visible(piece))
				}
				if script.Loops {
					want = append(want, want[0])
				} else {
					want = append(want, "<|im_end|>")
				}
				if strings.Join(said, "|") != strings.Join(want, "|") {
					t.Errorf("says %q, want %q", said, want)
				}
			})
		}
	}
}

// walk returns the next tokens that the model finds most likely after a token.
func walk(f readFile, after string, count int) []string {
	tokens := f.metadata["tokenizer.ggml.tokens"].([]any)
	output := f.tensors["output.weight"].data
	current := 0
	for i, token := range tokens {
		if token == after || token == visible(after) {
			current = i
		}
	}
	var said []string
	for range count {
		best := 0
		for next := range tokens {
			if output[next*len(tokens)+current] > output[best*len(tokens)+current] {
				best = next
			}
		}
		said = append(said, tokens[best].(string))
		current = best
	}
	return said
}

func TestTextsAreThoseOfThePieces(t *testing.T) {
	call := "<tool_call>\n" + `{"name": "` + ToolName + `", "arguments": {"city": "` + ToolCity + `"}}` + "\n</tool_call>"
	secondCall := "<tool_call>\n" + `{"name": "` + SecondToolName + `", "arguments": {"timezone": "` + SecondToolZone + `"}}` + "\n</tool_call>"
	written := "<tool_call>\n" + `{"name": "write", "arguments": {"path": "` + AgentFile + `", "content": "` + AgentFileText + `"}}` + "\n</tool_call>"
	shell := "<tool_call>\n" + `{"name": "bash", "arguments": {"command": "printf '` + AgentFileText + `' > ` + AgentFile + `", "description": "Makes a file"}}` + "\n</tool_call>"
	tests := []struct {
		name   string
		script Script
		text   string
		tokens int
	}{
		{"hello says its text", Hello.Script(AssistantTurn), HelloText, 9},
		{"thinker thinks, then answers", Thinker.Script(AssistantTurn), "<think>\n" + ThinkerThinking + "</think>\n\n" + ThinkerAnswer, 16},
		{"thinker answers at once when it may not think", Thinker.Script(NoThinking), ThinkerAnswer, 6},
		{"toolcaller calls its tool", ToolCaller.Script(AssistantTurn), call, 13},
		{"toolcaller answers after a tool's result", ToolCaller.Script(ToolResult), ToolAnswer, 6},
		{"toolcaller answers without tools", ToolCaller.Script(NoTools), NoToolAnswer, 5},
		{"paralleltools calls both of its tools", ParallelTools.Script(AssistantTurn), call + "\n" + secondCall, 28},
		{"paralleltools answers after its tools' results", ParallelTools.Script(ToolResult), ToolAnswer, 6},
		{"agent writes a file", Agent.Script(AssistantTurn), written, 16},
		{"agent writes a file with a shell", Agent.Script(Shell), shell, 18},
		{"agent answers after its tool's result", Agent.Script(ToolResult), AgentAnswer, 6},
		{"agent answers without tools", Agent.Script(NoTools), AgentNoToolAnswer, 3},
		{"endless has a round but no end", Endless.Script(AssistantTurn), EndlessRound, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := test.script.Text(); got != test.text {
				t.Errorf("text is %q, want %q", got, test.text)
			}
			if got := test.script.EvalCount(); got != test.tokens {
				t.Errorf("eval count is %d, want %d", got, test.tokens)
			}
		})
	}
}

func TestScriptsThatCannotWorkAreRefused(t *testing.T) {
	tests := []struct {
		name    string
		scripts []Script
		reason  string
	}{
		{"a script without pieces", []Script{{After: "\n"}}, "no pieces"},
		{"a script without a start", []Script{{Pieces: []string{"ab"}}}, "no start token"},
		{"a piece that is a byte token already", []Script{{After: "\n", Pieces: []string{"a"}}}, "shorter than two bytes"},
		{"a piece that is followed by two others", []Script{{After: "\n", Pieces: []string{"ab", "cd", "ab", "ef"}}}, "followed both by"},
		{"two scripts that start alike", []Script{{After: "\n", Pieces: []string{"ab"}}, {After: "\n", Pieces: []string{"cd"}}}, "followed both by"},
		{"a piece that is the end token", []Script{{After: "\n", Pieces: []string{"<|im_end|>"}}}, "also a control token"},
		{"a marker that is a piece", []Script{{After: "\n", Pieces: []string{"ab"}}, {After: "ab", Pieces: []string{"cd"}}}, "also a piece"},
		{"a loop of one piece", []Script{{After: "\n", Pieces: []string{"ab"}, Loops: true}}, "at least two"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := Model{Name: "broken", Scripts: test.scripts}.WriteGGUF(&bytes.Buffer{})
			if err == nil || !strings.Contains(err.Error(), test.reason) {
				t.Errorf("error is %v, want one with %q", err, test.reason)
			}
		})
	}
}

func TestScriptsMaySharePiecesThatGoOnAlike(t *testing.T) {
	m := Model{Scripts: []Script{
		{After: "\n", Pieces: []string{"ab", "cd", "ef"}},
		{After: "<|short|>", Pieces: []string{"cd", "ef"}},
	}}
	if got := walk(readGGUF(t, m), "<|short|>", 3); strings.Join(got, "|") != "cd|ef|<|im_end|>" {
		t.Errorf("short script says %q", got)
	}
}

func TestBytesAreWrittenAsGpt2WritesThem(t *testing.T) {
	tests := []struct{ name, bytes, want string }{
		{"printable characters stay", "aZ~!", "aZ~!"},
		{"a space and a newline move up", " \n", "ĠĊ"},
		{"a character of several bytes becomes one for each byte", "你", "ä½ł"},
		{"half a character is written like any bytes", "\xf0\x9f", "ðŁ"},
		{"the soft hyphen is not printable", "\xad\x7f", "Ńġ"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := visible(test.bytes); got != test.want {
				t.Errorf("visible(%q) is %q, want %q", test.bytes, got, test.want)
			}
		})
	}
}

func TestModelfileNamesFileAndTemplate(t *testing.T) {
	got := Hello.Modelfile("/models/hello.gguf")
	for _, want := range []string{"FROM /models/hello.gguf\n", `TEMPLATE """` + Hello.Template + `"""`} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in %q", want, got)
		}
	}
}

func TestWriteErrorsAreReported(t *testing.T) {
	if err := Hello.WriteGGUF(fullDisk{}); !errors.Is(err, errFullDisk) {
		t.Errorf("error is %v, want %v", err, errFullDisk)
	}
}

var errFullDisk = errors.New("no space left")

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errFullDisk }
