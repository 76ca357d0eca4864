package logfile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// marks are how the slots of a journal begin.
func marks(t *testing.T, name string) (marks string) {
	t.Helper()
	content := read(t, name)
	for at := 0; at < len(content); at += slotSize {
		marks += content[at : at+1]
	}
	return marks
}

func TestOnlySlotsThatNobodyTakesAreSettled(t *testing.T) {
	name := filepath.Join(t.TempDir(), "inflight")
	j, _, _, err := openJournal(name, openFile)
	if err != nil {
		t.Fatal(err)
	}
	defer j.file.Close()
	begin := func() int {
		slot, err := j.begin(&request)
		if err != nil {
			t.Fatal(err)
		}
		return slot
	}
	expect := func(when, want string) {
		t.Helper()
		if got := marks(t, name); got != want {
			t.Errorf("%s: %s, want %s", when, got, want)
		}
		if j.unsettled() != (j.stale > 0) || j.stale < 0 {
			t.Errorf("%s: %d are stale", when, j.stale)
		}
	}
	begin()
	second, third := begin(), begin()
	j.end(second)
	j.end(third)
	expect("as they have ended", "+++")
	if begin() != third {
		t.Error("the slot that was freed last is not the next one")
	}
	j.settle()
	expect("settled, when one of them is taken", "+-+")
	if j.unsettled() {
		t.Error("there is something left to settle")
	}
	change := j.changes()
	j.settle()
	if j.changes() != change {
		t.Error("what is settled is settled again")
	}
	begin()
	expect("taken again", "+++")
}

func TestALogSettlesItsJournal(t *testing.T) {
	for _, durable := range []time.Duration{0, 50 * time.Millisecond} {
		t.Run(fmt.Sprint("fsync ", durable), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				path, options := newPath(t), standard()
				options.Fsync = durable
				log := start(t, path, options, nil)
				slot, err := log.Begin(request)
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Hour) // the log rests
				synctest.Wait()
				if got := marks(t, path+".inflight"); got != "+" {
					t.Errorf("in flight: %s", got)
				}
				log.End(slot)
				time.Sleep(2 * headEvery)
				synctest.Wait()
				if got := marks(t, path+".inflight"); got != "-" {
					t.Errorf("some time after the end, without a line: %s", got)
				}
				log.close(t)
			})
		})
	}
}

func TestALogThatIsClosedAtOnceHasSettledItsJournal(t *testing.T) {
	path := newPath(t)
	log := start(t, path, standard(), nil)
	slot, err := log.Begin(request)
	if err != nil {
		t.Fatal(err)
	}
	log.End(slot)
	log.close(t)
	if got := marks(t, path+".inflight"); got != "-" {
		t.Errorf("closed: %s", got)
	}
}

func TestAProcessThatDiesBeforeTheJournalIsSettledDoublesNothing(t *testing.T) {
	path := newPath(t)
	log := start(t, path, standard(), nil)
	slot, err := log.Begin(request)
	if err != nil {
		t.Fatal(err)
	}
	log.write(t, `{"n":1,"event.id":"`+request.ID+`"}`)
	log.End(slot)
	log.crash(t)
	if got := marks(t, path+".inflight"); got != "+" {
		t.Fatalf("it was settled already: %s", got)
	}
	for range 2 {
		start(t, path, standard(), nil).close(t)
	}
	expectStory(t, audit(t, path, nil), "created 1 restarted restarted")
}

func TestWhatCannotBeSettledIsSettledLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path, d := newPath(t), &disk{room: -1, only: ".inflight"}
		log := start(t, path, standard(), d)
		slot, err := log.Begin(request)
		if err != nil {
			t.Fatal(err)
		}
		log.write(t, `{"n":1}`)
		log.End(slot)
		d.set(-1, syscall.EIO)
		time.Sleep(2 * headEvery)
		synctest.Wait()
		if got := marks(t, path+".inflight"); got != "+" {
			t.Errorf("while the journal cannot be written: %s", got)
		}
		d.set(-1, nil)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if got := marks(t, path+".inflight"); got != "-" {
			t.Errorf("when it can be written again: %s", got)
		}
		log.close(t)
	})
}

// In between is where a request ends while another one begins.
func TestAJournalThatIsSettledAllTheTimeLosesNobody(t *testing.T) {
	name := filepath.Join(t.TempDir(), "inflight")
	j, _, _, err := openJournal(name, openFile)
	if err != nil {
		t.Fatal(err)
	}
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				j.settle()
			}
		}
	}()
	left := make(chan []int)
	for worker := range 4 {
		go func() {
			var mine []int
			for n := range 500 {
				r := request
				r.ID = fmt.Sprintf("run-%d-%d", worker, n)
				slot, err := j.begin(&r)
				if err != nil {
					t.Error(err)
				}
				if n%100 == 0 {
					mine = append(mine, slot)
				} else {
					j.end(slot)
				}
			}
			left <- mine
		}()
	}
	want := 0
	for range 4 {
		want += len(<-left)
	}
	close(stop)
	<-done
	j.settle()
	if err := j.file.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		t.Error(err)
	}
	if got := strings.Count(marks(t, name), "+"); got != want {
		t.Errorf("%d are in flight, want %d", got, want)
	}
}
