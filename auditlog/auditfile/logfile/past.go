package logfile

import (
	"bytes"
	"cmp"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/gateway18789/caddy-ollama/auditlog/chain"
)

// past is what is found of a log before it goes on.
type past struct {
	rotated []segment
	live    survey
	first   uint64     // number of the oldest line, zero if there is none
	last    chain.Link // the newest line
	head    *chain.Head
	// headHash is that of the line whose number is the head's, nil if it is missing.
	headHash *chain.Hash
	faults   []error

	answered   []int // slots of requests that were in flight, but have records
	unfinished []unfinished
	damaged    []int
}

// unfinished is a request that was in flight and has no record.
type unfinished struct {
	Request
	slot int
}

// record is what can be said of it.
func (u unfinished) record() []byte {
	return newMembers(u.Start).
		text("event.id", u.ID).
		text("event.outcome", "unknown").
		text("event.reason", "crash").
		text("http.request.id", u.RequestID).
		text("http.request.method", u.Method).
		text("url.path", u.Path).
		text("source.ip", u.SourceIP).
		text("tls.client.subject", u.ClientSubject).
		line()
}

// look finds what is there.
func (l *Log) look() (*past, error) {
	if err := isRegular(l.Path); err != nil {
		return nil, err
	}
	p := new(past)
	var err error
	if p.rotated, err = segments(l.Path); err != nil {
		p.faults = append(p.faults, err)
	}
	if p.head, err = readHead(l.headFile()); err != nil {
		p.faults = append(p.faults, err)
	}
	noHead := p.head == nil && err == nil
	var left map[int]Request
	if l.journal, left, p.damaged, err = openJournal(l.Path+".inflight", l.OpenFile); err != nil {
		return nil, err
	}
	search := newSearch(p.head, left)
	if err := p.readLive(l.Path, search); err != nil {
		return nil, err
	}
	if p.live.lines == 0 && p.live.fault != nil && noHead && len(p.rotated) == 0 {
		return nil, fmt.Errorf("%s holds lines that audit_file has not written: move it away, or name another file", l.Path)
	}
	p.readBack(search)
	p.headHash = search.headHash
	p.sort(left, search)
	if noHead && p.last.Sequence > 1 {
		p.faults = append(p.faults, errors.New("the head is missing"))
	}
	return p, nil
}

func (p *past) readLive(name string, search *search) error {
	file, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	if p.live, err = take(file, search.look); err != nil {
		return err
	}
	p.first, p.last = p.live.first, p.live.last
	if p.live.fault != nil {
		p.faults = append(p.faults, p.live.fault)
	}
	return nil
}

// readBack reads rotated files, the newest first, for as long as something is searched
// that was written before.
func (p *past) readBack(search *search) {
	seen := p.live.first // the first line that was read
	for _, s := range slices.Backward(p.rotated) {
		if p.last.Sequence > 0 && search.needs() >= seen {
			break
		}
		found, err := s.survey(search.look)
		if err == nil {
			err = found.fault
		}
		if err != nil {
			p.faults = append(p.faults, fmt.Errorf("%s: %w", s.file(), err))
		}
		if p.last.Sequence == 0 {
			p.last = found.last
		}
		seen = s.first
	}
	if len(p.rotated) > 0 {
		p.first = p.rotated[0].first
	}
}

func (s segment) survey(look func(chain.Line, []byte)) (survey, error) {
	reader, err := s.open()
	if err != nil {
		return survey{}, err
	}
	defer reader.Close()
	return take(reader, look)
}

// sort divides the requests that were in flight.
func (p *past) sort(left map[int]Request, search *search) {
	for slot, r := range left {
		if _, missing := search.requests[r.ID]; missing {
			p.unfinished = append(p.unfinished, unfinished{r, slot})
		} else {
			p.answered = append(p.answered, slot)
		}
	}
	slices.SortFunc(p.unfinished, func(a, b unfinished) int {
		return cmp.Or(a.Start.Compare(b.Start), cmp.Compare(a.slot, b.slot))
	})
}

// fault is what is wrong with the log, empty if nothing is.
func (p *past) fault(key ed25519.PrivateKey) string {
	faults := p.faults
	add := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if h := p.head; h != nil {
		switch {
		case h.Sequence > p.last.Sequence:
			add("the log ends with line %d, but its head tells of line %d", p.last.Sequence, h.Sequence)
		case p.headHash == nil:
			add("line %d, of which the head tells, is missing", h.Sequence)
		case *p.headHash != h.Hash:
			add("line %d is not the one of which the head tells", h.Sequence)
		}
		if p.first > h.First {
			add("the log begins with line %d, but its head tells of line %d", p.first, h.First)
		}
		if key != nil && h.Key == keyName(key) {
			if err := h.Verify(key.Public().(ed25519.PublicKey)); err != nil {
				add("%w", err)
			}
		}
	}
	texts := make([]string, len(faults))
	for i, fault := range faults {
		texts[i] = fault.Error()
	}
	return strings.Join(texts, "; ")
}

func keyName(key ed25519.PrivateKey) string {
	if key == nil {
		return ""
	}
	return chain.Fingerprint(key.Public().(ed25519.PublicKey))
}

// search looks in the log's lines for the one of which the head tells, and for the
// records of requests.
type search struct {
	head     *chain.Head
	headHash *chain.Hash
	requests map[string]uint64 // those without a record yet: the line after which it began
	prefixes map[string]bool   // what their ids begin with, up to and with the last dash
}

func newSearch(head *chain.Head, left map[int]Request) *search {
	s := &search{head: head, requests: make(map[string]uint64), prefixes: make(map[string]bool)}
	for _, r := range left {
		s.requests[r.ID] = r.After
		s.prefixes[`"`+r.ID[:strings.LastIndexByte(r.ID, '-')+1]] = true
	}
	return s
}

func (s *search) look(line chain.Line, raw []byte) {
	if s.head != nil && line.Sequence == s.head.Sequence {
		s.headHash = &line.Hash
	}
	for prefix := range s.prefixes {
		// a client cannot write this: in a text that it sends the quote is escaped
		for rest := raw; ; {
			at := bytes.Index(rest, []byte(prefix))
			if at < 0 {
				break
			}
			rest = rest[at+1:]
			if id, _, ok := bytes.Cut(rest, []byte(`"`)); ok {
				delete(s.requests, string(id))
			}
		}
	}
}

// needs is the number of the first line that is still searched.
func (s *search) needs() uint64 {
	first := ^uint64(0)
	if s.head != nil && s.headHash == nil {
		first = s.head.Sequence
	}
	for _, after := range s.requests {
		first = min(first, after+1)
	}
	return first
}
