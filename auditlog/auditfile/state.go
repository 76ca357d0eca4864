package auditfile

import (
	"cmp"
	"slices"
	"sync"
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

var watchers struct {
	sync.Mutex
	next int
	told map[int]func(path string, trouble error)
}

// Watch has f called when an audit file can no longer be written, and with a nil trouble
// when it can be again, until it is removed. What f does is done before anything else is
// for that file; it must not take long.
func Watch(f func(path string, trouble error)) (remove func()) {
	watchers.Lock()
	defer watchers.Unlock()
	id := watchers.next
	watchers.next++
	if watchers.told == nil {
		watchers.told = make(map[int]func(string, error))
	}
	watchers.told[id] = f
	return func() {
		watchers.Lock()
		defer watchers.Unlock()
		delete(watchers.told, id)
	}
}

// tell tells the watchers.
func (p *place) tell(trouble error) {
	watchers.Lock()
	told := make([]func(string, error), 0, len(watchers.told))
	for _, f := range watchers.told {
		told = append(told, f)
	}
	watchers.Unlock()
	for _, f := range told {
		f(p.path, trouble)
	}
}
