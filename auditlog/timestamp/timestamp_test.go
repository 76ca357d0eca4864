package timestamp

import (
	"math"
	"testing"
	"time"
)

// like compares with what package time makes of the layout.
func like(t *testing.T, at time.Time) {
	t.Helper()
	want := at.UTC().Format(Layout)
	if got := String(at); got != want {
		t.Errorf("it is %s, want %s", got, want)
	}
	if got := string(Append([]byte("before "), at)); got != "before "+want {
		t.Errorf("appended it is %q, want %q", got, "before "+want)
	}
}

func TestATimeIsWrittenAsItsLayoutSays(t *testing.T) {
	for name, at := range map[string]time.Time{
		"now":                      time.Now(),
		"a whole second":           time.Date(2026, 11, 22, 13, 14, 15, 0, time.UTC),
		"the last nanosecond":      time.Date(2026, 12, 31, 23, 59, 59, 999_999_999, time.UTC),
		"less than a microsecond":  time.Date(2026, 1, 1, 0, 0, 0, 999, time.UTC),
		"a microsecond":            time.Date(2026, 1, 1, 0, 0, 0, 1000, time.UTC),
		"another zone":             time.Date(2026, 11, 22, 1, 2, 3, 45678901, time.FixedZone("CST", 8*3600)),
		"no time":                  {},
		"before the first year":    time.Date(-5, 1, 1, 0, 0, 0, 1, time.UTC),
		"after the year 9999":      time.Date(12345, 1, 1, 0, 0, 0, 1, time.UTC),
		"a leap day":               time.Date(2028, 2, 29, 0, 0, 0, 123456000, time.UTC),
		"as far as seconds go":     time.Unix(math.MaxInt32, 5),
		"before seconds are there": time.Unix(-1, 999_999_999),
	} {
		t.Run(name, func(t *testing.T) { like(t, at) })
	}
}

func FuzzAppend(f *testing.F) {
	f.Add(int64(0), int64(0))
	f.Add(int64(1764002234), int64(793790123))
	f.Add(int64(-62135596801), int64(1))
	f.Fuzz(func(t *testing.T, seconds, nanoseconds int64) {
		like(t, time.Unix(seconds%(1<<40), nanoseconds))
	})
}

func BenchmarkAppend(b *testing.B) {
	at := time.Now()
	var out []byte
	for b.Loop() {
		out = Append(out[:0], at)
	}
}
