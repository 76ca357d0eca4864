// Package entry reads what a line of an audit log says, whether its names are dotted
// (`"event.outcome":"success"`) or nested (`"event":{"outcome":"success"}`).
package entry

import "time"

// Entry is what a line says. What it does not say is zero.
type Entry struct {
	Time     time.Time     // @timestamp
	Action   string        // event.action
	Outcome  string        // event.outcome
	Reason   string        // event.reason
	Duration time.Duration // event.duration

	RequestID string // http.request.id
	Method    string // http.request.method
	Status    int    // http.response.status_code
	Path      string // url.path
	SourceIP  string // source.ip
	User      string // user.id

	Conversation  string        // gen_ai.conversation.id
	Operation     string        // gen_ai.operation.name
	Model         string        // gen_ai.request.model
	ResponseModel string        // gen_ai.response.model
	Stream        bool          // gen_ai.request.stream
	Input         *int64        // gen_ai.usage.input_tokens
	Output        *int64        // gen_ai.usage.output_tokens
	Estimated     bool          // labels.usage_estimated
	FirstChunk    time.Duration // gen_ai.response.time_to_first_chunk
}

// IsRequest tells a request's record from a line that the log has written of itself, or
// that some other logger has.
func (e Entry) IsRequest() bool {
	return e.RequestID != "" && e.Outcome != "" && e.Reason != "" && !e.Time.IsZero()
}

// Kind is how a request ended.
type Kind int

// How requests end.
const (
	Answered Kind = iota // as it should
	Refused              // the client was told what is wrong with the request
	Failed               // the gateway or what is behind it could not answer, or not to the end
	Unknown              // nobody can tell: the client left, or the gateway was killed
)

// Kind tells how the request ended.
func (e Entry) Kind() Kind {
	switch {
	case e.Outcome == "success":
		return Answered
	case e.Outcome == "unknown":
		return Unknown
	case e.Status >= 400 && e.Status < 500:
		return Refused
	default:
		return Failed
	}
}
