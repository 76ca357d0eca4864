// Package board keeps what an operator wants to see at a glance: which requests are in
// flight now, the last that have ended, and what the last hour came to. It is in memory,
// bounded, and knows nothing of where requests come from or who looks.
//
// There is one for the process while somebody may look at it, and none otherwise: then a
// request costs nothing here.
package board

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
)

// inUse is the board that requests are put on; nil: nobody looks.
var inUse atomic.Pointer[Board]

// Use makes b the board of the process.
func Use(b *Board) { inUse.Store(b) }

// Drop makes the process one without a board, if b is its board.
func Drop(b *Board) { inUse.CompareAndSwap(b, nil) }

// Board is where requests are shown.
type Board struct {
	mu    sync.Mutex
	last  uint64 // key given
	open  map[uint64]*Entry
	ended ring
	hour  hour
}

// New returns an empty board.
func New() *Board { return &Board{open: make(map[uint64]*Entry)} }

// Entry is a request in flight. That of a process without a board is nil.
type Entry struct {
	board  *Board
	key    uint64
	live   *record.Live
	ctx    context.Context
	name   func(user string) string
	cancel context.CancelCauseFunc
	hidden atomic.Bool

	// What was known when it began.
	since                            time.Time
	requestID, method, path, address string
}

type entryKey struct{}

// Begin puts a request on the process's board, if there is one. Its context is then one
// that the operator can cancel. name is what a user is to be called on the board. End must
// be called when the request has ended.
func Begin(ctx context.Context, rec *record.Record, name func(user string) string) (context.Context, *Entry) {
	b := inUse.Load()
	if b == nil {
		return ctx, nil
	}
	e := &Entry{
		board: b, live: rec.Watch(), name: name,
		since: rec.Start, requestID: rec.RequestID, method: rec.Method, path: short(rec.Path), address: rec.SourceIP,
	}
	e.ctx, e.cancel = context.WithCancelCause(context.WithValue(ctx, entryKey{}, e))
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last++
	e.key = b.last
	b.open[e.key] = e
	return e.ctx, e
}

// End takes the request off the board, and counts it by its record, which is complete.
func (e *Entry) End(rec *record.Record) {
	if e == nil {
		return
	}
	e.cancel(nil)
	b := e.board
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.open, e.key)
	if e.hidden.Load() {
		return
	}
	b.ended.add(endedOf(rec))
	b.hour.count(rec)
}

// Hide keeps the request of the context off the board: one that only looks at it.
func Hide(ctx context.Context) {
	if e, ok := ctx.Value(entryKey{}).(*Entry); ok {
		e.hidden.Store(true)
	}
}

// Cancel ends the request with that key, if it is still in flight, and returns its id.
func (b *Board) Cancel(key uint64) (requestID string, ok bool) {
	b.mu.Lock()
	e := b.open[key]
	b.mu.Unlock()
	if e == nil {
		return "", false
	}
	e.cancel(record.ErrCancelled)
	return e.requestID, true
}

// Open is a request in flight, as it is shown.
type Open struct {
	Key        uint64    `json:"key"`
	RequestID  string    `json:"id"`
	Since      time.Time `json:"since"`
	Method     string    `json:"method"`
	Path       string    `json:"path"`
	Source     string    `json:"source"`
	User       string    `json:"user,omitempty"`
	Operation  string    `json:"operation,omitempty"` // empty: no model call, or not yet known
	Model      string    `json:"model,omitempty"`
	Stream     bool      `json:"stream"`
	Tokens     int       `json:"tokens"`
	FirstChunk float64   `json:"first_chunk,omitempty"` // s
	Cancelled  bool      `json:"cancelled,omitempty"`   // and not yet at its end
}

// InFlight is the requests in flight, oldest first, at most so many of them, and how many
// there are in all.
func (b *Board) InFlight(most int) (shown []Open, all int) {
	shown = []Open{}
	for _, e := range b.entries() {
		if e.hidden.Load() {
			continue
		}
		if all++; len(shown) < most {
			shown = append(shown, e.open())
		}
	}
	return shown, all
}

func (b *Board) entries() []*Entry {
	b.mu.Lock()
	defer b.mu.Unlock()
	entries := make([]*Entry, 0, len(b.open))
	for _, e := range b.open {
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(a, b *Entry) int { return cmp.Compare(a.key, b.key) })
	return entries
}

func (e *Entry) open() Open {
	s := e.live.Shown()
	return Open{
		Key: e.key, RequestID: e.requestID, Since: e.since.UTC(), Method: e.method, Path: e.path, Source: e.address,
		User: short(e.name(s.UserID)), Operation: s.Operation, Model: s.Model, Stream: s.Stream,
		Tokens: e.live.Tokens(), FirstChunk: s.TimeToFirstChunk.Seconds(),
		Cancelled: record.WasCancelled(e.ctx),
	}
}

// longest is how much of a text is kept, in bytes. Texts are the clients'.
const longest = 128

// short is a text that keeps no more memory than it shows.
func short(text string) string {
	if len(text) <= longest {
		return strings.Clone(text)
	}
	return strings.ToValidUTF8(text[:longest], "") + "…"
}
