package auditlog

import (
	"strings"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/gateway18789/caddy-ollama/auditlog/firstuse"
	"github.com/gateway18789/caddy-ollama/auditlog/record"
	"github.com/gateway18789/caddy-ollama/jwtauth/token"
)

// Events of requests. The data of each is the record.
const (
	eventForgedToken    = "audit_log.forged_token"
	eventNewCertificate = "audit_log.new_certificate"
	eventUpstreamDown   = "audit_log.upstream_down" // with server.address
	eventUpstreamUp     = "audit_log.upstream_up"   // likewise
	eventFailure        = "audit_log.failure"       // with error.message
)

// certificates are those of clients that have been used before. How many are remembered
// bounds what they take in the storage to 650 kB.
var certificates = firstuse.New("caddy_ollama/certificates.seen", 10_000)

// inFailure says that an audit file cannot be written, and that this has been told.
var inFailure atomic.Bool

// tell emits the events of a request that has ended; failure is why its record could not
// be written.
func (h *Handler) tell(rec *record.Record, failure error) {
	failed := failure != nil
	begins := inFailure.Swap(failed) != failed && failed
	rec.End()
	c := listening.inForce()
	if c == nil {
		return
	}
	if cause, refused := strings.CutPrefix(rec.Reason, record.BadToken); refused && token.Fault(cause).Forged() {
		c.emit(eventForgedToken, rec, "", "")
	}
	for _, turn := range rec.UpstreamTurns {
		event := eventUpstreamDown
		if turn.Up {
			event = eventUpstreamUp
		}
		c.emit(event, rec, "server.address", turn.Address)
	}
	if begins {
		c.emit(eventFailure, rec, "error.message", failure.Error())
	}
	h.tellCertificate(c, rec)
}

// tellCertificate emits an event if the client's certificate has never been used before.
// If nobody listens it is not remembered either.
func (h *Handler) tellCertificate(c *configuration, rec *record.Record) {
	if rec.ClientFingerprint == "" || !c.events.Heard(eventNewCertificate) {
		return
	}
	certificates.Visit(c.ctx.Storage(), rec.ClientFingerprint, func() {
		// the storage has taken its time: another configuration may be in force
		if c := listening.inForce(); c != nil {
			c.emit(eventNewCertificate, rec, "", "")
		}
	}, func(err error) {
		h.logger.Warn("the storage does not tell whether a client's certificate was used before; after the next start it may be told to be new again", zap.Error(err))
	})
}
