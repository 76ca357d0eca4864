// Package genai says what the record of a request comes to in the terms of
// OpenTelemetry's conventions for generative AI: as measures, and as attributes of a span.
// It knows records and nothing of Caddy.
package genai

import (
	"time"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
)

// The limits of buckets that the conventions name for seconds and for tokens.
var (
	Seconds = []float64{.01, .02, .04, .08, .16, .32, .64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92}
	Tokens  = []float64{1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864}
)

// Measures are what is measured of one request. A nil one does not apply.
type Measures struct {
	Operation string
	ErrorType string // empty if it succeeded

	Duration time.Duration
	// TimeToFirstChunk and TimePerOutputChunk are of streams. The latter is the mean of one
	// answer: the time from the first chunk to the last, by the number of those after the
	// first. The conventions would have each of them, which tells of no request how fast it
	// was, and lets long answers outvote short ones.
	TimeToFirstChunk, TimePerOutputChunk *time.Duration
	// InputTokens and OutputTokens are what the upstream has counted. What was estimated is
	// not measured.
	InputTokens, OutputTokens *int
}

// Measure returns what there is to measure of a request. It is false if the request was no
// model call.
func Measure(rec *record.Record) (m Measures, is bool) {
	if rec.Operation == "" {
		return m, false
	}
	m = Measures{Operation: rec.Operation, ErrorType: ErrorType(rec), Duration: rec.Duration}
	if rec.TimeToFirstChunk > 0 {
		m.TimeToFirstChunk = &rec.TimeToFirstChunk
	}
	if rec.Chunks > 1 {
		each := rec.ChunksFor / time.Duration(rec.Chunks-1)
		m.TimePerOutputChunk = &each
	}
	if u := rec.Usage; u != nil && !u.Estimated {
		m.InputTokens = &u.InputTokens
		if rec.Operation != "embeddings" { // which have no output in tokens
			m.OutputTokens = &u.OutputTokens
		}
	}
	return m, true
}

// ErrorType is why a request failed, or its client left: the class of its reason. It is
// empty if it succeeded.
func ErrorType(rec *record.Record) string {
	if rec.Reason == record.OK {
		return ""
	}
	return rec.ReasonClass()
}
