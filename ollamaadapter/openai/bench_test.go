package openai_test

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
)

func BenchmarkMessages(b *testing.B) {
	data := []byte(`[` + strings.Repeat(`{"role":"user","content":"`+strings.Repeat("word ", 40)+`"},`, 9) + `{"role":"user","content":"word"}]`)
	b.Run("by hand", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var messages openai.Messages
			if err := json.Unmarshal(data, &messages); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("by their fields", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var messages []plainMessage
			if err := json.Unmarshal(data, &messages); err != nil {
				b.Fatal(err)
			}
		}
	})
}
