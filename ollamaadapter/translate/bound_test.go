package translate_test

import (
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/translate"
)

// heap is the memory in use.
func heap() int64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

const mebibyte = 1 << 20

func TestALineWithoutEndIsNotKept(t *testing.T) {
	pieces := map[string]string{
		"of blanks": strings.Repeat(" ", 64<<10),
		"of a text": strings.Repeat("x", 64<<10),
		"of braces": strings.Repeat("{", 64<<10),
	}
	for _, form := range forms {
		for name, piece := range pieces {
			t.Run(form.name+", "+name, func(t *testing.T) {
				before := heap()
				a := form.make(translate.AnswerForm{Choices: 1})
				taken := 0
				for range 1024 {
					if _, err := a.Write([]byte(piece)); err == nil {
						taken += len(piece)
					} else if !errors.Is(err, translate.ErrGarbage) {
						t.Fatal(err)
					}
				}
				if taken != 8*mebibyte {
					t.Errorf("took %d bytes, want 8 MiB", taken)
				}
				if grown := heap() - before; grown > 24*mebibyte {
					t.Errorf("keeps %d MiB", grown/mebibyte)
				}
				if _, err := a.CloseChoice(); !errors.Is(err, translate.ErrGarbage) {
					t.Errorf("at the end: %v", err)
				}
			})
		}
	}
}

func TestAStreamOfAnyLengthIsNotKept(t *testing.T) {
	const quietly = `{"model":"m","message":{"content":"","thinking":"hm"},"done":false}` + "\n"
	for _, form := range forms {
		if !strings.HasSuffix(form.name, "Stream") {
			continue
		}
		t.Run(form.name, func(t *testing.T) {
			before := heap()
			a := form.make(translate.AnswerForm{Choices: 1})
			piece := []byte(strings.Repeat(word+quietly, 100))
			for range 1000 {
				if _, err := a.Write(piece); err != nil {
					t.Fatal(err)
				}
			}
			if grown := heap() - before; grown > mebibyte {
				t.Errorf("keeps %d KiB of %d MiB", grown>>10, 1000*len(piece)/mebibyte)
			}
			runtime.KeepAlive(a)
		})
	}
}

func TestAnAnswerThatIsGatheredHasABound(t *testing.T) {
	object := form{name: "Object", make: func(translate.AnswerForm) answer {
		return translate.NewObject(func([]byte) ([]byte, translate.Summary, error) { return nil, translate.Summary{}, nil })
	}}
	line := []byte(strings.Repeat(" ", mebibyte-1) + "\n")
	for _, form := range append(forms[:len(forms):len(forms)], object) {
		if strings.HasSuffix(form.name, "Stream") {
			continue
		}
		t.Run(form.name, func(t *testing.T) {
			a := form.make(translate.AnswerForm{Choices: 1})
			for i := range 64 {
				if _, err := a.Write(line); err != nil {
					t.Fatalf("after %d MiB: %v", i, err)
				}
			}
			if _, err := a.Write([]byte(" ")); !errors.Is(err, translate.ErrGarbage) {
				t.Errorf("after 64 MiB: %v", err)
			}
		})
	}
}
