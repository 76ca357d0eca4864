// Package stats counts what an audit log tells, by user, model and hour.
package stats

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gateway18789/caddy-ollama/auditlog/entry"
)

// By is what requests are grouped by.
type By string

// What they can be grouped by.
const (
	User  By = "user"
	Model By = "model"
	Hour  By = "hour"
)

// ParseBy reads a list such as user,model,hour. An empty one groups nothing.
func ParseBy(list string) (by []By, err error) {
	for name := range strings.SplitSeq(list, ",") {
		b := By(strings.TrimSpace(name))
		switch {
		case b == "":
		case b != User && b != Model && b != Hour:
			return nil, fmt.Errorf("%q: requests can be grouped by user, model and hour", name)
		case slices.Contains(by, b):
			return nil, fmt.Errorf("%s is there twice", b)
		default:
			by = append(by, b)
		}
	}
	return by, nil
}

// Options say what is counted, and how.
type Options struct {
	By []By
	// Since and Until bound the time at which requests came; Until is no part of it.
	Since, Until time.Time // zero for no bound
	// MaxGroups bounds the memory: clients choose names of models. The groups that come
	// when there are so many are counted as one.
	MaxGroups int
}

// key is what the requests of a group have in common.
type key struct {
	user, model string
	hour        int64 // hours since 1970
}

// Group is what is known of requests that have something in common.
type Group struct {
	// Key is their user, model and hour, in the order of By; nil for the requests of all
	// groups that were too many.
	Key                                          []string
	Requests, Answered, Refused, Failed, Unknown uint64
	Input, Output                                int64
	durations                                    histogram
	key                                          key
}

// Stats counts requests.
type Stats struct {
	options Options
	groups  map[key]*Group
	total   Group
	others  *Group // of groups that were too many
}

// New begins to count.
func New(o Options) *Stats { return &Stats{options: o, groups: make(map[key]*Group)} }

// Add takes a line's entry, if it is of a request.
func (s *Stats) Add(e entry.Entry) {
	o := s.options
	if !e.IsRequest() || e.Time.Before(o.Since) || !o.Until.IsZero() && !e.Time.Before(o.Until) {
		return
	}
	s.total.add(e)
	s.group(e).add(e)
}

func (s *Stats) group(e entry.Entry) *Group {
	var k key
	for _, by := range s.options.By {
		switch by {
		case User:
			k.user = e.User
		case Model:
			k.model = e.Model
		case Hour:
			k.hour = e.Time.Truncate(time.Hour).Unix() / 3600
		}
	}
	g := s.groups[k]
	switch {
	case g != nil:
		return g
	case len(s.groups) >= s.options.MaxGroups:
		if s.others == nil {
			s.others = new(Group)
		}
		return s.others
	}
	// the entry's texts are no parts of something bigger
	g = &Group{key: k, Key: k.texts(s.options.By)}
	s.groups[k] = g
	return g
}

func (k key) texts(by []By) []string {
	texts := []string{}
	for _, b := range by {
		switch b {
		case User:
			texts = append(texts, k.user)
		case Model:
			texts = append(texts, k.model)
		case Hour:
			texts = append(texts, time.Unix(k.hour*3600, 0).UTC().Format("2006-01-02T15:04Z"))
		}
	}
	return texts
}

func (g *Group) add(e entry.Entry) {
	g.Requests++
	switch e.Kind() {
	case entry.Answered:
		g.Answered++
	case entry.Refused:
		g.Refused++
	case entry.Failed:
		g.Failed++
	case entry.Unknown:
		g.Unknown++
	}
	if e.Input != nil {
		g.Input += *e.Input
	}
	if e.Output != nil {
		g.Output += *e.Output
	}
	if e.Duration > 0 { // a request that was in flight when the gateway was killed has none
		g.durations.add(e.Duration)
	}
}

// Quantile is the duration that a part q of the requests do not exceed, to Precision.
func (g *Group) Quantile(q float64) time.Duration { return g.durations.quantile(q) }

// Groups are the groups in the order of their keys, those that were too many last.
func (s *Stats) Groups() []*Group {
	groups := make([]*Group, 0, len(s.groups))
	for _, g := range s.groups {
		groups = append(groups, g)
	}
	slices.SortFunc(groups, func(a, b *Group) int { return slices.Compare(a.Key, b.Key) })
	if s.others != nil {
		groups = append(groups, s.others)
	}
	return groups
}
