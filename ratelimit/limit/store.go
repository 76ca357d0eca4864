package limit

import "time"

// Store decides, and remembers what it needs for that. Whoever shares one shares
// its budget. It is safe for concurrent use.
type Store interface {
	// Admit decides whether a request of the client may pass. If it may, the ticket
	// must be released exactly once when it has ended. A refused request counts for nothing.
	Admit(who Client, p *Policy) Decision

	// Block blocks a client by hand, from now on for as long as given.
	Block(who Client, length time.Duration) Block
	// Unblock lifts the client's block, and forgets what led to it. It reports whether
	// the client was blocked.
	Unblock(key Key) bool
	// Blocks returns the blocks that are in force, and those that have ended but
	// count when their clients are blocked again.
	Blocks() []Block

	BlocksInForce() int // clients that are blocked now
	InFlight() int      // requests that this process has in flight
	Waiting() int       // requests that wait for a slot in this process
	Clients() int       // clients that this process remembers
}
