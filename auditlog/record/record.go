// Package record holds what the audit log will say of one request.
//
// The audit_log handler makes a Record, puts it into the request's context and
// writes it when the request has ended; the handlers inside fill in what they
// alone know. Field names are ECS's, and OpenTelemetry's GenAI names where ECS
// has none.
package record

import (
	"context"
	"time"

	"go.uber.org/zap/zapcore"
)

// Reasons of event.reason that more than one handler gives or asks for.
// A refused token's reason is BadToken followed by the cause.
const (
	OK                    = "ok"
	NoToken               = "no_token"
	BadToken              = "bad_token:"
	RateLimited           = "rate_limited"
	Blocked               = "blocked"
	OverCapacity          = "over_capacity"
	StoreUnavailable      = "store_unavailable" // which knows whether a request may pass
	ForbiddenAddress      = "forbidden_address"
	BadRequest            = "bad_request"
	TooLarge              = "too_large"
	NotFound              = "not_found"
	MethodNotAllowed      = "method_not_allowed"
	ModelNotFound         = "model_not_found"
	ClientGone            = "client_gone"
	ContextLengthExceeded = "context_length_exceeded"
	UpstreamError         = "upstream_error"
	UpstreamStalled       = "upstream_stalled"
	ShuttingDown          = "shutting_down"
	InternalError         = "internal_error"
)

// StatusClientGone is what a record says when the client left before its answer
// was complete: nginx's 499, which Caddy's reverse_proxy uses too.
const StatusClientGone = 499

// Record is one request's audit record. Empty fields that the design marks as
// optional are left out. A Record is filled by the request's own goroutine only.
type Record struct {
	Start    time.Time
	Duration time.Duration
	// Reason is why the request ended as it did; see Explain.
	Reason   string
	Sequence uint64

	RequestID string
	Method    string
	Path      string
	Status    int
	SourceIP  string
	UserID    string

	ClientSubject     string // distinguished name of the client's certificate
	ClientFingerprint string // SHA-256 of its DER form, upper-case hex as ECS has it

	Operation        string // chat, embeddings, …; empty if the request was no model call
	RequestModel     string
	ResponseModel    string
	Stream           bool
	Usage            *Usage
	FinishReasons    []string
	TimeToFirstChunk time.Duration
	ConversationID   string
	// ContextTruncated says that the upstream has dropped a part of the conversation.
	ContextTruncated bool
}

// Usage is the number of tokens a request cost.
type Usage struct {
	InputTokens, OutputTokens int
	// Estimated says that the upstream's own count never came: OutputTokens were
	// counted from what did, and InputTokens are not known.
	Estimated bool
}

// Explain gives the request's ending a reason. The first explanation stays: the
// handler nearest to the cause speaks first.
func (r *Record) Explain(reason string) {
	if r.Reason == "" {
		r.Reason = reason
	}
}

// Outcome is ECS's event.outcome: success, failure, or unknown when the client
// left before anybody could tell.
func (r *Record) Outcome() string {
	switch r.Reason {
	case OK:
		return "success"
	case ClientGone:
		return "unknown"
	default:
		return "failure"
	}
}

// MarshalLogObject writes the record's fields, names dotted as Elasticsearch reads them.
func (r *Record) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	enc.AddString("@timestamp", r.Start.UTC().Format("2006-01-02T15:04:05.000000Z"))
	enc.AddInt64("event.duration", r.Duration.Nanoseconds())
	enc.AddString("event.outcome", r.Outcome())
	enc.AddString("event.reason", r.Reason)
	enc.AddUint64("event.sequence", r.Sequence)
	enc.AddString("http.request.id", r.RequestID)
	enc.AddString("http.request.method", r.Method)
	enc.AddString("url.path", r.Path)
	enc.AddInt("http.response.status_code", r.Status)
	enc.AddString("source.ip", r.SourceIP)
	addNonEmpty(enc, "user.id", r.UserID)
	addNonEmpty(enc, "tls.client.subject", r.ClientSubject)
	addNonEmpty(enc, "tls.client.hash.sha256", r.ClientFingerprint)
	addNonEmpty(enc, "gen_ai.conversation.id", r.ConversationID)
	if r.Operation == "" {
		return nil
	}
	enc.AddString("gen_ai.operation.name", r.Operation)
	enc.AddBool("gen_ai.request.stream", r.Stream)
	addNonEmpty(enc, "gen_ai.request.model", r.RequestModel)
	addNonEmpty(enc, "gen_ai.response.model", r.ResponseModel)
	if r.TimeToFirstChunk > 0 {
		enc.AddFloat64("gen_ai.response.time_to_first_chunk", r.TimeToFirstChunk.Seconds())
	}
	if u := r.Usage; u != nil {
		enc.AddInt("gen_ai.usage.output_tokens", u.OutputTokens)
		if u.Estimated {
			enc.AddBool("labels.usage_estimated", true)
		} else {
			enc.AddInt("gen_ai.usage.input_tokens", u.InputTokens)
		}
	}
	if r.ContextTruncated {
		enc.AddBool("labels.context_truncated", true)
	}
	if len(r.FinishReasons) > 0 {
		return enc.AddArray("gen_ai.response.finish_reasons", texts(r.FinishReasons))
	}
	return nil
}

func addNonEmpty(enc zapcore.ObjectEncoder, name, value string) {
	if value != "" {
		enc.AddString(name, value)
	}
}

type texts []string

func (t texts) MarshalLogArray(enc zapcore.ArrayEncoder) error {
	for _, s := range t {
		enc.AppendString(s)
	}
	return nil
}

type contextKey struct{}

// NewContext returns a context that carries r to the handlers inside audit_log.
func NewContext(ctx context.Context, r *Record) context.Context {
	return context.WithValue(ctx, contextKey{}, r)
}

// From returns the request's record. Where no audit_log handler stands outside,
// it returns one that nobody will read, so that callers need no second path.
func From(ctx context.Context) *Record {
	if r, ok := ctx.Value(contextKey{}).(*Record); ok {
		return r
	}
	return new(Record)
}
