package logfile

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/gateway18789/caddy-ollama/auditlog/chain"
)

var request = Request{
	ID: "run-1", Start: time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC), RequestID: "request 1", Method: "POST",
	Path: "/v1/chat/completions", SourceIP: "192.0.2.1", ClientSubject: "CN=clawdbot",
}

// crash leaves the log as a process that is killed does.
func (l testLog) crash(t *testing.T) {
	t.Helper()
	close(l.stop)
	l.ending.Wait()
	if err := l.release(); err != nil {
		t.Error(err)
	}
}

func TestARequestThatNeverEndedIsRecordedAtTheNextStart(t *testing.T) {
	path := newPath(t)
	log := start(t, path, standard(), nil)
	if _, err := log.Begin(request); err != nil {
		t.Fatal(err)
	}
	log.crash(t)
	for range 2 { // and only once
		start(t, path, standard(), nil).close(t)
	}
	lines := audit(t, path, nil)
	expectStory(t, lines, "created restarted crash restarted")
	record := lines[2]
	delete(record, "event.hash")
	got, _ := json.Marshal(record)
	const want = `{"@timestamp":"2026-01-02T03:04:05.000006Z","event.id":"run-1","event.kind":"event",` +
		`"event.outcome":"unknown","event.reason":"crash","event.sequence":3,"http.request.id":"request 1",` +
		`"http.request.method":"POST","source.ip":"192.0.2.1","tls.client.subject":"CN=clawdbot","url.path":"/v1/chat/completions"}`
	if string(got) != want {
		t.Errorf("the record is\n%s, want\n%s", got, want)
	}
}

func TestARequestWhoseRecordIsThereGetsNoSecond(t *testing.T) {
	for name, line := range map[string]string{
		"dotted":                    `{"n":1,"event.id":"%s"}`,
		"nested":                    `{"n":1,"event":{"id":"%s"}}`,
		"after another one's":       `{"n":1,"a":"run-0","event.id":"%s"}`,
		"with the like before":      `{"n":1,"a":"run-12","event.id":"%s"}`,
		"with the quoted id before": `{"n":1,"a":"\"run-12\"","event.id":"%s"}`,
	} {
		t.Run(name, func(t *testing.T) {
			path := newPath(t)
			log := start(t, path, standard(), nil)
			if _, err := log.Begin(request); err != nil {
				t.Fatal(err)
			}
			log.write(t, fmt.Sprintf(line, request.ID))
			log.crash(t) // before the request was taken from the journal
			start(t, path, standard(), nil).close(t)
			expectStory(t, audit(t, path, nil), "created 1 restarted")
		})
	}
}

func TestAClientCannotPassForARecord(t *testing.T) {
	for name, line := range map[string]string{
		"the id in quotes":      `{"n":1,"url.path":"/\"run-1\""}`,
		"the id within a text":  `{"n":1,"url.path":"/run-1"}`,
		"the id and more":       `{"n":1,"url.path":"run-1\""}`,
		"the beginning of more": `{"n":1,"url.path":"run-11"}`,
	} {
		t.Run(name, func(t *testing.T) {
			path := newPath(t)
			log := start(t, path, standard(), nil)
			if _, err := log.Begin(request); err != nil {
				t.Fatal(err)
			}
			log.write(t, line)
			log.crash(t)
			start(t, path, standard(), nil).close(t)
			expectStory(t, audit(t, path, nil), "created 1 restarted crash")
		})
	}
}

func TestARecordInARotatedFileIsFound(t *testing.T) {
	for _, zipped := range []bool{false, true} {
		t.Run(fmt.Sprint("compressed ", zipped), func(t *testing.T) {
			path := newPath(t)
			log := start(t, path, standard(), nil)
			log.write(t, numbered(3)...)
			if _, err := log.Begin(request); err != nil {
				t.Fatal(err)
			}
			log.write(t, `{"n":4,"event.id":"run-1"}`)
			for range 2 {
				if err := log.rotate(); err != nil {
					t.Fatal(err)
				}
				log.write(t, numbered(1)...)
			}
			if err := log.writeHead(); err != nil { // so that nothing else is searched there
				t.Fatal(err)
			}
			log.crash(t)
			if zipped {
				for _, name := range names(t, path) {
					if err := compress(filepath.Join(filepath.Dir(path), name), nil); err != nil {
						t.Fatal(err)
					}
				}
			}
			start(t, path, standard(), nil).close(t)
			expectStory(t, audit(t, path, nil), "created 1 2 3 4 rotated 1 rotated 1 restarted")
		})
	}
}

func TestAProcessThatDiesAsItClosesRequestsDoublesNone(t *testing.T) {
	path := newPath(t)
	log := start(t, path, standard(), nil)
	for n := range 3 {
		r := request
		r.ID = fmt.Sprint("run-", n)
		if _, err := log.Begin(r); err != nil {
			t.Fatal(err)
		}
	}
	// the next process has got as far as the first of them
	log.write(t, string(unfinished{Request: Request{ID: "run-0"}}.record()))
	log.crash(t)
	start(t, path, standard(), nil).close(t)
	lines := audit(t, path, nil)
	expectStory(t, lines, "created crash restarted crash crash")
	if ids := fmt.Sprint(with(lines, "event.id")); ids != "[run-0 run-1 run-2]" {
		t.Errorf("closed: %s", ids)
	}
}

