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
// a slot begins with + while its request is in flight, and with - from then on. So it
// never gets larger than it takes for the requests that were in flight at one time.
type journal struct {
	mu     sync.Mutex
	file   File
	free   []int
	used   []int // how long the text in each slot is, with spaces behind it; as many as there are slots
	buf    []byte
	change uint64 // counts what was written, for syncing
}

// begin remembers the request in a slot.
func (j *journal) begin(r *Request) (slot int, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.buf = appendRequest(append(j.buf[:0], '+'), r)
	if len(j.free) > 0 {
		slot = j.free[len(j.free)-1]
	} else {
		slot = len(j.used)
	}
	length := slotSize
	if slot < len(j.used) {
		length = max(len(j.buf), j.used[slot])
	}
	text := len(j.buf)
	for len(j.buf) < length {
		j.buf = append(j.buf, ' ')
	}
	if length == slotSize {
		j.buf[length-1] = '\n'
	}
	if _, err := j.file.WriteAt(j.buf, int64(slot)*slotSize); err != nil {
		return 0, fmt.Errorf("the journal of requests in flight: %w", err)
	}
	if slot == len(j.used) {
		j.used = append(j.used, text)
	} else {
		j.used[slot] = text
		j.free = j.free[:len(j.free)-1]
	}
	j.change++
	return slot, nil
}

// end takes the request out of the journal. Should that fail, a restart finds its record
// in the log.
func (j *journal) end(slot int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	_, _ = j.file.WriteAt([]byte{'-'}, int64(slot)*slotSize)
	j.free = append(j.free, slot)
	j.change++
	if len(j.free) == len(j.used) && len(j.used) > fewSlots && j.file.Truncate(0) == nil {
		j.free, j.used = nil, nil
	}
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
		dst = r.Start.UTC().AppendFormat(dst, timeLayout)
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
	for slot := 0; slot*slotSize < len(content); slot++ {
		text := content[slot*slotSize : min(len(content), (slot+1)*slotSize)]
		j.used = append(j.used, slotSize)
		var r Request
		switch {
		case text[0] != '+':
			j.free = append(j.free, slot)
		case json.Unmarshal(bytes.TrimRight(text[1:], " \n\x00"), &r) != nil || r.ID == "":
			damaged = append(damaged, slot)
		default:
			left[slot] = r
		}
	}
	return j, left, damaged, nil
}
