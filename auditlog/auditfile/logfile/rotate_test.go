package logfile

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap/zapcore"
)

func TestAFileIsRotatedAtMidnightUTC(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(10 * time.Minute) // the test's time begins at midnight
		path := newPath(t)
		log := start(t, path, standard(), nil)
		log.write(t, numbered(1)...)
		time.Sleep(24*time.Hour - 11*time.Minute)
		synctest.Wait()
		if got := names(t, path); len(got) > 0 {
			t.Errorf("before midnight there are %v", got)
		}
		time.Sleep(time.Minute + time.Second)
		synctest.Wait()
		if got := names(t, path); !slices.Equal(got, []string{"audit-20000101T001000.000Z.log"}) {
			t.Errorf("after midnight there are %v", got)
		}
		log.write(t, numbered(1)...)
		log.close(t)
		expectStory(t, audit(t, path, nil), "created 1 rotated 1")
	})
}

func TestDaysWithoutRecordsMakeNoFiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := newPath(t)
		log := start(t, path, standard(), nil)
		time.Sleep(72 * time.Hour)
		synctest.Wait()
		if got := names(t, path); len(got) > 0 {
			t.Errorf("there are %v", got)
		}
		log.write(t, numbered(1)...)
		time.Sleep(time.Second)
		log.close(t)
	})
}

func TestWithoutRollDailyMidnightChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := newPath(t)
		options := standard()
		options.RollDaily = false
		log := start(t, path, options, nil)
		log.write(t, numbered(1)...)
		time.Sleep(72 * time.Hour)
		synctest.Wait()
		log.close(t)
		if got := names(t, path); len(got) > 0 {
			t.Errorf("there are %v", got)
		}
	})
}

func TestAFileIsRotatedAtItsSize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := newPath(t)
		options := standard()
		options.RollSize = 1000
		log := start(t, path, options, nil)
		for range 50 {
			log.write(t, numbered(1)...)
			synctest.Wait() // all files begin at one time, as the clock stands still
		}
		log.close(t)
		lines := audit(t, path, nil)
		if n := len(with(lines, "n")); n != 50 {
			t.Errorf("%d records, want 50", n)
		}
		rotated := names(t, path)
		if len(rotated) < 5 {
			t.Fatalf("rotated: %v", rotated)
		}
		for _, name := range rotated {
			info, err := os.Stat(filepath.Join(filepath.Dir(path), name))
			if err != nil || info.Size() < 1000 || info.Size() > 1300 {
				t.Errorf("%s has %d bytes (%v)", name, info.Size(), err)
			}
		}
	})
}

func TestTheOrderOfFilesIsThatOfTheChain(t *testing.T) {
	path := newPath(t)
	options := standard()
	options.RollSize = 1
	log := start(t, path, options, nil)
	for range 3 {
		before := log.current()
		log.write(t, numbered(1)...)
		waitFor(t, "rotation", func() bool { return log.current() != before })
	}
	log.close(t)
	// as if the clock had been set back by a year after the first file
	found, err := segments(path)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range found[1:] {
		if err := os.Rename(s.name, segmentName(path, time.Now().AddDate(-1, i, 0))); err != nil {
			t.Fatal(err)
		}
	}
	expectStory(t, audit(t, path, nil), "created 1 rotated 1 rotated 1 rotated")
}

func TestARotationThatFailsLeavesAllAsItWas(t *testing.T) {
	for _, test := range []struct {
		name string
		fail func(d *disk)
	}{
		{"no room for the first line", func(d *disk) { d.set(10, nil) }},
		{"the new file cannot be opened", func(d *disk) { d.set(-1, os.ErrPermission) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				path := newPath(t)
				d := &disk{room: -1}
				log := start(t, path, standard(), d)
				log.write(t, numbered(2)...)
				time.Sleep(time.Second)
				synctest.Wait()
				before := log.current()
				test.fail(d)
				if err := log.rotate(); err == nil {
					t.Fatal("it was rotated")
				}
				if after := log.current(); after != before {
					t.Errorf("the file began at %v, before %v", after, before)
				}
				d.set(-1, nil)
				log.write(t, numbered(1)...)
				if err := log.rotate(); err != nil {
					t.Error(err)
				}
				log.write(t, numbered(1)...)
				log.close(t)
				expectStory(t, audit(t, path, nil), "created 1 2 1 rotated 1")
			})
		})
	}
}

