package placement

import "container/list"

// recent remembers where conversations went, of those used last.
type recent struct {
	order   list.List // of *place, the last used in front
	entries map[string]*list.Element
}

type place struct{ conversation, address string }

// get is where the conversation went last; empty if that is not known any more.
func (r *recent) get(conversation string) string {
	if e := r.entries[conversation]; e != nil {
		return e.Value.(*place).address
	}
	return ""
}

// set notes where a conversation goes, and forgets the oldest beyond limit.
func (r *recent) set(conversation, address string, limit int) {
	if e := r.entries[conversation]; e != nil {
		e.Value.(*place).address = address
		r.order.MoveToFront(e)
	} else {
		if r.entries == nil {
			r.entries = make(map[string]*list.Element)
		}
		r.entries[conversation] = r.order.PushFront(&place{conversation, address})
	}
	for r.order.Len() > limit {
		oldest := r.order.Back()
		delete(r.entries, r.order.Remove(oldest).(*place).conversation)
	}
}
