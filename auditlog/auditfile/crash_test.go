package auditfile_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/gateway18789/caddy-ollama/auditlog/auditfile"
)

// liveUntilKilled is a process that serves requests until it is killed. What it knows of
// them goes to a file of its own: that a request is about to begin, has begun, and has
// its record.
func liveUntilKilled(path string) {
	diary, err := os.OpenFile(os.Getenv("DIARY"), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		panic(err)
	}
	note := func(format string, args ...any) {
		if _, err := fmt.Fprintf(diary, format+"\n", args...); err != nil {
			panic(err)
		}
	}
	c, err := tryLoad(config(path, `"roll_size":65536`))
	if err != nil {
		panic(err)
	}
	var workers sync.WaitGroup
	for worker := range 8 {
		workers.Go(func() {
			for n := 0; ; n++ {
				id := fmt.Sprintf("%d/%d/%d", os.Getpid(), worker, n)
				note("coming %s", id)
				begun, err := c.files.Begin(auditfile.Request{Start: time.Now(), RequestID: id})
				if err != nil {
					panic(err)
				}
				note("begun %s", id)
				if worker%2 == 0 {
					time.Sleep(time.Duration(rand.IntN(5)) * time.Millisecond) // others are quick
				}
				c.logger.Info("", zap.String("http.request.id", id), zap.String("event.outcome", "success"), begun.Field())
				note("done %s", id)
				begun.End()
			}
		})
	}
	workers.Wait()
}

func TestAProcessThatIsKilledLeavesOneRecordOfEveryRequest(t *testing.T) {
	if testing.Short() {
		t.Skip("it kills a writer again and again, for some seconds; run without -short")
	}
	path := newPath(t)
	diary := filepath.Join(t.TempDir(), "diary")
	for range 20 {
		child := exec.Command(os.Args[0], "-test.run=^$")
		child.Env = append(os.Environ(), "AUDIT_FILE_TO_DIE_OVER="+path, "DIARY="+diary)
		child.Stderr = os.Stderr
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		size := func() int64 {
			if info, err := os.Stat(diary); err == nil {
				return info.Size()
			}
			return 0
		}
		for before, start := size(), time.Now(); size() == before; time.Sleep(time.Millisecond) {
			if time.Since(start) > 20*time.Second {
				_ = child.Process.Kill()
				_ = child.Wait()
				t.Fatal("the process serves nothing")
			}
		}
		time.Sleep(time.Duration(rand.IntN(150)) * time.Millisecond) // so that it dies at another point each time
		if err := child.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = child.Wait()
	}
	load(t, config(path)).end() // closes what the last one has left

	records := make(map[string][]string)
	unknown := 0
	for _, line := range audit(t, path, "") {
		switch action := line["event.action"]; action {
		case nil:
			id := line["http.request.id"].(string)
			outcome := line["event.outcome"].(string)
			records[id] = append(records[id], outcome)
			if outcome == "unknown" {
				unknown++
			}
		case "audit-file-opened", "audit-line-cut":
		default:
			t.Errorf("the log tells of %v: %v", action, line["event.reason"])
		}
	}
	text, err := os.ReadFile(diary)
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]string)
	for _, entry := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		what, id, _ := strings.Cut(entry, " ")
		seen[id] = what
	}
	begun := 0
	for id, what := range seen {
		got := records[id]
		switch {
		case what == "coming" && len(got) == 0: // nobody can say whether it has begun
		case len(got) != 1:
			t.Errorf("request %s (%s) has records %v", id, what, got)
		case what == "done" && got[0] != "success":
			t.Errorf("request %s is done, its record says %s", id, got[0])
		}
		if what != "coming" {
			begun++
		}
	}
	for id := range records {
		if seen[id] == "" {
			t.Errorf("a record of %s, which never was", id)
		}
	}
	t.Logf("%d requests begun, %d records, %d of them closed after a crash, %d files",
		begun, len(records), unknown, len(files(t, path)))
	if unknown == 0 || begun < 100 {
		t.Error("that proves nothing")
	}
}
