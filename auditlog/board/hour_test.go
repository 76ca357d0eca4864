package board

import (
	"fmt"
	"testing"
	"time"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
)

// noon is in the midst of a minute.
var noon = time.Unix(1_700_000_000/60*60+30, 0)

// at is a request that ended so long after noon.
func at(after time.Duration, rec record.Record) *record.Record {
	rec.Duration = 10 * time.Second
	rec.Start = noon.Add(after - rec.Duration)
	if rec.Reason == "" {
		rec.Reason = record.OK
	}
	return &rec
}

// last is the counts of the last minutes of one name.
func last(t *testing.T, all []Series, name string, minutes int) (requests, tokens []int) {
	t.Helper()
	for _, s := range all {
		if s.Name == name {
			if len(s.Requests) != Minutes || len(s.Tokens) != Minutes {
				t.Fatalf("%d and %d minutes", len(s.Requests), len(s.Tokens))
			}
			return s.Requests[Minutes-minutes:], s.Tokens[Minutes-minutes:]
		}
	}
	t.Fatalf("there is no %q in %+v", name, all)
	return nil, nil
}

func TestARequestCountsInTheMinuteInWhichItEnds(t *testing.T) {
	b := use(t)
	usage := &record.Usage{InputTokens: 3, OutputTokens: 4}
	end(b, at(0, record.Record{UserID: "anna", ResponseModel: "hello", Usage: usage}))
	end(b, at(time.Minute, record.Record{UserID: "anna", ResponseModel: "hello", Usage: usage}))
	end(b, at(time.Minute+time.Second, record.Record{UserID: "anna"}))
	requests, tokens := last(t, b.Hour(noon.Add(2*time.Minute)).Users, "anna", 4)
	if fmt.Sprint(requests, tokens) != "[0 1 2 0] [0 7 7 0]" {
		t.Errorf("requests %v, tokens %v", requests, tokens)
	}
	requests, tokens = last(t, b.Hour(noon.Add(2*time.Minute)).Models, "hello", 4)
	if fmt.Sprint(requests, tokens) != "[0 1 1 0] [0 7 7 0]" {
		t.Errorf("of the model: requests %v, tokens %v", requests, tokens)
	}
}

func TestWhatIsOlderThanAnHourIsForgotten(t *testing.T) {
	b := use(t)
	end(b, at(0, record.Record{UserID: "anna", TimeToFirstChunk: time.Second}))
	h := b.Hour(noon.Add((Minutes - 1) * time.Minute))
	if requests, _ := last(t, h.Users, "anna", Minutes); requests[0] != 1 || h.FirstChunk.Longest[0] != 1 {
		t.Errorf("59 minutes later: %v, %v", requests, h.FirstChunk)
	}
	h = b.Hour(noon.Add(Minutes * time.Minute))
	if len(h.Users) != 0 || h.FirstChunk.Longest[Minutes-1] != 0 {
		t.Errorf("an hour later: %+v", h)
	}
	// the place of the minute is used again, and only for the new one
	end(b, at(Minutes*time.Minute, record.Record{UserID: "anna"}))
	if requests, _ := last(t, b.Hour(noon.Add(Minutes*time.Minute)).Users, "anna", 1); requests[0] != 1 {
		t.Errorf("after another: %v", requests)
	}
}

func TestNamesCountAs(t *testing.T) {
	for _, test := range []struct {
		name                string
		record              record.Record
		user, model, reason string
	}{
		{"a request of nobody that is known", record.Record{Reason: record.NoToken}, "", "", "no_token"},
		{"a model as the upstream calls it", record.Record{RequestModel: "alias", ResponseModel: "real"}, "", "real", "ok"},
		{"a model that did not answer, as the client calls it", record.Record{RequestModel: "hello", Reason: record.UpstreamError}, "", "hello", "upstream_error"},
		{"a model that the gateway does not know", record.Record{RequestModel: "invented", Reason: record.ModelNotFound}, "", Other, "model_not_found"},
		{"a user who is called other", record.Record{UserID: "other"}, Other, "", "ok"},
		{"a reason without what follows its colon", record.Record{Reason: "bad_token:expired"}, "", "", "bad_token"},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := use(t)
			end(b, at(0, test.record))
			h := b.Hour(noon)
			last(t, h.Users, test.user, 1)
			last(t, h.Reasons, test.reason, 1)
			if test.model != "" {
				last(t, h.Models, test.model, 1)
			} else if len(h.Models) > 0 {
				t.Errorf("models %+v", h.Models)
			}
		})
	}
}

func TestInventedNamesAreFoldedIntoOne(t *testing.T) {
	b := use(t)
	for i := range 10_000 {
		name := fmt.Sprint("invented", i)
		end(b, at(0, record.Record{UserID: name, RequestModel: name, Reason: "reason" + name}))
	}
	h := b.Hour(noon)
	for what, all := range map[string][]Series{"users": h.Users, "models": h.Models, "reasons": h.Reasons} {
		if len(all) != mostNames+1 || all[mostNames].Name != Other || sum(all[mostNames].Requests) != 10_000-mostNames {
			t.Errorf("%d %s, the last %+v", len(all), what, all[len(all)-1].Name)
		}
	}
	if len(b.hour.users.rows) != mostNames {
		t.Errorf("%d users are remembered", len(b.hour.users.rows))
	}
}

func TestANameThatIsNotHeardOfForAnHourMakesRoom(t *testing.T) {
	b := use(t)
	for i := range mostNames {
		end(b, at(0, record.Record{UserID: fmt.Sprint("early", i)}))
	}
	end(b, at((Minutes-1)*time.Minute, record.Record{UserID: "early0"}))
	end(b, at((Minutes-1)*time.Minute, record.Record{UserID: "too soon"}))
	end(b, at(Minutes*time.Minute, record.Record{UserID: "late"}))
	h := b.Hour(noon.Add(Minutes * time.Minute))
	for _, name := range []string{"early0", "late", Other} {
		last(t, h.Users, name, 1)
	}
	if len(h.Users) != 3 {
		t.Errorf("%+v", h.Users)
	}
}

func TestTheBusiestComeFirst(t *testing.T) {
	b := use(t)
	for _, name := range []string{"b", "a", "c", "c"} {
		end(b, at(0, record.Record{UserID: name}))
	}
	names := ""
	for _, s := range b.Hour(noon).Users {
		names += s.Name
	}
	if names != "cab" {
		t.Errorf("in the order %s", names)
	}
}

func TestTheTimeToTheFirstChunkIsToldOfStreams(t *testing.T) {
	b := use(t)
	end(b, at(0, record.Record{TimeToFirstChunk: time.Second}))
	end(b, at(0, record.Record{TimeToFirstChunk: 3 * time.Second}))
	end(b, at(0, record.Record{}))
	w := b.Hour(noon).FirstChunk
	if w.Mean[Minutes-1] != 2 || w.Longest[Minutes-1] != 3 || w.Mean[Minutes-2] != 0 {
		t.Errorf("%+v", w)
	}
}
