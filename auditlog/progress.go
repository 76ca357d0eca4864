package auditlog

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"golang.org/x/term"
)

// progress shows how far the files have been read, on a terminal and nowhere else.
type progress struct {
	w     io.Writer
	total int64
	start time.Time
	last  time.Time // when it was shown
	now   func() time.Time
}

// redrawEvery is how often it changes.
const redrawEvery = 100 * time.Millisecond

// newProgress is nil where nobody watches.
func newProgress(w io.Writer, names []string) *progress {
	file, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return nil
	}
	p := &progress{w: w, now: time.Now}
	for _, name := range names {
		if info, err := os.Stat(name); err == nil {
			p.total += info.Size()
		}
	}
	return p
}

// show shows that so many bytes have been read.
func (p *progress) show(bytes int64) {
	if p == nil {
		return
	}
	now := p.now()
	if p.start.IsZero() {
		p.start, p.last = now, now // what takes no time needs no bar
	}
	if now.Sub(p.last) < redrawEvery {
		return
	}
	p.last = now
	fmt.Fprintf(p.w, "\r%s\x1b[K", bar(bytes, p.total, now.Sub(p.start)))
}

// clear takes it away.
func (p *progress) clear() {
	if p != nil && p.last != p.start {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}

// bar is how far it is, and how fast.
func bar(done, total int64, elapsed time.Duration) string {
	const width = 30
	done = min(done, total) // a file may have grown meanwhile
	part := 1.0
	if total > 0 {
		part = float64(done) / float64(total)
	}
	full := int(part * width)
	text := fmt.Sprintf("[%s%s] %3.0f%% %s of %s", strings.Repeat("=", full), strings.Repeat(" ", width-full),
		part*100, humanize.Bytes(uint64(done)), humanize.Bytes(uint64(total)))
	if elapsed > 0 && done > 0 {
		perSecond := float64(done) / elapsed.Seconds()
		text += fmt.Sprintf(" %s/s", humanize.Bytes(uint64(perSecond)))
		if left := time.Duration(float64(total-done) / perSecond * float64(time.Second)); left >= time.Second {
			text += fmt.Sprintf(" %s left", left.Round(time.Second))
		}
	}
	return text
}
