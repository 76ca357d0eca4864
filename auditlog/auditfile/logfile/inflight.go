package logfile

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/gateway18789/caddy-ollama/auditlog/timestamp"
)

// Request is what is known of a request when it begins. It is all that its record can
// say if the process dies before the request has ended.
type Request struct {
	// ID is the event.id of its record. No other request has it.
	ID            string    `json:"event.id"`
	Start         time.Time `json:"@timestamp"`
	RequestID     string    `json:"http.request.id"`
	Method        string    `json:"http.request.method"`
	Path          string    `json:"url.path"`
	SourceIP      string    `json:"source.ip"`
	ClientSubject string    `json:"tls.client.subject"`
	// After is the number of the log's last line when it began.
	After uint64 `json:"after"`
}

// slotSize is the room for one request in the journal: a page, so that a process that
// is killed leaves a slot as it was or as it should be.
const slotSize = 4096

// fewSlots is how many slots an idle journal keeps.
const fewSlots = 256

// journal is the file that remembers which requests are in flight. It is a row of slots:
// a slot begins with + while its request is in flight. So it never gets larger than it
// takes for the requests that were in flight at one time.
//
// The slot of a request that has ended is free, and mostly the next one takes it. If none
// does, it begins with - as soon as it is settled. Should the process die before, the next
// one finds the request's record in the log.
type journal struct {
	mu     sync.Mutex
	file   File
	slots  []slot
	free   []int
	stale  int // slots that are
	buf    []byte
	change uint64 // counts what was written, for syncing
}

type slot struct {
	length int  // of its text, with spaces behind it
	stale  bool // it is free, and not settled yet
}

// begin remembers the request in a slot.
func (j *journal) begin(r *Request) (at int, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.buf = appendRequest(append(j.buf[:0], '+'), r)
	if len(j.free) > 0 {
		at = j.free[len(j.free)-1]
	} else {
		at = len(j.slots)
	}
	length := slotSize
	if at < len(j.slots) {
		length = max(len(j.buf), j.slots[at].length)
	}
	text := len(j.buf)
	for len(j.buf) < length {
		j.buf = append(j.buf, ' ')
	}
	if length == slotSize {
		j.buf[length-1] = '\n'
	}
	if _, err := j.file.WriteAt(j.buf, int64(at)*slotSize); err != nil {
		return 0, fmt.Errorf("the journal of requests in flight: %w", err)
	}
	if at == len(j.slots) {
		j.slots = append(j.slots, slot{length: text})
	} else {
		j.free = j.free[:len(j.free)-1]
		j.setStale(at, false)
		j.slots[at].length = text
	}
	j.change++
	return at, nil
}

// end takes the request out of the journal.
func (j *journal) end(at int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.free = append(j.free, at)
	j.setStale(at, true)
	if len(j.free) == len(j.slots) && len(j.slots) > fewSlots && j.file.Truncate(0) == nil {
		j.free, j.slots, j.stale = nil, nil, 0
		j.change++
	}
}

func (j *journal) setStale(at int, stale bool) {
	s := &j.slots[at]
	if s.stale == stale {
		return
	}
	if s.stale = stale; stale {
		j.stale++
	} else {
		j.stale--
	}
}

// settle says of the slots that are free that they are. What fails is left for the next time.
func (j *journal) settle() {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, at := range j.free {
		if j.stale == 0 {
			return
		}
		if !j.slots[at].stale {
			continue
		}
		if _, err := j.file.WriteAt([]byte{'-'}, int64(at)*slotSize); err == nil {
			j.setStale(at, false)
			j.change++
		}
	}
}

// unsettled tells whether there are slots to settle.
func (j *journal) unsettled() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.stale > 0
}

func (j *journal) sync() error { return j.file.Sync() }

func (j *journal) changes() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.change
}

// appendRequest appends the request as JSON that fits into a slot.
func appendRequest(dst []byte, r *Request) []byte {
	start := len(dst)
	for _, limit := range []int{1024, 160} { // 160 fit, however they are escaped
		dst = append(dst[:start], `{"event.id":`...)
		dst = appendQuoted(dst, r.ID, 64)
		dst = append(dst, `,"@timestamp":"`...)
		dst = timestamp.Append(dst, r.Start)
		dst = append(dst, `","http.request.id":`...)
		dst = appendQuoted(dst, r.RequestID, limit)
		dst = append(dst, `,"http.request.method":`...)
		dst = appendQuoted(dst, r.Method, 32)
		dst = append(dst, `,"url.path":`...)
		dst = appendQuoted(dst, r.Path, limit)
		dst = append(dst, `,"source.ip":`...)
		dst = appendQuoted(dst, r.SourceIP, 64)
		dst = append(dst, `,"tls.client.subject":`...)
		dst = appendQuoted(dst, r.ClientSubject, limit)
		dst = append(dst, `,"after":`...)
		dst = append(strconv.AppendUint(dst, r.After, 10), '}')
		if len(dst) < slotSize {
			break
		}
	}
	return dst
}

func appendQuoted(dst []byte, s string, limit int) []byte {
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:limit], "")
	}
	dst, _ = jsontext.AppendQuote(dst, s) // bytes that are no UTF-8 are replaced
	return dst
}

// openJournal opens the journal with what an earlier process has left in it: the
// requests that were in flight, by their slots, and the slots that are damaged.
func openJournal(name string, open func(string, int) (File, error)) (j *journal, left map[int]Request, damaged []int, err error) {
	content, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil, err
	}
	file, err := open(name, os.O_RDWR|os.O_CREATE)
	if err != nil {
		return nil, nil, nil, err
	}
	j = &journal{file: file}
	left = make(map[int]Request)
	for at := 0; at*slotSize < len(content); at++ {
		text := content[at*slotSize : min(len(content), (at+1)*slotSize)]
		j.slots = append(j.slots, slot{length: slotSize})
		var r Request
		switch {
		case text[0] != '+':
			j.free = append(j.free, at)
		case json.Unmarshal(bytes.TrimRight(text[1:], " \n\x00"), &r) != nil || r.ID == "":
			damaged = append(damaged, at)
		default:
			left[at] = r
		}
	}
	return j, left, damaged, nil
}
