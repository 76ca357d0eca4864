package placement

import (
	"fmt"
	"testing"
	"time"
)

var start = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// three are idle Ollamas.
func three(inFlight ...int) []Candidate {
	candidates := []Candidate{{Address: "a"}, {Address: "b"}, {Address: "c"}}
	for i, n := range inFlight {
		candidates[i].InFlight = n
	}
	return candidates
}

func TestChoose(t *testing.T) {
	all := []string{"m", "other"}
	for _, test := range []struct {
		name       string
		before     func(*Table)
		candidates []Candidate
		asked      Asked
		want       string
	}{
		{"nobody knows anything", nil, three(), Asked{Model: "m"}, "a"},
		{"the fewest in flight", nil, three(2, 1, 3), Asked{Model: "m"}, "b"},
		{"where the model is loaded, though more is in flight there",
			func(t *Table) { t.Told("b", Report{Loaded: []string{"m:latest"}, Installed: all}, start) }, three(0, 3, 0), Asked{Model: "M"}, "b"},
		{"where it is loaded is busy: another can load it",
			func(t *Table) { t.Told("b", Report{Loaded: []string{"m"}, Installed: all}, start) }, three(1, 4, 0), Asked{Model: "m"}, "c"},
		{"all are busy: where it is loaded",
			func(t *Table) { t.Told("b", Report{Loaded: []string{"m"}, Installed: all}, start) }, three(5, 9, 4), Asked{Model: "m"}, "b"},
		{"of two where it is loaded, the one that had the conversation",
			func(t *Table) {
				t.Choose([]Candidate{{Address: "c"}}, Asked{Conversation: "x"}, 4, 10, start)
				t.Told("b", Report{Loaded: []string{"m"}, Installed: all}, start)
				t.Told("c", Report{Loaded: []string{"m"}, Installed: all}, start)
			}, three(0, 0, 3), Asked{Model: "m", Conversation: "x"}, "c"},
		{"a conversation does not go where the model is not loaded any more",
			func(t *Table) {
				t.Choose([]Candidate{{Address: "c"}}, Asked{Conversation: "x"}, 4, 10, start)
				t.Told("b", Report{Loaded: []string{"m"}, Installed: all}, start)
				t.Told("c", Report{Installed: all}, start)
			}, three(), Asked{Model: "m", Conversation: "x"}, "b"},
		{"where the model is not installed last of all, loaded elsewhere or not",
			func(t *Table) {
				t.Told("a", Report{Installed: []string{"other"}}, start)
				t.Told("b", Report{Installed: []string{"other"}}, start)
				t.Told("c", Report{Installed: all}, start)
			}, three(0, 0, 9), Asked{Model: "m"}, "c"},
		{"nobody has it installed: anybody will say so",
			func(t *Table) { t.Told("a", Report{}, start) }, []Candidate{{Address: "a"}}, Asked{Model: "m"}, "a"},
		{"where it is being loaded for another",
			func(t *Table) { t.Choose([]Candidate{{Address: "c"}}, Asked{Model: "m"}, 4, 10, start) }, three(0, 0, 1), Asked{Model: "m"}, "c"},
		{"that it is not loaded yet does not say that it is not being loaded",
			func(t *Table) {
				t.Choose([]Candidate{{Address: "c"}}, Asked{Model: "m"}, 4, 10, start)
				t.Told("c", Report{Installed: all}, start.Add(-time.Second))
			}, three(0, 0, 1), Asked{Model: "m"}, "c"},
		{"but after a minute it does",
			func(t *Table) {
				t.Choose([]Candidate{{Address: "c"}}, Asked{Model: "m"}, 4, 10, start.Add(-time.Minute))
			}, three(0, 0, 1), Asked{Model: "m"}, "a"},
		{"once it is loaded, what the Ollama says is true",
			func(t *Table) {
				t.Choose([]Candidate{{Address: "c"}}, Asked{Model: "m"}, 4, 10, start)
				t.Told("c", Report{Loaded: []string{"m"}, Installed: all}, start)
				t.Told("c", Report{Installed: all}, start)
			}, three(0, 0, 1), Asked{Model: "m"}, "a"},
		{"one that does not answer any more has lost what it had",
			func(t *Table) {
				t.Told("c", Report{Loaded: []string{"m"}, Installed: all}, start)
				t.Silent("c")
			}, three(0, 0, 1), Asked{Model: "m"}, "a"},
		{"one that never answers is known by what it was asked for",
			func(t *Table) {
				t.Choose([]Candidate{{Address: "c"}}, Asked{Model: "m"}, 4, 10, start)
				t.Silent("c")
			}, three(0, 0, 1), Asked{Model: "m"}, "c"},
		{"where the request has failed, only if there is nothing else",
			func(t *Table) { t.Told("a", Report{Loaded: []string{"m"}, Installed: all}, start) },
			[]Candidate{{Address: "a", Tried: true}, {Address: "b", InFlight: 9}}, Asked{Model: "m"}, "b"},
		{"where loading it has failed is not where it is being loaded",
			func(t *Table) {
				t.Choose(three(), Asked{Model: "m"}, 4, 10, start)
				t.Choose([]Candidate{{Address: "a", Tried: true}, {Address: "b"}}, Asked{Model: "m"}, 4, 10, start)
			}, three(0, 1, 0), Asked{Model: "m"}, "b"},
		{"a question about no model goes to the least busy",
			func(t *Table) { t.Told("b", Report{Loaded: []string{"m"}}, start) }, three(1, 1, 0), Asked{}, "c"},
	} {
		t.Run(test.name, func(t *testing.T) {
			table := new(Table)
			if test.before != nil {
				test.before(table)
			}
			if got := test.candidates[table.Choose(test.candidates, test.asked, 4, 10, start)].Address; got != test.want {
				t.Errorf("it goes to %s, want %s", got, test.want)
			}
		})
	}
	if got := new(Table).Choose(nil, Asked{}, 4, 10, start); got != -1 {
		t.Errorf("of nothing it takes %d", got)
	}
}

func TestOnlyTheLastConversationsAreRemembered(t *testing.T) {
	table := new(Table)
	go1 := func(conversation string, candidates ...Candidate) string {
		return candidates[table.Choose(candidates, Asked{Conversation: conversation}, 4, 2, start)].Address
	}
	a, b := Candidate{Address: "a"}, Candidate{Address: "b"}
	go1("1", b)
	go1("2", b)
	if got := go1("1", a, b); got != "b" { // and so the first is the last
		t.Errorf("goes to %s", got)
	}
	go1("3", b)
	if got := go1("1", a, b); got != "b" {
		t.Errorf("goes to %s, though it was used", got)
	}
	if got := go1("2", a, b); got != "a" {
		t.Errorf("goes to %s: the oldest is still known", got)
	}
	if n, m := table.conversations.order.Len(), len(table.conversations.entries); n != 2 || m != 2 {
		t.Errorf("remembers %d and %d", n, m)
	}
}

func TestATableIsBounded(t *testing.T) {
	table := new(Table)
	for i := range 3 * maxNodes {
		table.Choose([]Candidate{{Address: fmt.Sprint(i)}}, Asked{Model: "m"}, 4, 10, start)
		table.Choose([]Candidate{{Address: "a"}}, Asked{Model: fmt.Sprint("m", i)}, 4, 10, start)
	}
	if n := len(table.nodes); n > maxNodes {
		t.Errorf("knows %d Ollamas", n)
	}
	if n := table.nodes["a"]; n == nil || len(n.asked) > maxAsked {
		t.Errorf("knows %+v", n)
	}
}
