package checkup

import (
	"context"
	"errors"
	"testing"
)

// A gateway of which one Ollama has failed still answers, and what it answers is looked at.
func TestTheModelIsAskedWhileOneOfSeveralOllamasHasIt(t *testing.T) {
	down := errors.New("down")
	for _, test := range []struct {
		name          string
		first, second error
		want          Status
	}{
		{"both have it", nil, nil, OK},
		{"the first is down", down, nil, OK},
		{"the second is down", nil, down, OK},
		{"both are down", down, down, Skipped},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, w := well()
			_, second := well()
			w.versionErr, second.versionErr = test.first, test.second
			if test.first != nil {
				w.version = ""
			}
			if test.second != nil {
				second.version = ""
			}
			p.Asked, p.Model = "", "" // so that whichever answers has to say it
			p.Ollamas = append(p.Ollamas, &Upstream{Address: "127.0.0.1:11435", API: second})
			var adapter Finding
			Examine(context.Background(), p, func(s Step) {
				if s.Name == "adapter" {
					adapter = s.Finding
				}
			})
			if adapter.Status != test.want {
				t.Errorf("adapter: %+v, want %s", adapter, test.want)
			}
			if test.want == OK && w.asked[len(w.asked)-1] != "chat with qwen3:32b" {
				t.Errorf("asked %q", w.asked)
			}
		})
	}
}
