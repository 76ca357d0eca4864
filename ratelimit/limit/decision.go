package limit

import (
	"context"
	"fmt"
	"time"
)

// Decision is how a request fares: it has a Ticket and may pass, it has a Place
// where it can wait, or it is refused for a Reason.
type Decision struct {
	Ticket Ticket
	Place  Place
	// Reason is why the request is refused; 0 if it is not.
	Reason Reason
	// RetryAfter is when another request may pass: exact for RateLimited and
	// Blocked, an estimate for the others.
	RetryAfter time.Duration
	// Quota is where the client stands with its rate after this request.
	Quota Quota
}

// Ticket is one admitted request.
type Ticket interface {
	// Release ends the request. status is the answer that the client got, 0 if it
	// got none. It returns the block if the client is now blocked for it. Only the
	// first call counts.
	Release(status int) *Block
}

// Place is one request that waits for a slot.
type Place interface {
	// Wait returns once there is a slot, or the time is up, or the context is done
	// because the client has left: then it is refused as Gone. It must be called once.
	Wait(ctx context.Context) Decision
}

// Quota is where a client stands with its rate. Limit is 0 if it has none.
type Quota struct {
	Limit     int           // requests at once from idle
	Remaining int           // requests that would pass now
	Reset     time.Duration // until all of Limit would pass again
}

// Reason of a refusal.
type Reason int

// Reasons of refusals.
const (
	RateLimited Reason = iota + 1
	Blocked
	OverCapacity       // too many requests in flight, of all
	ClientOverCapacity // too many requests in flight, of this client
	Gone               // the client left while it waited
	Unavailable        // nobody can decide
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
	case Gone:
		return "client gone"
	case Unavailable:
		return "unavailable"
	default:
		return fmt.Sprintf("reason %d", int(r))
	}
}
