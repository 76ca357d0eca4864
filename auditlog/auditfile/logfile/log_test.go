package logfile

import (
	"crypto/ed25519"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap/zapcore"
)

func newPath(t *testing.T) string { return filepath.Join(t.TempDir(), "log", "audit.log") }

func TestALogGoesOnOverRestarts(t *testing.T) {
	path := newPath(t)
	public, private, _ := ed25519.GenerateKey(nil)
	options := standard()
	options.SignKey = private
	for range 3 {
		log := start(t, path, options, nil)
		log.write(t, numbered(2)...)
		log.close(t)
	}
	lines := audit(t, path, public)
	expectStory(t, lines, "created 1 2 restarted 1 2 restarted 1 2")
	for i, line := range lines {
		if line["event.sequence"] != float64(i+1) {
			t.Errorf("line %d has number %v", i+1, line["event.sequence"])
		}
	}
}

func TestOnlyItsOwnerCanReadTheLog(t *testing.T) {
	path := newPath(t)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o644); err != nil { // as a shell would have made it
		t.Fatal(err)
	}
	options := standard()
	options.Gzip = true
	options.RollSize = 1
	log := start(t, path, options, nil)
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
		t.Errorf("what was there already has mode %v", info.Mode())
	}
	log.write(t, numbered(1)...)
	waitFor(t, "a compressed file", func() bool { return strings.HasSuffix(strings.Join(names(t, path), " "), ".gz") })
	log.close(t)
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if info, _ := entry.Info(); info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", entry.Name(), info.Mode())
		}
	}
	if info, _ := os.Stat(filepath.Dir(path)); info.Mode().Perm() != 0o700 {
		t.Errorf("the folder has mode %v", info.Mode())
	}
}

// waitFor waits for what a goroutine does with files, which no bubble can wait for.
func waitFor(t *testing.T, what string, there func() bool) {
	t.Helper()
	for start := time.Now(); !there(); time.Sleep(time.Millisecond) {
		if time.Since(start) > 20*time.Second {
			t.Fatalf("no %s", what)
		}
	}
}

func TestLinesOfManyWritersAreOneChain(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"made durable each":     func(o *Options) { o.Fsync, o.FsyncEach = 0, true },
		"made durable together": func(o *Options) { o.Fsync = time.Millisecond },
		"left to the system":    func(o *Options) { o.Fsync = 0 },
	} {
		t.Run(name, func(t *testing.T) {
			path := newPath(t)
			options := standard()
			options.RollSize = 4 << 10 // so that there are many files
			options.Gzip = true
			change(&options)
			log := start(t, path, options, nil)
			var writers sync.WaitGroup
			for range 8 {
				writers.Go(func() {
					for _, line := range numbered(50) {
						slot, err := log.Begin(Request{ID: "x-1"})
						if err != nil {
							t.Error(err)
						}
						if _, err := log.Write([]byte(line)); err != nil {
							t.Error(err)
						}
						log.End(slot)
					}
				})
			}
			writers.Wait()
			// rotation comes after the line that makes it due
			for end := time.Now().Add(10 * time.Second); len(names(t, path)) == 0 && time.Now().Before(end); {
				time.Sleep(time.Millisecond)
			}
			log.close(t)
			lines := audit(t, path, nil)
			if n := len(with(lines, "n")); n != 400 {
				t.Errorf("%d of 400 records are there", n)
			}
			if len(names(t, path)) == 0 {
				t.Error("no file was rotated")
			}
		})
	}
}

func TestTheHeadFollowsWithinASecond(t *testing.T) {
	for name, every := range map[string]time.Duration{"made durable": 50 * time.Millisecond, "left to the system": 0} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				path := newPath(t)
				options := standard()
				options.Fsync = every
				log := start(t, path, options, nil)
				defer log.close(t)
				for range 3 {
					log.write(t, numbered(1)...)
					time.Sleep(time.Second)
					synctest.Wait()
					if head, err := readHead(path + ".head"); err != nil || head.Sequence != log.Sequence() {
						t.Errorf("the head is %+v (%v) at line %d", head, err, log.Sequence())
					}
				}
			})
		})
	}
}

func TestAnIdleLogDoesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := newPath(t)
		log := start(t, path, standard(), nil)
		log.write(t, numbered(1)...)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		log.mu.Lock()
		awake := log.awake
		log.mu.Unlock()
		if awake {
			t.Error("the keeper is awake with nothing to do")
		}
		log.close(t)
	})
}

