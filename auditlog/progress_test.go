package auditlog

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestTheBar(t *testing.T) {
	for _, test := range []struct {
		done, total int64
		elapsed     time.Duration
		want        string
	}{
		{0, 100e6, 0, "[                              ]   0% 0 B of 100 MB"},
		{50e6, 100e6, 5 * time.Second, "[===============               ]  50% 50 MB of 100 MB 10 MB/s 5s left"},
		{100e6, 100e6, 5 * time.Second, "[==============================] 100% 100 MB of 100 MB 20 MB/s"},
		{200e6, 100e6, 5 * time.Second, "[==============================] 100% 100 MB of 100 MB 20 MB/s"},
		{0, 0, time.Second, "[==============================] 100% 0 B of 0 B"},
	} {
		if got := bar(test.done, test.total, test.elapsed); got != test.want {
			t.Errorf("got  %q\nwant %q", got, test.want)
		}
	}
}

func TestTheBarIsDrawnNowAndThenAndGoesAway(t *testing.T) {
	var b strings.Builder
	now := time.Unix(0, 0)
	p := &progress{w: &b, total: 10, now: func() time.Time { return now }}
	for i := range int64(10) {
		p.show(i)
		now = now.Add(30 * time.Millisecond)
	}
	if n := strings.Count(b.String(), "\r["); n != 2 {
		t.Errorf("drawn %d times: %q", n, b.String())
	}
	p.clear()
	if !strings.HasSuffix(b.String(), "\r\x1b[K") {
		t.Errorf("left: %q", b.String())
	}
	var nobody *progress // watches
	nobody.show(1)
	nobody.clear()
	if newProgress(&b, nil) != nil {
		t.Error("it is shown where there is no terminal")
	}
	file, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if newProgress(file, nil) != nil {
		t.Error("it is shown in a file")
	}
}
