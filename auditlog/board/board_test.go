package board

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
)

// use makes a new board the process's as long as the test lasts.
func use(t *testing.T) *Board {
	t.Helper()
	b := New()
	Use(b)
	t.Cleanup(func() { Drop(b) })
	return b
}

func asIs(name string) string { return name }

func TestWithoutABoardARequestIsLeftAlone(t *testing.T) {
	rec := new(record.Record)
	ctx, e := Begin(t.Context(), rec, asIs)
	if ctx != t.Context() || e != nil {
		t.Errorf("the context %v, the entry %v", ctx, e)
	}
	rec.Show()
	rec.ShowTokens(7)
	Hide(ctx)
	e.End(rec)
	if allocated := testing.AllocsPerRun(100, func() {
		_, e := Begin(ctx, rec, asIs)
		rec.Show()
		rec.ShowTokens(1)
		e.End(rec)
	}); allocated > 0 {
		t.Errorf("%v allocations for nobody", allocated)
	}
}

func TestARequestIsShownAsFarAsItHasCome(t *testing.T) {
	b := use(t)
	rec := &record.Record{Start: time.Unix(1_700_000_000, 0), RequestID: "r1", Method: "POST", Path: "/v1/chat/completions", SourceIP: "192.0.2.1"}
	_, e := Begin(t.Context(), rec, func(name string) string { return strings.ToUpper(name) })
	want := Open{Key: 1, RequestID: "r1", Since: rec.Start.UTC(), Method: "POST", Path: "/v1/chat/completions", Source: "192.0.2.1"}
	check := func() {
		t.Helper()
		if shown, all := b.InFlight(10); len(shown) != 1 || all != 1 || shown[0] != want {
			t.Errorf("shown %+v of %d, want %+v", shown, all, want)
		}
	}
	check()
	rec.UserID = "anna"
	check() // what is not shown is the request's own
	rec.Operation, rec.RequestModel, rec.Stream = "chat", "hello", true
	rec.Show()
	rec.ShowTokens(3)
	want.User, want.Operation, want.Model, want.Stream, want.Tokens = "ANNA", "chat", "hello", true, 3
	check()
	rec.TimeToFirstChunk = time.Second
	rec.Show()
	want.FirstChunk = 1
	check()
	e.End(rec)
	if shown, all := b.InFlight(10); len(shown) != 0 || all != 0 {
		t.Errorf("shown after its end: %+v", shown)
	}
}

func TestCancelEndsTheContextOfOneRequest(t *testing.T) {
	b := use(t)
	one, entry := Begin(t.Context(), &record.Record{RequestID: "one"}, asIs)
	other, _ := Begin(t.Context(), &record.Record{RequestID: "other"}, asIs)
	if id, ok := b.Cancel(entry.key); id != "one" || !ok {
		t.Errorf("cancelled %q, %v", id, ok)
	}
	if !record.WasCancelled(one) || !errors.Is(context.Cause(one), record.ErrCancelled) {
		t.Errorf("its context ends with %v", context.Cause(one))
	}
	if shown, _ := b.InFlight(2); !shown[0].Cancelled || shown[1].Cancelled {
		t.Errorf("shown %+v", shown)
	}
	if other.Err() != nil {
		t.Error("the other's has ended, too")
	}
	entry.End(new(record.Record))
	for _, key := range []uint64{entry.key, 0, 99} {
		if _, ok := b.Cancel(key); ok {
			t.Errorf("cancelled %d, which is not in flight", key)
		}
	}
}

func TestAClientThatLeavesIsNotCancelled(t *testing.T) {
	b := use(t)
	client, leave := context.WithCancel(t.Context())
	ctx, e := Begin(client, new(record.Record), asIs)
	leave()
	b.Cancel(e.key) // too late
	if record.WasCancelled(ctx) {
		t.Error("it counts as cancelled")
	}
}

func TestARequestThatHasEndedWellIsNotCancelled(t *testing.T) {
	use(t)
	ctx, e := Begin(t.Context(), new(record.Record), asIs)
	e.End(new(record.Record))
	if record.WasCancelled(ctx) {
		t.Error("it counts as cancelled")
	}
	if ctx.Err() == nil {
		t.Error("what waits for its end waits for ever")
	}
}

func TestWhoOnlyLooksIsNotShown(t *testing.T) {
	b := use(t)
	ctx, e := Begin(t.Context(), new(record.Record), asIs)
	Hide(ctx)
	if shown, all := b.InFlight(10); len(shown) != 0 || all != 0 {
		t.Errorf("in flight: %+v", shown)
	}
	e.End(&record.Record{Reason: record.OK})
	if ended := b.Ended(0); len(ended) != 0 {
		t.Errorf("ended: %+v", ended)
	}
	if h := b.Hour(time.Now()); len(h.Reasons) != 0 {
		t.Errorf("counted: %+v", h.Reasons)
	}
}