func TestRotatedFilesAreCompressedAlsoAfterACrash(t *testing.T) {
	path := newPath(t)
	log := start(t, path, standard(), nil)
	for range 2 {
		log.write(t, numbered(100)...)
		if err := log.rotate(); err != nil {
			t.Fatal(err)
		}
	}
	log.close(t)
	want := story(audit(t, path, nil))
	// one was not begun, one was done but for deleting the original, and half a file
	found, _ := segments(path)
	content := read(t, found[0].name)
	if err := compress(found[0].name, nil); err != nil {
		t.Fatal(err)
	}
	overwrite(t, found[0].name, content)
	overwrite(t, found[1].name+".gz.tmp", "half")

	options := standard()
	options.Gzip = true
	log = start(t, path, options, nil)
	waitFor(t, "compressed files", func() bool {
		left := names(t, path)
		return len(left) == 2 && !slices.ContainsFunc(left, func(name string) bool { return !strings.HasSuffix(name, ".log.gz") })
	})
	log.close(t)
	expectStory(t, audit(t, path, nil), want+" restarted")
}

func TestCompressingStopsWithTheLog(t *testing.T) {
	path := newPath(t)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	overwrite(t, path, strings.Repeat("x", 1<<20))
	stop := make(chan struct{})
	close(stop)
	if err := compress(path, stop); err == nil {
		t.Error("it went on")
	}
	if got := names(t, path); len(got) > 0 {
		t.Errorf("it left %v", got)
	}
	if !exists(path) {
		t.Error("the original is gone")
	}
}

func TestAFileIsKeptUntilItsNewestRecordIsTooOld(t *testing.T) {
	const day = 24 * time.Hour
	synctest.Test(t, func(t *testing.T) {
		path := newPath(t)
		options := standard()
		options.Retention = 10 * day
		options.Gzip = true
		log := start(t, path, options, nil)
		defer log.close(t)
		for d := range 40 {
			log.write(t, fmt.Sprintf(`{"n":%d}`, d))
			time.Sleep(day)
			synctest.Wait()
			// whatever the times of the files: copies have new ones, and touch makes old ones
			for _, name := range names(t, path) {
				full := filepath.Join(filepath.Dir(path), name)
				if err := os.Chtimes(full, time.Unix(0, 0), time.Unix(0, 0)); err != nil {
					t.Fatal(err)
				}
			}
			lines := audit(t, path, nil)
			oldest := int(with(lines, "n")[0].(float64))
			// The record of day n was written at its beginning, its file ended with it.
			if age := d + 1 - oldest; age > 12 || d > 11 && age < 10 {
				t.Errorf("after day %d the oldest record is of day %d", d, oldest)
			}
			if head, err := readHead(path + ".head"); err != nil || float64(head.First) != lines[0]["event.sequence"] {
				t.Errorf("the head begins with %d (%v), the log with %v", head.First, err, lines[0]["event.sequence"])
			}
		}
	})
}

func TestWhatIsTooOldIsDeletedAtStartToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := newPath(t)
		log := start(t, path, standard(), nil)
		log.write(t, numbered(1)...)
		time.Sleep(25 * time.Hour)
		synctest.Wait()
		log.write(t, numbered(1)...)
		log.close(t)
		stranger := filepath.Join(filepath.Dir(path), "audit-notes.log")
		overwrite(t, stranger, "mine")
		time.Sleep(365 * 24 * time.Hour)
		log = start(t, path, standard(), nil)
		synctest.Wait()
		log.close(t)
		// the file of the second day ends only now
		expectStory(t, audit(t, path, nil), "rotated 1 restarted rotated")
		if !exists(stranger) {
			t.Error("a file of somebody else was deleted")
		}
		if told := log.at(zapcore.ErrorLevel); len(told) > 0 {
			t.Errorf("told: %q", told)
		}
	})
}

// A file's newest record may bear a later time than the next file, if the clock was set
// back between.
func TestAClockThatWasSetBackDeletesNothingEarlier(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(day int) opened { return opened{at: start.AddDate(0, 0, day)} }
	rotated := func(days ...int) (found []segment) {
		for _, day := range days {
			var s segment
			s.opening.Time = at(day).at
			found = append(found, s)
		}
		return found
	}
	for _, test := range []struct {
		name    string
		rotated []segment
		current int
		want    []int
	}{
		{"each ends when the next begins", rotated(1, 2, 5), 7, []int{2, 5, 7}},
		{"the clock was set back", rotated(100, 2, 5), 7, []int{100, 5, 7}},
		{"the clock was set back just now", rotated(1, 2, 50), 7, []int{2, 50, 50}},
	} {
		t.Run(test.name, func(t *testing.T) {
			for i, want := range test.want {
				if got := newest(test.rotated, i, at(test.current)); !got.Equal(at(want).at) {
					t.Errorf("file %d ends %v, want %v", i, got, at(want).at)
				}
			}
		})
	}
}

func TestNoFileIsRotatedOverAnother(t *testing.T) {
	path := newPath(t)
	log := start(t, path, standard(), nil)
	defer log.close(t)
	began := log.current().at
	for _, taken := range []string{segmentName(path, began), segmentName(path, began.Add(time.Millisecond)) + ".gz"} {
		overwrite(t, taken, "x")
	}
	if got, want := log.freeSegmentName(), segmentName(path, began.Add(2*time.Millisecond)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
