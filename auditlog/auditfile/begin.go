package auditfile

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strconv"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/gateway18789/caddy-ollama/auditlog/auditfile/logfile"
)

// Request is what is known of a request when it begins.
type Request = logfile.Request

// Files are the audit files of one configuration.
type Files []*AuditFile

// Of returns the audit files of the configuration that a module is provisioned for. The
// logs of a configuration are opened before all else, so there will be no more.
func Of(ctx caddy.Context) Files {
	places.Lock()
	defer places.Unlock()
	return append(Files(nil), places.configurations[ctx.Done()]...)
}

// Trouble is why one of the files cannot be written, nil if all can.
func (f Files) Trouble() error {
	for _, a := range f {
		log := a.place.log.Load()
		if log == nil {
			return fmt.Errorf("%s: %w", a.place.path, logfile.ErrClosed)
		}
		if err := log.Trouble(); err != nil {
			return fmt.Errorf("%s: %w", a.place.path, err)
		}
	}
	return nil
}

// Begun is a request that audit files know of.
type Begun struct {
	id    string
	first openRequest // most configurations have one file
	more  []openRequest
}

type openRequest struct {
	place *place
	log   *logfile.Log
	slot  int
}

// Begin tells the audit files that a request begins. Its ID and After are theirs to
// fill in. On an error the request must not be served, because no record of it could be
// written; also then Begun is to be ended when its record has gone to the logger.
func (f Files) Begin(r Request) (b Begun, refused error) {
	if len(f) == 0 {
		return Begun{}, nil
	}
	r.ID = newID()
	b.id = r.ID
	for _, a := range f {
		open, err := a.place.begin(a, r)
		switch {
		case open.place == nil:
		case b.first.place == nil:
			b.first = open
		default:
			b.more = append(b.more, open)
		}
		if err != nil {
			a.place.refused.Add(1)
			refused = err
		}
	}
	return b, refused
}

// Field is the record's `event.id`, by which a crashed request's record is known.
func (b *Begun) Field() zap.Field {
	if b.id == "" {
		return zap.Skip()
	}
	return zap.String("event.id", b.id)
}

// End tells the audit files that the record has been written.
func (b *Begun) End() {
	if b.first.place != nil {
		b.first.end()
	}
	for _, open := range b.more {
		open.end()
	}
}

func (o openRequest) end() {
	o.log.End(o.slot)
	o.place.end()
}

// begin keeps the log open for a request, even one that comes by a connection of a
// configuration that is gone already.
func (p *place) begin(a *AuditFile, r Request) (openRequest, error) {
	p.mu.Lock()
	if err := p.open(a); err != nil {
		p.mu.Unlock()
		if !a.options.Refuse {
			return openRequest{}, nil
		}
		return openRequest{}, err
	}
	p.begun++
	log := p.log.Load()
	p.mu.Unlock()
	slot, err := log.Begin(r)
	return openRequest{p, log, slot}, err
}

func (p *place) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.begun--
	if err := p.closeUnused(); err != nil {
		logger().Error("closing the audit log", zap.String("file", p.path), zap.Error(err))
	}
}

// prefix makes the ids of this process differ from those of all others.
var prefix = func() string {
	random := make([]byte, 8)
	_, _ = rand.Read(random) // it never fails
	return hex.EncodeToString(random) + "-"
}()

var counter atomic.Uint64

// newID is a new event.id.
func newID() string {
	var room [32]byte
	return string(strconv.AppendUint(append(room[:0], prefix...), counter.Add(1), 36))
}