func TestTheOldestInFlightAreShownAndAllCounted(t *testing.T) {
	b := use(t)
	for i := range 5 {
		Begin(t.Context(), &record.Record{RequestID: fmt.Sprint(i)}, asIs)
	}
	shown, all := b.InFlight(2)
	if len(shown) != 2 || all != 5 || shown[0].RequestID != "0" || shown[1].RequestID != "1" {
		t.Errorf("%+v of %d", shown, all)
	}
}

func end(b *Board, rec *record.Record) {
	Use(b)
	_, e := Begin(context.Background(), new(record.Record), asIs)
	e.End(rec)
}

func TestTheLastHundredAreRemembered(t *testing.T) {
	b := use(t)
	for i := range 250 {
		end(b, &record.Record{Status: i + 1})
	}
	for _, test := range []struct {
		since       uint64
		first, last int
	}{
		{0, 151, 250}, {100, 151, 250}, {200, 201, 250}, {249, 250, 250}, {250, 0, 0}, {999, 0, 0},
	} {
		ended := b.Ended(test.since)
		if test.last == 0 {
			if len(ended) > 0 {
				t.Errorf("since %d: %d", test.since, len(ended))
			}
			continue
		}
		if len(ended) != test.last-test.first+1 || ended[0].Status != test.first || ended[len(ended)-1].Number != uint64(test.last) {
			t.Errorf("since %d: %d, from %d on", test.since, len(ended), ended[0].Status)
		}
	}
}

func TestAnEndedRequestSaysWhatItsRecordSays(t *testing.T) {
	b := use(t)
	long := strings.Repeat("ä", 5000)
	end(b, &record.Record{
		Start: time.Unix(1_700_000_000, 0), Duration: 2 * time.Second, Reason: "bad_token:expired", Status: 403, RequestID: "r", Method: "POST",
		Path: "/" + long, SourceIP: "192.0.2.1", UserID: "anna", Operation: "chat", RequestModel: "hello", Stream: true,
		TimeToFirstChunk: time.Second / 2, QueueWait: time.Second, Usage: &record.Usage{InputTokens: 1, OutputTokens: 2, Estimated: true},
	})
	got := b.Ended(0)[0]
	if len(got.Path) > longest+len("…") || !strings.HasSuffix(got.Path, "ä…") {
		t.Errorf("path %q", got.Path)
	}
	got.Path = ""
	if want := (Ended{
		Number: 1, RequestID: "r", Since: time.Unix(1_700_000_000, 0).UTC(), Seconds: 2, Status: 403, Reason: "bad_token:expired",
		Outcome: "failure", Method: "POST", Source: "192.0.2.1", User: "anna", Operation: "chat", Model: "hello", Stream: true,
		InputTokens: 1, OutputTokens: 2, Estimated: true, FirstChunk: .5, Queued: 1,
	}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestOnlyItsOwnBoardIsDropped(t *testing.T) {
	old := use(t)
	young := use(t)
	Drop(old) // a configuration that ends after the next has begun
	if inUse.Load() != young {
		t.Error("the young one is gone")
	}
	Drop(young)
	if inUse.Load() != nil {
		t.Error("it is still in use")
	}
}

// For the race detector: requests go on while somebody looks.
func TestRequestsGoOnWhileSomebodyLooks(t *testing.T) {
	b := use(t)
	var requests, looks sync.WaitGroup
	over := make(chan struct{})
	looks.Go(func() {
		for {
			select {
			case <-over:
				return
			default:
				shown, _ := b.InFlight(10)
				for _, o := range shown {
					if o.Tokens%3 == 0 {
						b.Cancel(o.Key)
					}
				}
				b.Ended(0)
				b.Hour(time.Now())
			}
		}
	})
	for i := range 8 {
		requests.Go(func() {
			for range 200 {
				rec := &record.Record{Start: time.Now()}
				ctx, e := Begin(context.Background(), rec, asIs)
				rec.UserID, rec.RequestModel = fmt.Sprint("user", i), "hello"
				rec.Show()
				for n := range 10 {
					rec.ShowTokens(n)
				}
				if record.WasCancelled(ctx) {
					rec.Explain(record.Cancelled)
				}
				rec.Explain(record.OK)
				e.End(rec)
			}
		})
	}
	requests.Wait()
	close(over)
	looks.Wait()
	if h := b.Hour(time.Now()); len(h.Users) != 8 {
		t.Errorf("%d users", len(h.Users))
	}
	if shown, all := b.InFlight(10); all != 0 {
		t.Errorf("still in flight: %+v", shown)
	}
}

// What a piece of a stream costs while somebody looks.
func BenchmarkShowTokens(b *testing.B) {
	rec := new(record.Record)
	rec.Watch()
	for i := range b.N {
		rec.ShowTokens(i)
	}
}

// What a request costs while somebody could look.
func BenchmarkRequest(b *testing.B) {
	board := New()
	Use(board)
	defer Drop(board)
	for range b.N {
		rec := &record.Record{Start: time.Now(), RequestID: "c0ffee", Method: "POST", Path: "/v1/chat/completions", UserID: "anna", RequestModel: "hello"}
		_, e := Begin(b.Context(), rec, asIs)
		rec.Show()
		rec.Show()
		rec.Explain(record.OK)
		e.End(rec)
	}
}
