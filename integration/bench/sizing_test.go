package main

import (
	"strings"
	"testing"
	"time"
)

func TestSizingIsATableForTheREADME(t *testing.T) {
	s := &sizing{
		requests: spread{Median: 2512.3}, cpu: spread{Median: 398}, freshCPU: spread{Median: 1310}, tokens: spread{Median: 251234},
		idle: spread{Median: 60}, rate: 20, client: 91.4, record: 1234,
		ladder: []rung{{250, 0.2, 3000, 90, true}, {512, 0.4, 9000, 160, true}, {1000, 0.99, 90000, 300, false}},
	}
	want := `| one core carries |  |
| --- | --- |
| requests, answered in one piece | 2512 a second; 0.40 ms of processor time each, 1.31 ms if the connection is new (TLS and client certificate, ECDSA P-256) |
| tokens, as fast as they come | 251234 a second |
| streams of 20 tokens/s | 512, with 40 % of the core; all but one token in a hundred less than 9 ms late |
| memory | 60 MiB idle; 200 KiB more a stream that is held, on a connection of its own; 91 bytes more a client that is remembered |
| audit log | 1.2 kB a record before it is compressed: 5 requests a second make 533 MB a day |
`
	got, rungs, _ := strings.Cut(s.String(), "\nother programs")
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	if strings.Count(rungs, "\n") != 6 || strings.Count(rungs, "too many") != 1 || !strings.HasSuffix(rungs, "too many\n") {
		t.Errorf("the rungs are\n%s", rungs)
	}
	s.ladder = s.ladder[2:]
	if got := s.String(); strings.Contains(got, "| streams") {
		t.Errorf("too many are told to be carried:\n%s", got)
	}
}

func TestStreamsAreCarriedIfTheirTokensComeInTime(t *testing.T) {
	for name, c := range map[string]struct {
		cell cell
		want bool
	}{
		"all of them, each before the next is due": {cell{Seconds: 2, Tokens: 2000, TokenP99: 49_000}, true},
		"but for what the window's ends cut off":   {cell{Seconds: 2, Tokens: 1950, TokenP99: 49_000}, true},
		"not if tokens stay away":                  {cell{Seconds: 2, Tokens: 1900, TokenP99: 49_000}, false},
		"not if they come after the next is due":   {cell{Seconds: 2, Tokens: 2000, TokenP99: 51_000}, false},
		"not if nothing came":                      {cell{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := keptUp(c.cell, 1000, 50*time.Millisecond); got != c.want {
				t.Errorf("%t", got)
			}
		})
	}
}