func TestALineThatIsNoObjectIsKeptAsATextAndRequestsAreRefused(t *testing.T) {
	path := newPath(t)
	log := start(t, path, standard(), nil)
	if _, err := log.Write([]byte("2026 INFO \"request\"\n")); err == nil {
		t.Error("console format was taken")
	} else {
		contains(t, err.Error(), "use format json or ecs")
	}
	if _, err := log.Begin(Request{ID: "x-1"}); err == nil {
		t.Error("a request begins though its record will be of no use")
	}
	log.write(t, numbered(1)...)
	if slot, err := log.Begin(Request{ID: "x-1"}); err != nil {
		t.Error("with a line that is good it goes on, but:", err)
	} else {
		log.End(slot)
	}
	log.close(t)
	lines := audit(t, path, nil)
	expectStory(t, lines, "created audit-line-unfit 1")
	if text := with(lines, "message"); text[0] != "2026 INFO \"request\"\n" {
		t.Errorf("the line is kept as %q", text)
	}
}

func TestWithOtherOptionsTheFormatMayBeGood(t *testing.T) {
	path := newPath(t)
	log := start(t, path, standard(), nil)
	if _, err := log.Write([]byte("2026 INFO request")); err == nil {
		t.Error("console format was taken")
	}
	log.SetOptions(standard())
	if err := log.Trouble(); err != nil {
		t.Error(err)
	}
	log.close(t)
}

func TestAClosedLogTakesNothing(t *testing.T) {
	path := newPath(t)
	log := start(t, path, standard(), nil)
	log.close(t)
	if _, err := log.Write([]byte(`{"n":1}`)); err != ErrClosed {
		t.Errorf("got %v", err)
	}
	expectStory(t, audit(t, path, nil), "created")
}

func TestOneProcessOnlyWritesALog(t *testing.T) {
	path := newPath(t)
	log := start(t, path, standard(), nil)
	synctest.Test(t, func(t *testing.T) { // nobody waits for the lock in earnest
		_, err := tryStart(path, standard(), nil)
		if err == nil {
			t.Fatal("two have opened the log")
		}
		contains(t, err.Error(), fmt.Sprintf("another process (pid %d) writes this audit log", os.Getpid()))
	})
	log.write(t, numbered(1)...)
	log.close(t)
	log = start(t, path, standard(), nil)
	log.close(t)
	expectStory(t, audit(t, path, nil), "created 1 restarted")
}

func TestChangedOptionsCountAtOnce(t *testing.T) {
	path := newPath(t)
	public, private, _ := ed25519.GenerateKey(nil)
	log := start(t, path, standard(), nil)
	log.write(t, numbered(2)...)
	options := standard()
	options.RollSize = 1
	options.SignKey = private
	log.SetOptions(options)
	waitFor(t, "rotated file", func() bool { return len(names(t, path)) > 0 })
	log.close(t)
	lines := audit(t, path, public)
	contains(t, story(lines), HeadKeyChanged)
}

func TestAFileOfSomebodyElseIsLeftAlone(t *testing.T) {
	for name, content := range map[string]string{
		"lines of Caddy's own writer": `{"level":"info","msg":"x"}` + "\n",
		"text":                        "hello\nworld\n",
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "audit.log")
			overwrite(t, path, content)
			if _, err := tryStart(path, standard(), nil); err == nil {
				t.Fatal("it was opened")
			} else {
				contains(t, err.Error(), "move it away, or name another file")
			}
			if got := read(t, path); got != content {
				t.Errorf("it was changed to %q", got)
			}
		})
	}
	t.Run("a link", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "audit.log")
		if err := os.Symlink(path+".elsewhere", path); err != nil {
			t.Fatal(err)
		}
		if _, err := tryStart(path, standard(), nil); err == nil {
			t.Fatal("it was opened")
		}
	})
}

func TestTheOperatorIsToldOnlyWhenSomethingIsWrong(t *testing.T) {
	path := newPath(t)
	for range 2 {
		log := start(t, path, standard(), nil)
		log.write(t, numbered(3)...)
		log.close(t)
		if told := append(log.at(zapcore.WarnLevel), log.at(zapcore.ErrorLevel)...); len(told) > 0 {
			t.Errorf("told: %q", told)
		}
	}
}
