// Package memory decides, in this process's memory, which requests may pass:
// how fast each client may ask, how many requests may be in flight, and which
// clients are blocked. It knows nothing of HTTP but status codes.
package memory

import (
	"fmt"
	"slices"
	"time"
)

// Policy is what a caller of a Zone allows. It stays with the caller, so that a
// configuration that is rejected changes nothing that is live.
type Policy struct {
	// Interval between two requests of one client in the long run; 0: no rate limit.
	Interval time.Duration
	// Burst is how many requests a client may send at once from idle; at least 1.
	Burst int
	// Concurrency is how many requests of all clients may be in flight; 0: any number.
	Concurrency int
	// PerClient is how many requests of one client may be in flight; 0: any number.
	PerClient int
	// PenaltyErrors is how many client-caused errors in a row block a client; 0: never.
	PenaltyErrors int
	// PenaltyTime is how long a client stays blocked, and how long an error counts.
	PenaltyTime time.Duration
	// PenaltyStatus are the answers that count as client-caused errors.
	PenaltyStatus []int
	// MaxClients bounds how many clients are remembered, and so the memory.
	MaxClients int
}

// judgement is what an answer's status says of the client that got it.
type judgement int

const (
	neutral judgement = iota // not the client's doing, or no answer at all
	success
	clientError
)

// judge tells whether status counts for or against the client. Refusals for
// speed (429), clients that left (499) and our own or the upstream's faults
// (5xx) do neither: else one restart of the upstream would block everybody.
func (p Policy) judge(status int) judgement {
	switch {
	case slices.Contains(p.PenaltyStatus, status):
		return clientError
	case status >= 200 && status < 400:
		return success
	default:
		return neutral
	}
}

// Refusal is why a request may not pass, and when another one may.
type Refusal struct {
	Reason Reason
	// RetryAfter is exact for RateLimited and Blocked, an estimate for the others.
	RetryAfter time.Duration
}

// Reason of a refusal.
type Reason int

// Reasons of refusals.
const (
	RateLimited Reason = iota + 1
	Blocked
	OverCapacity
	ClientOverCapacity
)

func (r Reason) String() string {
	switch r {
	case RateLimited:
		return "rate limited"
	case Blocked:
		return "blocked"
	case OverCapacity:
		return "over capacity"
	case ClientOverCapacity:
		return "client over capacity"
	default:
		return fmt.Sprintf("reason %d", int(r))
	}
}
