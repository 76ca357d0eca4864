package auditfile

import (
	"cmp"
	"slices"
)

// State is how an audit file is doing, for metrics.
type State struct {
	Path     string
	Trouble  error  // why it cannot be written, nil if it can
	Sequence uint64 // the number of its last line
	Lost     uint64 // lines that were never written, since it was opened
	Refused  uint64 // requests that were not served because of that, since the start
	// Unshipped is how many lines their receiver has not acknowledged, if they are shipped.
	Unshipped uint64
}

// States are those of the audit files that are open, by their paths.
func States() (states []State) {
	places.Lock()
	defer places.Unlock()
	for path, p := range places.byPath {
		if log := p.log.Load(); log != nil {
			state := State{path, log.Trouble(), log.Sequence(), log.Lost(), p.refused.Load(), 0}
			if shipper := p.shipper.Load(); shipper != nil {
				state.Unshipped = shipper.Lag()
			}
			states = append(states, state)
		}
	}
	slices.SortFunc(states, func(a, b State) int { return cmp.Compare(a.Path, b.Path) })
	return states
}
