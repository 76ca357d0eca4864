package ollamaadapter

import (
	"testing"
	"time"
)

func TestRetryAfterIsTheTimeOfAnAnswer(t *testing.T) {
	for _, test := range []struct {
		name string
		took []time.Duration
		own  string
		want string
	}{
		{"five seconds as long as there was no answer", nil, "", "5"},
		{"what the first answer took, in whole seconds", []time.Duration{7200 * time.Millisecond}, "", "8"},
		{"never less than a second", []time.Duration{time.Millisecond}, "", "1"},
		{"never more than every SDK waits", []time.Duration{time.Hour}, "", "60"},
		{"later answers count more and more", []time.Duration{8 * time.Second, 16 * time.Second}, "", "9"},
		{"the upstream's own goes before", []time.Duration{7 * time.Second}, "3", "3"},
		{"one that is no number does not", []time.Duration{7 * time.Second}, "Wed, 21 Oct 2026 07:28:00 GMT", "7"},
		{"nor does one below nothing", nil, "-1", "5"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var p pace
			for _, took := range test.took {
				p.add(took)
			}
			if got := p.retryAfter(test.own); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}
