package ollamatest

import "net/http"

// Busy says whether the queue is full from now on: then Ollama answers 503 to who
// asks for an answer or a load.
func (h *Handler) Busy(full bool) { h.busy.Store(full) }

// ready waits until the model can answer. If it cannot, it says so and is false.
func (h *Handler) ready(w http.ResponseWriter, r *http.Request, m *Model, options map[string]any) bool {
	switch {
	case h.busy.Load():
		writeJSON(w, http.StatusServiceUnavailable, errorBody{"server busy, please try again.  maximum pending requests exceeded"})
	case !h.load(r.Context(), m, options):
		writeJSON(w, 499, errorBody{"request canceled"})
	default:
		return true
	}
	return false
}
