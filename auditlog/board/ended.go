package board

import (
	"time"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
)

// kept is how many ended requests are remembered.
const kept = 100

// Ended is a request that has ended: what people look for in its record.
type Ended struct {
	Number       uint64    `json:"number"` // counts those of this board
	RequestID    string    `json:"id"`
	Since        time.Time `json:"since"`
	Seconds      float64   `json:"seconds"`
	Status       int       `json:"status"`
	Reason       string    `json:"reason"`
	Outcome      string    `json:"outcome"`
	Method       string    `json:"method"`
	Path         string    `json:"path"`
	Source       string    `json:"source"`
	User         string    `json:"user,omitempty"`
	Operation    string    `json:"operation,omitempty"`
	Model        string    `json:"model,omitempty"`
	Stream       bool      `json:"stream"`
	InputTokens  int       `json:"input_tokens"`
	OutputTokens int       `json:"output_tokens"`
	Estimated    bool      `json:"estimated"`             // of the tokens
	FirstChunk   float64   `json:"first_chunk,omitempty"` // s
	Queued       float64   `json:"queued,omitempty"`      // s
}

func endedOf(rec *record.Record) Ended {
	e := Ended{
		RequestID: short(rec.RequestID), Since: rec.Start.UTC(), Seconds: rec.Duration.Seconds(), Status: rec.Status,
		Reason: short(rec.Reason), Outcome: rec.Outcome(), Method: short(rec.Method), Path: short(rec.Path),
		Source: short(rec.SourceIP), User: short(rec.UserID), Operation: rec.Operation, Model: short(rec.RequestModel),
		Stream: rec.Stream, FirstChunk: rec.TimeToFirstChunk.Seconds(), Queued: rec.QueueWait.Seconds(),
	}
	if u := rec.Usage; u != nil {
		e.InputTokens, e.OutputTokens, e.Estimated = u.InputTokens, u.OutputTokens, u.Estimated
	}
	return e
}

// ring is the last ended requests.
type ring struct {
	total  uint64
	places [kept]Ended
}

func (r *ring) add(e Ended) {
	r.total++
	e.Number = r.total
	r.places[r.total%kept] = e
}

// Ended is the requests that have ended since the one of that number, oldest first, as far
// as they are remembered; since 0: all of them.
func (b *Board) Ended(since uint64) []Ended {
	b.mu.Lock()
	defer b.mu.Unlock()
	var ended []Ended
	first := since + 1
	if b.ended.total > kept {
		first = max(first, b.ended.total-kept+1)
	}
	for n := first; n <= b.ended.total; n++ {
		ended = append(ended, b.ended.places[n%kept])
	}
	return ended
}
