package memory

// Key names a client: an address in its IPv6 form, masked to the prefix that
// counts as one client. It holds no pointer, so that the garbage collector
// never walks the table of clients.
type Key [16]byte

// client is what is remembered of one client. Times are nanoseconds on the
// zone's own clock.
type client struct {
	// nextDue is GCRA's theoretical arrival time: when the client's next request
	// would be due had it sent all its requests evenly (ITU-T I.371, virtual
	// scheduling form).
	nextDue int64
	// blockedUntil is when the client's block ends; in the past if it has none.
	blockedUntil int64
	// errorsUntil is when the errors counted so far are forgotten.
	errorsUntil int64
	inFlight    int32
	errors      int32
}

// rateWait is how long the client must wait until its next request conforms; 0
// or less if it does now. From idle exactly burst requests conform at once.
func (c *client) rateWait(p Policy, now int64) int64 {
	tolerance := int64(p.Burst-1) * int64(p.Interval)
	return c.nextDue - tolerance - now
}

// forgive cuts what the client owes from a stricter rate, before a reload, down to
// what it could owe under p, and reports whether it did.
func (c *client) forgive(p Policy, now int64) bool {
	most := now + int64(p.Burst)*int64(p.Interval)
	if p.Interval == 0 || c.nextDue <= most {
		return false
	}
	c.nextDue = most
	return true
}

// take counts one request against the client's rate.
func (c *client) take(p Policy, now int64) {
	c.nextDue = max(c.nextDue, now) + int64(p.Interval)
}

// blockedWait is how long the client must wait until it is let in again after a
// block: for the block's end, and for its rate as well. 0 or less: not blocked.
func (c *client) blockedWait(p Policy, now int64) int64 {
	wait := c.blockedUntil - now
	if wait > 0 && p.Interval > 0 {
		wait = max(wait, c.rateWait(p, now))
	}
	return wait
}

// settle counts the answer that the client got, and reports whether the client
// is blocked for it. What was in flight when a block began does not prolong it:
// the client has been told when it ends.
func (c *client) settle(p Policy, status int, now int64) (blocked bool) {
	if p.PenaltyErrors == 0 || c.blockedUntil > now {
		return false
	}
	switch p.judge(status) {
	case success:
		c.errors = 0
	case clientError:
		if now >= c.errorsUntil {
			c.errors = 0
		}
		c.errors++
		c.errorsUntil = now + int64(p.PenaltyTime)
		if int(c.errors) >= p.PenaltyErrors {
			c.errors = 0
			c.blockedUntil = now + int64(p.PenaltyTime)
			return true
		}
	}
	return false
}

// forgettable reports whether the client is as good as one never seen.
func (c *client) forgettable(now int64) bool {
	return c.inFlight == 0 && c.nextDue <= now && c.blockedUntil <= now &&
		(c.errors == 0 || c.errorsUntil <= now)
}
