package limit

import "time"

// Share is what one of so many gateways may let pass when they cannot agree: all
// shares together are the budget, but for rounding. None is closed altogether, so
// a budget smaller than the number of gateways is exceeded by one request each.
func (p *Policy) Share(gateways int) *Policy {
	share := *p
	if gateways <= 1 {
		return &share
	}
	// The time in which an empty budget fills up stays the same, burst times
	// interval: so what a client owes of the whole it owes of its share.
	share.Burst = max(1, p.Burst/gateways)
	share.Interval = p.Interval * time.Duration(gateways)
	if p.Concurrency > 0 {
		share.Concurrency = max(1, p.Concurrency/gateways)
	}
	if p.PerClient > 0 {
		share.PerClient = max(1, p.PerClient/gateways)
	}
	return &share
}
