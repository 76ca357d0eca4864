// Package auditlog provides the audit_log handler.
package auditlog

import (
	"crypto/x509"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/gateway18789/caddy-ollama/auditlog/auditfile"
	"github.com/gateway18789/caddy-ollama/auditlog/board"
	"github.com/gateway18789/caddy-ollama/auditlog/record"
)

func init() {
	caddy.RegisterModule(Handler{})
}

// Handler writes one audit record for every request that passes it, whatever
// becomes of the request: served, refused, failed, panicked, or left by its
// client. Put it outermost, so that it sees what every other handler did.
//
// The record goes to the logger `http.handlers.audit_log` at level INFO; send it
// where you like with Caddy's own `log` option:
//
//	log audit {
//		include http.handlers.audit_log
//		output  file /var/log/caddy-ollama/audit.log
//		format  ecs
//	}
//
// Its fields are documented with record.Record. `format ecs` writes them as
// Elasticsearch expects them; `format json` leaves their names dotted, and adds Caddy's
// `ts`, `level`, `logger` and `msg`.
//
// It never holds a prompt, a completion, a token or a secret.
//
// Requests are counted and measured on Caddy's metrics: `caddy_audit_log_requests_total` by
// outcome and reason, and model calls by the names of OpenTelemetry's conventions for
// generative AI. Where Caddy's `tracing` stands outside, the span of a request has their
// attributes, too, and the record the span's id.
//
// Some requests are events of Caddy's, with the fields of their record:
// `audit_log.forged_token`, `audit_log.new_certificate` (a client certificate that was never
// used before), `audit_log.upstream_down` and `audit_log.upstream_up` (once each time),
// `audit_log.failure` (the audit file cannot be written). The event handler `webhook` sends
// them to a receiver.
//
// Each answer carries the record's http.request.id as `X-Request-Id`. A request
// id sent by the client is kept only if its peer is one of Caddy's
// `trusted_proxies`; so two of these gateways in a row share one id.
type Handler struct {
	// The fields that are to name nobody: from each to the key of its pseudonyms, which
	// has at least 32 bytes. Give the key as a placeholder such as
	// `{file./etc/caddy-ollama/pseudonym.key}`, which is resolved at load.
	//
	// Instead of a value the record then has a keyed hash of it (HMAC-SHA256), the same
	// for the same value as long as the key is the same: who has the key can tell which
	// value it was, by trying; who has not cannot. So `user.id` still tells users apart,
	// and everything that counts by it goes on. It can be `user.id` and
	// `tls.client.subject`: certificates often name machines, not people, so that is for
	// you to say. What Caddy's own access log says of a user is not changed,
	// nor what ip_throttle calls one by its `key` in its log, in its list of blocks, and in
	// the events that have no record.
	Pseudonymize map[string]string `json:"pseudonymize,omitempty"`

	pseudonyms    pseudonyms
	named         func(user string) string // nameOf
	clients       *identities
	files         auditfile.Files
	configuration *configuration // nil until joined
	logger        *zap.Logger
}

// CaddyModule returns the Caddy module information.
func (Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.audit_log",
		New: func() caddy.Module { return new(Handler) },
	}
}

// Provision sets up the handler.
func (h *Handler) Provision(ctx caddy.Context) error {
	h.logger = ctx.Logger()
	h.files = auditfile.Of(ctx)
	if err := h.files.Try(h.logger); err != nil {
		return err
	}
	if err := counted.register(ctx.GetMetricsRegistry()); err != nil {
		return err
	}
	var err error
	if h.pseudonyms, err = newPseudonyms(h.Pseudonymize); err != nil {
		return err
	}
	h.named = h.nameOf
	h.clients = newIdentities(h.identityOf)
	h.configuration, err = listening.join(ctx)
	return err
}

// Cleanup ends the handler's part in its configuration.
func (h *Handler) Cleanup() error {
	listening.leave(h.configuration)
	return nil
}

// sequence numbers the records of this process, across reloads.
var sequence atomic.Uint64

// exchange is what a request needs here, in one piece.
type exchange struct {
	record record.Record
	answer answer
	ids    [2]string // the header fields that go in and out
	fields [2]zap.Field
}

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) (err error) {
	counted.inFlight.Inc()
	defer counted.inFlight.Dec()
	x := new(exchange)
	rec := &x.record
	h.begin(rec, r)
	noteSpan(r.Context(), rec)
	x.ids = [2]string{rec.RequestID, rec.RequestID}
	r.Header["X-Request-Id"] = x.ids[0:1:1]
	w.Header()["X-Request-Id"] = x.ids[1:2:2]
	x.answer.ResponseWriter, x.answer.id = w, rec.RequestID

	begun, refused := h.tellBegin(w.Header(), rec)
	defer begun.End()
	ctx, shown := board.Begin(record.NewContext(r.Context(), rec), rec, h.named)
	r = r.WithContext(ctx)
	// Deferred, because a stream that breaks off ends in a panic: reverse_proxy
	// has no other way to tell net/http to cut the connection.
	panicked := true
	defer func() {
		if panicked {
			err = http.ErrAbortHandler
		}
		end(rec, r, StatusOf(&x.answer, err), err)
		rec.UserID = h.nameOf(rec.UserID)
		if entry := h.logger.Check(zap.InfoLevel, "request"); entry != nil {
			x.fields = [2]zap.Field{zap.Inline(rec), begun.Field()}
			entry.Write(x.fields[:]...)
		}
		shown.End(rec)
		counted.count(rec)
		describeSpan(r.Context(), rec)
		failure := h.files.Trouble()
		if failure != nil {
			counted.failures.Inc()
		}
		h.tell(rec, failure)
	}()
	if refused != nil {
		panicked = false
		return refused
	}
	err = next.ServeHTTP(&x.answer, r)
	panicked = false
	if record.WasCancelled(ctx) {
		w.Header().Set("X-Should-Retry", "false") // for OpenAI's SDKs, which would
	}
	return err
}

