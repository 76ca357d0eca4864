package limit

import (
	"math"
	"slices"
	"time"
)

// Policy is what is allowed. It stays with who asks a store, so that a
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
	// Queue is how many requests may wait for a slot, and QueueWait for how long; 0: none.
	Queue     int
	QueueWait time.Duration
	// Penalty is how many client-caused errors in a row block a client; 0: never.
	Penalty int
	// PenaltyTime is how long a client stays blocked, and how long an error counts.
	PenaltyTime time.Duration
	// Window is how many errors within WindowTime block a client, whatever was
	// between them; 0: never.
	Window     int
	WindowTime time.Duration
	// PenaltyStatus are the answers that count as client-caused errors.
	PenaltyStatus []int
	// MaxClients bounds how many clients are remembered, and so the memory; 0: any number.
	MaxClients int
	// Gateways is how many share the budget, even if fewer have been seen; 0: as many as
	// have been seen.
	Gateways int
}

// Places is how many clients may be remembered.
func (p *Policy) Places() int {
	if p.MaxClients == 0 {
		return math.MaxInt
	}
	return p.MaxClients
}

// Judgement is what an answer's status says of the client that got it.
type Judgement int

const (
	Neutral Judgement = iota // not the client's doing, or no answer at all
	Success
	ClientError
)

// Judge tells whether status counts for or against the client. Refusals for
// speed (429), clients that left (499) and our own or the upstream's faults
// (5xx) do neither: else one restart of the upstream would block everybody.
func (p *Policy) Judge(status int) Judgement {
	switch {
	case p.Penalty == 0 && p.Window == 0:
		return Neutral
	case slices.Contains(p.PenaltyStatus, status):
		return ClientError
	case status >= 200 && status < 400:
		return Success
	default:
		return Neutral
	}
}

const (
	// longestPenalty is where doubling ends.
	longestPenalty = 24 * time.Hour
	// RepeatedWithin is how long after the end of a block another one counts as a
	// repetition.
	RepeatedWithin = 24 * time.Hour
)

// BlockTime is how long a client is blocked that has been blocked before, repeats
// times: each time twice as long.
func (p *Policy) BlockTime(repeats int) time.Duration {
	longest := max(longestPenalty, p.PenaltyTime)
	blockTime := p.PenaltyTime
	for ; repeats > 0 && blockTime < longest; repeats-- {
		blockTime *= 2
	}
	return min(blockTime, longest)
}

// Quota is where a client stands with its rate, when due is when its next request
// would be due had it sent all its requests evenly, counted from now.
func (p *Policy) Quota(due time.Duration) Quota {
	if p.Interval == 0 {
		return Quota{}
	}
	due = max(due, 0)
	free := time.Duration(p.Burst)*p.Interval - due
	return Quota{Limit: p.Burst, Remaining: max(0, int(free/p.Interval)), Reset: due}
}

// NoQuota is where a client stands that may ask for nothing until wait is over.
func (p *Policy) NoQuota(wait time.Duration) Quota {
	if p.Interval == 0 {
		return Quota{}
	}
	return Quota{Limit: p.Burst, Reset: wait}
}
