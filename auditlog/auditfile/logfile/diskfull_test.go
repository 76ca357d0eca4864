package logfile

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap/zapcore"
)

// troubles are the beginnings and ends of trouble that the operator was told of.
func (l testLog) troubles() string {
	var story []string
	for _, entry := range l.told.All() {
		switch entry.Message {
		case "the audit log cannot be written":
			story = append(story, "begins: "+fmt.Sprint(entry.ContextMap()["error"]))
		case "the audit log is written again":
			story = append(story, "ends")
		}
	}
	return strings.Join(story, ", ")
}

func TestAFullDiskRefusesRequestsAndLosesNoRecord(t *testing.T) {
	for name, room := range map[string]int{"in the middle of a line": 50, "between two lines": 0} {
		for _, each := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, durable each %v", name, each), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					path := newPath(t)
					options := standard()
					options.FsyncEach = each
					d := &disk{room: -1}
					log := start(t, path, options, d)
					log.write(t, numbered(2)...)
					inFlight, err := log.Begin(Request{ID: "x-1"})
					if err != nil {
						t.Fatal(err)
					}

					d.set(room, nil)
					log.write(t, `{"n":3}`, `{"n":4}`) // of requests in flight: they wait
					log.End(inFlight)
					if _, err := log.Begin(Request{ID: "x-2"}); !errors.Is(err, syscall.ENOSPC) {
						t.Errorf("a request that begins gets %v", err)
					}
					time.Sleep(5 * time.Second)
					synctest.Wait()
					if _, err := log.Begin(Request{ID: "x-3"}); !errors.Is(err, syscall.ENOSPC) {
						t.Errorf("a request that begins later gets %v", err)
					}
					if told := log.troubles(); told != "begins: "+syscall.ENOSPC.Error() {
						t.Errorf("the operator was told: %s", told)
					}
					if errs := log.at(zapcore.ErrorLevel); len(errs) != 1 {
						t.Errorf("the operator was told %q", errs)
					}
					contains(t, read(t, path+".inflight"), `+{"event.id":"x-1"`) // its record is not there yet

					d.set(-1, nil)
					time.Sleep(2 * time.Second)
					synctest.Wait()
					slot, err := log.Begin(Request{ID: "x-4"})
					if err != nil {
						t.Error("when there is room again:", err)
					}
					log.write(t, `{"n":5}`)
					log.End(slot)
					if told := log.troubles(); told != "begins: "+syscall.ENOSPC.Error()+", ends" {
						t.Errorf("the operator was told: %s", told)
					}
					log.close(t)
					lines := audit(t, path, nil)
					expectStory(t, lines, "created 1 2 3 4 audit-write-resumed 5")
					if late, lost := with(lines, "labels.late"), with(lines, "labels.lost"); late[0] != 2.0 || lost[0] != 0.0 {
						t.Errorf("late %v, lost %v", late, lost)
					}
					if strings.Contains(read(t, path+".inflight"), "+{") {
						t.Error("a request is still in flight")
					}
				})
			})
		}
	}
}

func TestWithContinueAFullDiskServesAndCountsWhatIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := newPath(t)
		options := standard()
		options.Refuse = false
		d := &disk{room: -1}
		log := start(t, path, options, d)
		d.set(0, nil)
		line := `{"x":"` + strings.Repeat("x", 1<<20) + `"}`
		lost := 0
		for range 6 {
			slot, err := log.Begin(Request{ID: "x-1"})
			if err != nil {
				t.Error(err)
			}
			if _, err := log.Write([]byte(line)); err != nil {
				lost++
			}
			log.End(slot)
		}
		if lost != 3 || log.Lost() != 3 {
			t.Errorf("%d of 6 MiB did not fit into 4 MiB, %d counted", lost, log.Lost())
		}
		d.set(-1, nil)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if log.backlog.size != 0 || len(log.backlog.lines) != 0 {
			t.Errorf("%d bytes still wait", log.backlog.size)
		}
		log.close(t)
		lines := audit(t, path, nil)
		if n := len(with(lines, "x")); n != 3 {
			t.Errorf("%d lines were written late", n)
		}
		if lost := with(lines, "labels.lost"); len(lost) != 1 || lost[0] != 3.0 {
			t.Errorf("the log tells that %v lines were lost", lost)
		}
	})
}

