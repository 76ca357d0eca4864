// Package record holds what the audit log will say of one request.
//
// The audit_log handler makes a Record, puts it into the request's context and
// writes it when the request has ended; the handlers inside fill in what they
// alone know. Field names are ECS's, and OpenTelemetry's GenAI names where ECS has
// none. Our own are below `labels` and, where they are numbers, below `ollama`: ECS
// takes labels for text, which cannot be averaged.
package record

import (
	"context"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/gateway18789/caddy-ollama/auditlog/timestamp"
)

// Record is one request's audit record. Empty fields that the design marks as
// optional are left out. A Record is filled by the request's own goroutine only.
//
// A client's text in it is cut before it gets here; of a URL there is the path only,
// for some clients put their keys into the query.
type Record struct {
	Start    time.Time     // @timestamp: when the request came
	Duration time.Duration // event.duration, ns
	Reason   string        // event.reason: why the request ended as it did; see Explain
	Sequence uint64        // event.sequence: counts the records of this process

	RequestID   string // http.request.id; the client sees it as X-Request-Id
	Method      string // http.request.method
	HTTPVersion string // http.version: 1.1, 2.0 or 3.0
	Path        string // url.path
	Status      int    // http.response.status_code
	SourceIP    string // source.ip: Caddy's client IP
	UserAgent   string // user_agent.original
	UserID      string // user.id: the token's subject
	// QueueWait is how long the request waited in ip_throttle for a slot:
	// ollama.queue_duration, ns, left out if it did not wait.
	QueueWait time.Duration

	// TraceID and SpanID are those of the request's span, where Caddy traces (trace.id,
	// span.id).
	TraceID, SpanID string

	// ClientSubject is the distinguished name of the client's certificate
	// (tls.client.subject), ClientFingerprint the SHA-256 of its DER form, upper-case hex
	// as ECS has it (tls.client.hash.sha256).
	ClientSubject, ClientFingerprint string

	// What follows is left out if Operation is empty, because the request was no model
	// call, but for ConversationID.

	Operation     string   // gen_ai.operation.name: chat, text_completion or embeddings
	Provider      string   // gen_ai.provider.name: ollama, or openai_compatible
	RequestModel  string   // gen_ai.request.model, as the client calls it
	ResponseModel string   // gen_ai.response.model, as the upstream calls it
	Stream        bool     // gen_ai.request.stream
	Usage         *Usage   // gen_ai.usage.input_tokens and .output_tokens
	FinishReasons []string // gen_ai.response.finish_reasons
	// TimeToFirstChunk is what a stream's client waited for the first word:
	// gen_ai.response.time_to_first_chunk, s. What is not streamed has none.
	TimeToFirstChunk time.Duration
	ConversationID   string // gen_ai.conversation.id
	// ContextTruncated says that the upstream has dropped a part of the conversation:
	// labels.context_truncated.
	ContextTruncated bool

	// LoadDuration is how long the request waited for its model to be loaded: for a load
	// that it shared with others, if that has loaded it, and what Ollama counts for it alone
	// (ollama.load_duration). PromptDuration is how long Ollama took to read the prompt
	// (ollama.prompt_eval_duration), GenerationDuration how long to write the answer
	// (ollama.eval_duration). All are in ns, of all choices together, named as Ollama
	// names them, and left out if Ollama did not tell.
	LoadDuration, PromptDuration, GenerationDuration time.Duration

	// What follows is for metrics and events, and in no log.

	// Model is which model is meant, by its real name as far as the configuration tells.
	Model string
	// Chunks is how many pieces of its answer a stream's client was sent, ChunksFor how
	// long it took from the first to the last.
	Chunks    int
	ChunksFor time.Duration
	// UpstreamTurns are the upstreams that have been found to be down, or up again, since
	// the request before.
	UpstreamTurns []UpstreamTurn

	atEnd []func()
	live  *Live // nil: nobody looks while the request goes on
}

