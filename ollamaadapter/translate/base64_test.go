package translate_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/translate"
)

// sameBase64 checks that what is said of a text is what becomes of it where it is decoded.
func sameBase64(t *testing.T, text string) {
	t.Helper()
	if _, err := base64.StdEncoding.DecodeString(text); translate.IsBase64(text) != (err == nil) {
		t.Errorf("%q: decoding it says %v", text, err)
	}
}

// Each byte, and each text of a few bytes that matter, also where the decoder takes eight
// bytes at a time.
func TestWhatIsBase64CanBeDecoded(t *testing.T) {
	for c := range 256 {
		for _, text := range []string{"%%%%", "A%AA", "AA%=", "AAA%", "AAAA%", "AA==%"} {
			sameBase64(t, strings.ReplaceAll(text, "%", string([]byte{byte(c)})))
		}
	}
	var grow func(text string, by int)
	grow = func(text string, by int) {
		for _, before := range []string{"", "AAAAAAA", "AAAAAAAA"} {
			sameBase64(t, before+text)
			sameBase64(t, text+before)
		}
		if by > 0 {
			for _, c := range []string{"A", "/", "=", "\n", "\r", "-"} {
				grow(text+c, by-1)
			}
		}
	}
	grow("", 6)
}

func FuzzBase64(f *testing.F) {
	for _, text := range []string{"", "AAAA", "AA==", "AB==", "AAA=", "AA=", "A===", "====", "AA\r\n=\n=\n", "AA==AA==", "AA-_", " AAAA", "é"} {
		f.Add(text)
		f.Add(strings.Repeat("AAAA", 256) + text)
	}
	f.Fuzz(sameBase64)
}

func BenchmarkIsBase64(b *testing.B) {
	image := strings.Repeat("iVBORw0K", 1<<19)
	b.SetBytes(int64(len(image)))
	b.ReportAllocs()
	for b.Loop() {
		if !translate.IsBase64(image) {
			b.Fatal("it is")
		}
	}
}