func TestADamagedSlotIsTold(t *testing.T) {
	path := newPath(t)
	log := start(t, path, standard(), nil)
	if _, err := log.Begin(request); err != nil {
		t.Fatal(err)
	}
	log.crash(t)
	journal := read(t, path+".inflight")
	overwrite(t, path+".inflight", journal[:20]+strings.Repeat("\x00", len(journal)-20))
	for range 2 {
		start(t, path, standard(), nil).close(t)
	}
	expectStory(t, audit(t, path, nil), "created restarted audit-journal-unreadable restarted")
}

func TestTheJournalIsAsLargeAsRequestsWereInFlight(t *testing.T) {
	path := newPath(t)
	log := start(t, path, standard(), nil)
	defer log.close(t)
	size := func() int64 {
		info, err := os.Stat(path + ".inflight")
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	begin := func(n int) (slots []int) {
		for range n {
			slot, err := log.Begin(request)
			if err != nil {
				t.Fatal(err)
			}
			slots = append(slots, slot)
		}
		return slots
	}
	end := func(slots []int) {
		for _, slot := range slots {
			log.End(slot)
		}
	}
	for range 1000 {
		end(begin(10))
	}
	if size() != 10*slotSize {
		t.Errorf("with 10 at a time it has %d bytes", size())
	}
	many := begin(fewSlots + 1)
	if size() != (fewSlots+1)*slotSize {
		t.Errorf("with many at a time it has %d bytes", size())
	}
	end(many)
	if size() != 0 {
		t.Errorf("afterwards it has %d bytes", size())
	}
	end(begin(1))
}

func TestARequestFitsIntoItsSlotWhateverItSays(t *testing.T) {
	for name, long := range map[string]string{
		"plain":           strings.Repeat("x", 2000),
		"to be escaped":   strings.Repeat("\x01", 2000),
		"no UTF-8":        strings.Repeat("\xff", 2000),
		"quotes":          strings.Repeat(`"`, 2000),
		"longer runes":    strings.Repeat("語", 2000),
		"nothing":         "",
		"with line break": "a\nb",
	} {
		t.Run(name, func(t *testing.T) {
			r := Request{ID: "run-1", RequestID: long, Method: long, Path: long, SourceIP: long, ClientSubject: long}
			path := filepath.Join(t.TempDir(), "inflight")
			j, _, _, err := openJournal(path, openFile)
			if err != nil {
				t.Fatal(err)
			}
			first, err := j.begin(&r)
			if err != nil {
				t.Fatal(err)
			}
			j.end(first)
			for range 2 { // one of them in the slot that the long one had
				if _, err := j.begin(&request); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := j.begin(&r); err != nil {
				t.Fatal(err)
			}
			_ = j.file.Close()
			j, left, damaged, err := openJournal(path, openFile)
			if err != nil {
				t.Fatal(err)
			}
			defer j.file.Close()
			if len(left) != 3 || len(damaged) != 0 || left[0].Path != request.Path || left[1] != request {
				t.Errorf("read as %+v, damaged %v", left, damaged)
			}
			if !utf8.ValidString(left[2].Path) || !strings.HasPrefix(long, left[2].Path) && name != "no UTF-8" {
				t.Errorf("the path was %q", left[2].Path)
			}
			if info, _ := os.Stat(path); info.Size() != 3*slotSize {
				t.Errorf("the journal has %d bytes", info.Size())
			}
		})
	}
}

func TestAJournalThatCannotBeWrittenRemembersNothing(t *testing.T) {
	d := &disk{room: slotSize}
	j, _, _, err := openJournal(filepath.Join(t.TempDir(), "inflight"), d.open)
	if err != nil {
		t.Fatal(err)
	}
	defer j.file.Close()
	slot, err := j.begin(&request)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := j.begin(&request); err == nil {
		t.Error("there was no room")
	}
	j.end(slot)
	if _, err := j.begin(&request); err != nil {
		t.Error("a slot that is there needs no room:", err)
	}
}

func TestTheLogsOwnLinesAreInASCII(t *testing.T) {
	r := request
	r.Path = "/\u202egpj.exe\u0085\x7f\x1b[31m/語/😀/\xff\"\\"
	line := unfinished{Request: r}.record()
	for _, b := range line {
		if b < ' ' || b > '~' {
			t.Fatalf("the line has byte %#x: %s", b, line)
		}
	}
	var fields map[string]string
	if err := json.Unmarshal(line, &fields); err != nil {
		t.Fatal(err)
	}
	if want := strings.ToValidUTF8(r.Path, "\ufffd"); fields["url.path"] != want {
		t.Errorf("the path is %q, want %q", fields["url.path"], want)
	}
	if _, _, err := (chain.Link{}).Seal(nil, line); err != nil {
		t.Error(err)
	}
}