// UpstreamTurn is an upstream that went down or came back.
type UpstreamTurn struct {
	Address string // empty if there was none to ask
	Up      bool
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
	enc.AddString("@timestamp", timestamp.String(r.Start))
	enc.AddInt64("event.duration", r.Duration.Nanoseconds())
	enc.AddString("event.outcome", r.Outcome())
	enc.AddString("event.reason", r.Reason)
	enc.AddUint64("event.sequence", r.Sequence)
	enc.AddString("http.request.id", r.RequestID)
	enc.AddString("http.request.method", r.Method)
	addNonEmpty(enc, "http.version", r.HTTPVersion)
	enc.AddString("url.path", r.Path)
	enc.AddInt("http.response.status_code", r.Status)
	enc.AddString("source.ip", r.SourceIP)
	addNonEmpty(enc, "user_agent.original", r.UserAgent)
	addNonEmpty(enc, "user.id", r.UserID)
	addPositive(enc, "ollama.queue_duration", r.QueueWait)
	addNonEmpty(enc, "tls.client.subject", r.ClientSubject)
	addNonEmpty(enc, "tls.client.hash.sha256", r.ClientFingerprint)
	addNonEmpty(enc, "trace.id", r.TraceID)
	addNonEmpty(enc, "span.id", r.SpanID)
	addNonEmpty(enc, "gen_ai.conversation.id", r.ConversationID)
	if r.Operation == "" {
		return nil
	}
	enc.AddString("gen_ai.operation.name", r.Operation)
	addNonEmpty(enc, "gen_ai.provider.name", r.Provider)
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
	addPositive(enc, "ollama.load_duration", r.LoadDuration)
	addPositive(enc, "ollama.prompt_eval_duration", r.PromptDuration)
	addPositive(enc, "ollama.eval_duration", r.GenerationDuration)
	if r.ContextTruncated {
		enc.AddBool("labels.context_truncated", true)
	}
	if len(r.FinishReasons) > 0 {
		return enc.AddArray("gen_ai.response.finish_reasons", (*texts)(&r.FinishReasons))
	}
	return nil
}

// Fields are the record's fields, as the log has them, by their dotted names.
func (r *Record) Fields() map[string]any {
	enc := zapcore.NewMapObjectEncoder()
	_ = r.MarshalLogObject(enc) // a map takes everything
	return enc.Fields
}

// AtEnd has f called when the record is complete and has been written. It is for what
// happens in the midst of a request and is to be told with its record.
func (r *Record) AtEnd(f func()) { r.atEnd = append(r.atEnd, f) }

// End calls what was to be called at the end.
func (r *Record) End() {
	for _, f := range r.atEnd {
		f()
	}
}

func addNonEmpty(enc zapcore.ObjectEncoder, name, value string) {
	if value != "" {
		enc.AddString(name, value)
	}
}

func addPositive(enc zapcore.ObjectEncoder, name string, d time.Duration) {
	if d > 0 {
		enc.AddInt64(name, d.Nanoseconds())
	}
}

type texts []string

func (t *texts) MarshalLogArray(enc zapcore.ArrayEncoder) error {
	for _, s := range *t {
		enc.AppendString(s)
	}
	return nil
}

type contextKey struct{}

// NewContext returns a context that carries r to the handlers inside audit_log.
func NewContext(ctx context.Context, r *Record) context.Context {
	return context.WithValue(ctx, contextKey{}, r)
}

// Of returns the request's record, if an audit_log handler stands outside.
func Of(ctx context.Context) (r *Record, recorded bool) {
	r, recorded = ctx.Value(contextKey{}).(*Record)
	return r, recorded
}

// Ensure returns the request's record, and a context that has it: where no audit_log
// handler stands outside, that of a new record.
func Ensure(ctx context.Context) (context.Context, *Record) {
	if r, ok := Of(ctx); ok {
		return ctx, r
	}
	r := new(Record)
	return NewContext(ctx, r), r
}

// From returns the request's record. Where no audit_log handler stands outside,
// it returns one that nobody will read, so that callers need no second path.
func From(ctx context.Context) *Record {
	if r, ok := Of(ctx); ok {
		return r
	}
	return new(Record)
}
