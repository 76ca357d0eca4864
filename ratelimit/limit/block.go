package limit

import "time"

// Block is a client's exclusion for a time.
type Block struct {
	Client Client
	Since  time.Time
	Until  time.Time
	// Cause is why the client is blocked.
	Cause Cause
	// Repeats is how many blocks the client has had before this one.
	Repeats int
}

// Cause of a block.
type Cause string

// Causes of blocks.
const (
	ErrorsInARow   Cause = "errors_in_a_row"
	ErrorsInWindow Cause = "errors_in_window"
	ByHand         Cause = "by_hand"
)
