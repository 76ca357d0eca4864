package console

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/gateway18789/caddy-ollama/auditlog/board"
)

const (
	// beatEvery is how often a viewer is shown that somebody is there.
	beatEvery = 15 * time.Second
	// slowest is how long a viewer may take to read what he was sent, before he is
	// dropped: nothing is kept for him.
	slowest = 5 * time.Second
	// longestLook is when a viewer must come anew: so who is no operator any more is out.
	longestLook = 15 * time.Minute
)

// serveEvents shows a viewer what there is to see, until he leaves, the configuration
// ends or the server stops.
func (h *Handler) serveEvents(w http.ResponseWriter, r *http.Request) error {
	defer h.looking.Add(-1)
	if h.looking.Add(1) > int64(h.Viewers) {
		w.Header().Set("Retry-After", "10")
		return refusal(http.StatusServiceUnavailable, "too many look at this page already")
	}
	header := w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("X-Accel-Buffering", "no") // for an nginx further out
	v := &viewer{w: w, control: http.NewResponseController(w), known: make(map[string][]byte)}
	defer v.control.SetWriteDeadline(time.Time{})

	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	enough := time.NewTimer(longestLook)
	defer enough.Stop()
	if v.hello(time.Now()) != nil {
		return nil
	}
	for {
		if v.show(h.sights.latest(time.Now()), h.board.Ended(v.ended)) != nil {
			return nil // he has left, or is too slow
		}
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return nil
		case <-h.ending.Done():
			return nil
		case <-enough.C:
			return nil
		}
	}
}

// viewer is somebody who looks, and what he knows.
type viewer struct {
	w       http.ResponseWriter
	control *http.ResponseController

	known map[string][]byte // by the events' names
	ended uint64            // number of the last ended request
	last  time.Time         // something was sent
	out   bytes.Buffer
}

// hello begins, and tells what time it is here.
func (v *viewer) hello(now time.Time) error {
	v.event("hello", encode(map[string]time.Time{"time": now.UTC()}))
	return v.send(now)
}

// show sends what he does not know yet, or else, once in a while, a sign of life.
func (v *viewer) show(s sight, ended []board.Ended) error {
	v.changed("now", s.now)
	v.changed("blocks", s.blocks)
	v.changed("hour", s.hour)
	if len(ended) > 0 {
		v.ended = ended[len(ended)-1].Number
		v.event("ended", encode(ended))
	}
	now := time.Now()
	if v.out.Len() == 0 && now.Sub(v.last) >= beatEvery {
		v.out.WriteString(": still here\n\n")
	}
	return v.send(now)
}

func (v *viewer) changed(name string, data []byte) {
	if !bytes.Equal(v.known[name], data) {
		v.known[name] = data
		v.event(name, data)
	}
}

// event adds an event. JSON has no line breaks.
func (v *viewer) event(name string, data []byte) {
	fmt.Fprintf(&v.out, "event: %s\ndata: %s\n\n", name, data)
}

// send sends what there is, if he takes it in time.
func (v *viewer) send(now time.Time) error {
	if v.out.Len() == 0 {
		return nil
	}
	v.last = now
	if err := v.control.SetWriteDeadline(now.Add(slowest)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if _, err := v.out.WriteTo(v.w); err != nil {
		return err
	}
	if err := v.control.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}
