package translate_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/translate"
)

// What a stream has returned is its caller's until Sent, however many other streams go on.
func TestStreamsShareTheirMemoryOnlyOnceItIsSent(t *testing.T) {
	const lines = 200
	var streams sync.WaitGroup
	for i := range 8 {
		streams.Go(func() {
			word := strings.Repeat(fmt.Sprint(i), 1+i*100)
			stream := translate.NewStream(translate.Identity{Model: "m"}, translate.AnswerForm{Choices: 1})
			for range lines {
				events, err := stream.Write([]byte(`{"model":"m","message":{"role":"assistant","content":"` + word + `"},"done":false}` + "\n"))
				if err != nil || strings.Count(string(events), `"content":"`+word+`"`) != 1 || strings.Count(string(events), "\n\n") > 2 {
					t.Errorf("stream %d: %q (%v)", i, events, err)
					return
				}
				stream.Sent()
			}
		})
	}
	streams.Wait()
}