func TestAnyFailureOfTheDiskIsNoticed(t *testing.T) {
	for _, test := range []struct {
		name string
		only string // the files that fail
		cut  bool
	}{
		{"everything", "", false},
		{"everything, and half a line cannot be removed", "", true},
		{"the journal", ".inflight", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				path := newPath(t)
				d := &disk{room: -1, only: test.only}
				log := start(t, path, standard(), d)
				log.write(t, numbered(1)...)
				d.set(20, nil)
				if test.cut {
					d.cut = true
				} else {
					d.set(0, syscall.EIO)
				}
				_, _ = log.Begin(Request{ID: "x-1"})
				log.write(t, `{"n":2}`)
				if _, err := log.Begin(Request{ID: "x-2"}); err == nil {
					t.Error("a request begins")
				}
				d.set(-1, nil)
				d.mu.Lock()
				d.cut = false
				d.mu.Unlock()
				time.Sleep(2 * time.Second)
				synctest.Wait()
				if told := log.troubles(); strings.Count(told, "begins") != 1 || !strings.HasSuffix(told, ", ends") {
					t.Errorf("the operator was told: %s", told)
				}
				log.close(t)
				lines := audit(t, path, nil)
				if n := len(with(lines, "n")); n != 2 {
					t.Errorf("%d records, want 2, in: %s", n, story(lines))
				}
			})
		})
	}
}

func TestASyncThatFailsRefusesRequestsUntilOneSucceeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := newPath(t)
		d := &disk{room: -1, only: ".log"}
		log := start(t, path, standard(), d)
		log.write(t, numbered(1)...)
		d.set(-1, syscall.EIO)
		time.Sleep(100 * time.Millisecond) // the interval of fsync is over
		synctest.Wait()
		if log.Trouble() == nil {
			t.Error("nothing was noticed")
		}
		d.set(-1, nil)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if err := log.Trouble(); err != nil {
			t.Error("it has not ended:", err)
		}
		if told := log.troubles(); strings.Count(told, "begins") != 1 || !strings.HasSuffix(told, ", ends") {
			t.Errorf("the operator was told: %s", told)
		}
		log.close(t)
		audit(t, path, nil)
	})
}

func TestWithAFullDiskALogStartsOnlyIfItMayContinue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := newPath(t)
		options := standard()
		d := &disk{room: 0}
		if _, err := tryStart(path, options, d); !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("got %v", err)
		}
		options.Refuse = false
		log := start(t, path, options, d)
		log.write(t, numbered(1)...)
		d.set(-1, nil)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		log.close(t)
		expectStory(t, audit(t, path, nil), "created 1 audit-write-resumed")
	})
}

func TestALogThatIsClosedOnAFullDiskTellsWhatIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := newPath(t)
		d := &disk{room: -1}
		log := start(t, path, standard(), d)
		slot, err := log.Begin(Request{ID: "x-1"})
		if err != nil {
			t.Fatal(err)
		}
		d.set(0, nil)
		log.write(t, numbered(1)...)
		log.End(slot)
		log.close(t)
		contains(t, strings.Join(log.at(zapcore.ErrorLevel), "; "), "closed without the lines")
		// its record is lost, but not that it was there
		log = start(t, path, standard(), nil)
		log.close(t)
		lines := audit(t, path, nil)
		expectStory(t, lines, "created restarted crash")
		if id := with(lines, "event.id"); len(id) != 1 || id[0] != "x-1" {
			t.Errorf("the request is %v", id)
		}
	})
}

// The same once more with a real disk that is full.
func TestARealFullDisk(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can mount a small disk")
	}
	folder := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder).CombinedOutput(); err != nil {
		t.Skipf("no small disk can be mounted here: %v, %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", folder).CombinedOutput(); err != nil {
			t.Errorf("unmounting: %v, %s", err, out)
		}
	})
	path := filepath.Join(folder, "audit.log")
	log := start(t, path, standard(), nil)
	served, refused := 0, 0
	for i := range 1000 {
		slot, err := log.Begin(Request{ID: fmt.Sprintf("x-%d", i)})
		if err != nil {
			if !errors.Is(err, syscall.ENOSPC) {
				t.Fatal(err)
			}
			refused++
			continue
		}
		served++
		log.write(t, fmt.Sprintf(`{"n":%d,"x":"%s"}`, i, strings.Repeat("x", 300)))
		log.End(slot)
	}
	if served == 0 || refused == 0 {
		t.Fatalf("%d served, %d refused", served, refused)
	}
	// somebody makes room
	makeRoom(t, folder)
	waitFor(t, "end of the trouble", func() bool { return log.Trouble() == nil })
	log.close(t)
	lines := audit(t, path, nil)
	if n := len(with(lines, "n")); n != served {
		t.Errorf("%d records of %d served requests", n, served)
	}
}

func makeRoom(t *testing.T, folder string) {
	t.Helper()
	if out, err := exec.Command("mount", "-o", "remount,size=1m", folder).CombinedOutput(); err != nil {
		t.Fatalf("%v, %s", err, out)
	}
}
