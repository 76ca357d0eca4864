package integration

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// tab is a page in a headless Chromium.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex
	troubles []string // errors, and what its policy forbade
}

// look is how a page is looked at.
type look struct {
	name   string
	width  int64
	height int64
	scheme string // of colours: light or dark
}

var looks = []look{
	{"desktop, light", 1280, 900, "light"},
	{"desktop, dark", 1280, 900, "dark"},
	{"phone, light", 390, 844, "light"},
	{"phone, dark", 390, 844, "dark"},
}

// openTab starts a Chromium with an empty page. Without one the test is skipped.
func openTab(t *testing.T, l look) *tab {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a browser; run without -short")
	}
	program, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("needs chromium, which is not here")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.UserDataDir(t.TempDir()))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	ctx, _ = chromedp.NewContext(ctx)
	b := &tab{t: t, ctx: ctx}
	if err := chromedp.Listen(ctx, b.listen); err != nil { // which starts it
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := chromedp.Cancel(ctx); err != nil {
			t.Log(err)
		}
	})
	if _, err := chromedp.Call(ctx, log.Enable, cdp.Empty{}); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: l.scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}}); err != nil {
		t.Fatal(err)
	}
	var kind []chromedp.EmulateViewportOption
	if l.width < 600 {
		kind = append(kind, chromedp.EmulateMobile)
	}
	b.do(chromedp.EmulateViewport(l.width, l.height, kind...))
	return b
}

func (b *tab) listen(event any) {
	trouble := ""
	switch e := event.(type) {
	case *log.EventEntryAdded:
		trouble = fmt.Sprintf("%s: %s %s", e.Entry.Level, e.Entry.Text, e.Entry.URL)
	case *runtime.EventConsoleAPICalled:
		trouble = fmt.Sprintf("console.%s: %v", e.Type, e.Args)
	case *runtime.EventExceptionThrown:
		trouble = fmt.Sprint(e.ExceptionDetails)
	default:
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.troubles = append(b.troubles, trouble)
}

// takeTroubles are what the browser has complained of since it was asked last.
func (b *tab) takeTroubles() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	troubles := b.troubles
	b.troubles = nil
	return troubles
}

func (b *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	get(b, chromedp.Steps(actions...))
}

// get is what an action comes to, which must not take for ever.
func get[T any](b *tab, action chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 30*time.Second)
	defer cancel()
	value, err := chromedp.Run(ctx, action)
	if err != nil {
		b.t.Fatalf("the browser: %v; it says %q", err, b.takeTroubles())
	}
	return value
}

// eval is what a piece of JavaScript comes to.
func eval[T any](b *tab, script string) (value T) {
	b.t.Helper()
	return get(b, chromedp.Evaluate[T](script))
}

// await waits until a piece of JavaScript is true.
func (b *tab) await(what, script string) {
	b.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !eval[bool](b, script) {
		if time.Now().After(deadline) {
			b.t.Fatalf("waited in vain for %s (%s); the page says:\n%s\nthe browser says %q",
				what, script, eval[string](b, "document.body.innerText"), b.takeTroubles())
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// picture takes one, if somebody wants to look: CONSOLE_PICTURES names the folder.
func (b *tab) picture(name string) {
	dir := os.Getenv("CONSOLE_PICTURES")
	if dir == "" {
		return
	}
	writeFile(b.t, filepath.Join(dir, strings.ReplaceAll(name, ", ", "-")+".png"), get(b, chromedp.FullScreenshot(100)))
}
