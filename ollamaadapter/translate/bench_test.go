package translate_test

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/translate"
)

// conversation is a request of n messages, each a word many times.
func conversation(n, times int, word string) []byte {
	var messages []string
	for i := range n {
		role := []string{"user", "assistant"}[i%2]
		messages = append(messages, fmt.Sprintf(`{"role":%q,"content":%q}`, role, strings.Repeat(word, times)))
	}
	return []byte(`{"model":"qwen3:32b","stream":true,"temperature":0.7,"max_tokens":512,"messages":[` + strings.Join(messages, ",") + `]}`)
}

// translated does all that is done to a chat request on its way to Ollama.
func translated(b *testing.B, body []byte) {
	req, err := translate.DecodeChat(body)
	if err != nil {
		b.Fatal(err)
	}
	out, err := exchange(req, translate.Settings{Model: req.Model, Features: ollama.Newest})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := translate.Encode(out.Requests[0]); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkChatRequest(b *testing.B) {
	for _, size := range []struct {
		name string
		body []byte
	}{
		{"10 messages", conversation(10, 40, "word ")},
		{"100 kB", conversation(10, 2_000, "word ")},
		{"100 kB with escapes", conversation(10, 1_000, "\"四书\"\n")},
	} {
		b.Run(size.name, func(b *testing.B) {
			b.SetBytes(int64(len(size.body)))
			b.ReportAllocs()
			for b.Loop() {
				translated(b, size.body)
			}
		})
		b.Run(size.name+", only checked to be JSON", func(b *testing.B) {
			b.SetBytes(int64(len(size.body)))
			for b.Loop() {
				if !jsontext.Value(size.body).IsValid() {
					b.Fatal("not valid")
				}
			}
		})
	}
}

// An image is sent as it came: what it costs is to be read and checked.
func BenchmarkImage(b *testing.B) {
	pixels := make([]byte, 3<<20)
	_, _ = rand.NewChaCha8([32]byte{}).Read(pixels)
	body := []byte(talk(`{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,` + base64.StdEncoding.EncodeToString(pixels) + `"}}]}`))
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		translated(b, body)
	}
}

func BenchmarkStreamLine(b *testing.B) {
	line := []byte(`{"model":"qwen3:32b","created_at":"2026-01-01T00:00:00.000000000Z","message":{"role":"assistant","content":" word"},"done":false}` + "\n")
	stream := translate.NewStream(identity, translate.AnswerForm{Choices: 1})
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := stream.Write(line); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkStream is a stream of 1,000 lines as they come from the network, one by one,
// in all forms of answers.
func BenchmarkStream(b *testing.B) {
	const lines = 1000
	line := func(message string) string {
		return `{"model":"qwen3:32b","created_at":"2026-01-01T00:00:00.000000000Z","message":{"role":"assistant",` + message + `},"done":false}` + "\n"
	}
	for _, kind := range []struct{ name, line string }{
		{"plain", line(`"content":" word"`)},
		{"escapes", line(`"content":"\"\u003cb\u003e\"\n\té世"`)},
		{"surrogates, which are decoded", line(`"content":" \ud83d\udc4b"`)},
		{"thinking", line(`"content":"","thinking":" word"`)},
		{"a kilobyte of text", line(`"content":"` + strings.Repeat(" word", 200) + `"`)},
	} {
		for _, form := range forms {
			b.Run(form.name+"/"+kind.name, func(b *testing.B) {
				piece, end := []byte(kind.line), []byte(final)
				b.SetBytes(int64(lines*len(piece) + len(end)))
				b.ReportAllocs()
				for b.Loop() {
					a := form.make(translate.AnswerForm{Choices: 1, IncludeUsage: true})
					for range lines {
						if _, err := a.Write(piece); err != nil {
							b.Fatal(err)
						}
					}
					if _, err := a.Write(end); err != nil || !a.ChoiceDone() {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*lines), "ns/line")
			})
		}
	}
}
