package auditlog

import (
	"errors"
	"net/http"
	"testing"

	"github.com/gateway18789/caddy-ollama/auditlog/board"
	"github.com/gateway18789/caddy-ollama/auditlog/record"
)

// onBoard makes a board the process's as long as the test lasts.
func onBoard(t *testing.T) *board.Board {
	t.Helper()
	b := board.New()
	board.Use(b)
	t.Cleanup(func() { board.Drop(b) })
	return b
}

// cancelling cancels its request, as an operator does, before then.
func cancelling(t *testing.T, b *board.Board, then next) next {
	return func(w http.ResponseWriter, r *http.Request) error {
		shown, _ := b.InFlight(1)
		if len(shown) != 1 {
			t.Fatalf("%d in flight", len(shown))
		}
		if _, ok := b.Cancel(shown[0].Key); !ok {
			t.Fatal("it cannot be cancelled")
		}
		<-r.Context().Done()
		return then(w, r)
	}
}

func TestACancelledRequestSaysSo(t *testing.T) {
	cut := func(w http.ResponseWriter, _ *http.Request) error {
		w.WriteHeader(200)
		panic(http.ErrAbortHandler) // as reverse_proxy does
	}
	for _, test := range []struct {
		name    string
		inner   next
		status  int
		reason  string
		outcome string
	}{
		{"with an error", fail(503), 503, "cancelled", "failure"},
		{"with an error that knows nothing of it", fail(502), 502, "cancelled", "failure"},
		{"as reverse_proxy ends it before the answer", write(499), 499, "cancelled", "failure"},
		{"as reverse_proxy ends it in the midst of the answer", cut, 200, "cancelled", "failure"},
		{"unless it has been answered well", write(200), 200, "ok", "success"},
		{"unless it failed of something else", explain(record.UpstreamError, fail(502)), 502, "upstream_error", "failure"},
	} {
		t.Run(test.name, func(t *testing.T) {
			b, a := onBoard(t), newAudit(t)
			got := a.serve(t, newRequest("POST", "/v1/chat/completions"), cancelling(t, b, test.inner))
			check(t, got, test.status, test.reason, test.outcome)
			if got.err != nil && got.header.Get("X-Should-Retry") != "false" {
				t.Error("an SDK would try again")
			}
			if ended := b.Ended(0); len(ended) != 1 || ended[0].Reason != test.reason || ended[0].Status != test.status {
				t.Errorf("on the board: %+v", ended)
			}
			if shown, _ := b.InFlight(1); len(shown) != 0 {
				t.Errorf("still in flight: %+v", shown)
			}
		})
	}
}

// Who panics, or is refused because no record can be written, must not stay there.
func TestNothingStaysOnTheBoard(t *testing.T) {
	b, a := onBoard(t), newAudit(t)
	a.serve(t, newRequest("GET", "/"), func(http.ResponseWriter, *http.Request) error { panic("bug") })
	a.serve(t, newRequest("GET", "/"), func(http.ResponseWriter, *http.Request) error { return errors.New("failed") })
	if shown, all := b.InFlight(1); all != 0 {
		t.Errorf("in flight: %+v", shown)
	}
}

func TestWithoutCancellingSDKsMayTryAgain(t *testing.T) {
	onBoard(t)
	got := newAudit(t).serve(t, newRequest("GET", "/"), fail(503))
	if got.header.Get("X-Should-Retry") != "" {
		t.Error("they are told not to")
	}
}

// Where the record names nobody, the board names nobody.
func TestTheBoardHasPseudonyms(t *testing.T) {
	b := onBoard(t)
	a := newAuditWith(t, Handler{Pseudonymize: map[string]string{userID: "a key of at least thirty-two bytes"}})
	got := a.serve(t, newRequest("GET", "/"), func(w http.ResponseWriter, r *http.Request) error {
		rec := record.From(r.Context())
		rec.UserID = "anna"
		rec.Show()
		if shown, _ := b.InFlight(1); shown[0].User != a.handler.nameOf("anna") || shown[0].User == "anna" {
			t.Errorf("in flight: %+v", shown)
		}
		return nil
	})
	if ended := b.Ended(0); ended[0].User != got.fields["user.id"] || ended[0].User == "anna" {
		t.Errorf("ended: %+v", ended)
	}
}
