package replay_test

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gateway18789/caddy-ollama/jwtauth/replay"
)

var now = time.Unix(1_800_000_000, 0)

func TestATokenPassesOnce(t *testing.T) {
	s := replay.New(1000)
	in5 := now.Add(5 * time.Minute)
	for _, test := range []struct {
		name, issuer, jti string
		at                time.Time
		want              bool
	}{
		{"the first time", "a", "1", now, true},
		{"the second time", "a", "1", now, false},
		{"in its last second", "a", "1", in5, false},
		{"another token", "a", "2", now, true},
		{"the same id of another issuer", "b", "1", now, true},
		{"an issuer and an id that run together alike", "a1", "", now, true},
		{"a clock that was set back forgets nothing", "a", "2", now.Add(-time.Hour), false},
		{"after it has expired nobody minds, for it is refused as such", "a", "1", in5.Add(2 * time.Second), true},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got, err := s.First(test.issuer, test.jti, in5, test.at); got != test.want || err != nil {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}

func TestOfManyAtOnceOnePasses(t *testing.T) {
	s := replay.New(1000)
	for i := range 50 {
		var passed atomic.Int32
		var all sync.WaitGroup
		for range 16 {
			all.Go(func() {
				if first, err := s.First("", fmt.Sprint(i), now.Add(time.Minute), now); first && err == nil {
					passed.Add(1)
				}
			})
		}
		all.Wait()
		if n := passed.Load(); n != 1 {
			t.Fatalf("%d passed", n)
		}
	}
}

func TestTheMemoryIsBoundedAndFullItLetsNobodyIn(t *testing.T) {
	const most = 1600
	s := replay.New(most)
	passed := 0
	for i := range 10 * most {
		switch first, err := s.First("", fmt.Sprint(i), now.Add(time.Minute), now); {
		case first && err == nil:
			passed++
		case first || err != replay.ErrFull:
			t.Fatalf("token %d: %v, %v", i, first, err)
		}
	}
	if s.Len() > most || passed > most || passed < most/2 {
		t.Errorf("%d passed, %d are remembered", passed, s.Len())
	}
	later := now.Add(2 * time.Minute)
	if first, err := s.First("", "later", later.Add(time.Minute), later); !first || err != nil {
		t.Errorf("when all have expired, a new one does not pass: %v", err)
	}
}

func TestWhatHasExpiredIsForgotten(t *testing.T) {
	s := replay.New(1 << 20)
	for minute := range 60 {
		at := now.Add(time.Duration(minute) * time.Minute)
		for i := range 1000 {
			_, _ = s.First("", fmt.Sprint(minute, i), at.Add(5*time.Minute), at)
		}
	}
	if n := s.Len(); n > 7*1000 {
		t.Errorf("%d tokens are remembered, 5000 live", n)
	}
}

func BenchmarkFirst(b *testing.B) {
	s := replay.New(1 << 20)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		_, _ = s.First("issuer", fmt.Sprint(n%(1<<20)), now.Add(time.Minute), now)
		n++
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(max(1, s.Len())), "B/token")
}