// nameOf is what the record calls a user.
func (h *Handler) nameOf(user string) string { return h.pseudonyms.of(userID, user) }

// identityOf is what the record says of a client's certificate.
func (h *Handler) identityOf(c *x509.Certificate) identity {
	i := identityOf(c)
	i.subject = h.pseudonyms.of(clientSubject, i.subject)
	return i
}

// begin starts the record with what is known when a request arrives.
func (h *Handler) begin(rec *record.Record, r *http.Request) {
	rec.Start = time.Now()
	rec.RequestID = requestID(r)
	rec.Method = cut(r.Method, 32)
	rec.HTTPVersion = strings.TrimPrefix(r.Proto, "HTTP/")
	rec.Path = cut(r.URL.Path, 1024)
	rec.UserAgent = cut(r.Header.Get("User-Agent"), 256)
	rec.SourceIP, _ = caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	// only a certificate that was verified says who the client is
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		client := h.clients.get(r.TLS.VerifiedChains[0][0])
		rec.ClientSubject, rec.ClientFingerprint = client.subject, client.fingerprint
	}
}

// end completes the record with how the request ended. An error after the status
// was sent cannot change the status any more, but what it was is told.
func end(rec *record.Record, r *http.Request, status int, err error) {
	switch {
	case record.WasCancelled(r.Context()) && (err != nil || status == record.StatusClientGone):
		rec.Explain(record.Cancelled)
	case err == nil:
	case r.Context().Err() != nil && (status < 400 || status >= 500):
		rec.Explain(record.ClientGone) // but who is refused and hangs up was refused
	case status < 400:
		rec.Explain(reasonOf(statusOf(err)))
	}
	rec.Explain(reasonOf(status))
	if rec.Reason == record.ClientGone {
		status = record.StatusClientGone
	}
	rec.Status = status
	rec.Duration = time.Since(rec.Start)
	rec.Sequence = sequence.Add(1)
}

// StatusOf is the status that the client is answered with by a handler that
// wrote answer and returned err. What was written first cannot be taken back,
// unless it was informational (1xx).
func StatusOf(answer interface{ Status() int }, err error) int {
	if status := answer.Status(); status >= 200 {
		return status
	}
	if err == nil {
		return http.StatusOK
	}
	return statusOf(err)
}

// statusOf is the status that an error asks for.
func statusOf(err error) int {
	if he, ok := errors.AsType[caddyhttp.HandlerError](err); ok && he.StatusCode != 0 {
		return he.StatusCode
	}
	return http.StatusInternalServerError
}

// reasonOf explains a status whose cause no handler of ours has told.
func reasonOf(status int) string {
	switch status {
	case http.StatusForbidden:
		// our own handlers explain their 403s; what is left is the allow-list's
		return record.ForbiddenAddress
	case http.StatusUnauthorized:
		return record.NoToken
	case http.StatusNotFound:
		return record.NotFound
	case http.StatusMethodNotAllowed:
		return record.MethodNotAllowed
	case http.StatusRequestEntityTooLarge:
		return record.TooLarge
	case http.StatusTooManyRequests:
		return record.RateLimited
	case record.StatusClientGone:
		return record.ClientGone
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return record.UpstreamError
	}
	switch {
	case status < 400:
		return record.OK
	case status < 500:
		return record.BadRequest
	default:
		return record.InternalError
	}
}

var plainID = regexp.MustCompile(`^[A-Za-z0-9._:-]{1,128}$`)

// requestID is the id a trusted proxy has given the request, or else a new one.
func requestID(r *http.Request) string {
	trusted, _ := caddyhttp.GetVar(r.Context(), caddyhttp.TrustedProxyVarKey).(bool)
	if id := r.Header.Get("X-Request-Id"); trusted && plainID.MatchString(id) {
		return id
	}
	repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	id, _ := repl.GetString("http.request.uuid")
	return id
}

// cut keeps one hostile request from writing a record of megabytes.
func cut(s string, max int) string {
	if len(s) <= max {
		return s
	}
	return strings.ToValidUTF8(s[:max], "")
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddy.CleanerUpper          = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
