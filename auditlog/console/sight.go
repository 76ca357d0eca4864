package console

import (
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/gateway18789/caddy-ollama/auditlog/board"
	"github.com/gateway18789/caddy-ollama/ratelimit"
)

// sight is what there is to see at one moment, as JSON.
type sight struct {
	now, blocks, hour []byte
}

// sights makes one sight a second for all who look.
type sights struct {
	board  *board.Board
	loaded *loaded // nil: there is no Ollama

	mu      sync.Mutex
	at      time.Time
	rareAt  time.Time // when that was looked at which costs more
	blocked int       // clients then
	current sight
}

const (
	lookEvery = time.Second
	// rarely is how often the hour and the blocks are looked at.
	rarely = 4 * time.Second
	// Bounds of what is shown: the rest is only counted.
	mostInFlight = 200
	mostBlocks   = 200
)

// present is what changes all the time.
type present struct {
	Open   []board.Open           `json:"open"` // the oldest of
	InAll  int                    `json:"in_all"`
	Zones  []ratelimit.ListedZone `json:"zones"`
	Ollama *Loaded                `json:"ollama,omitempty"` // not there: none is configured
}

// blockList is who is blocked.
type blockList struct {
	Blocks []ratelimit.ListedBlock `json:"blocks"` // those that end last of
	InAll  int                     `json:"in_all"`
}

// latest is a sight that is about a second old at most.
func (s *sights) latest(t time.Time) sight {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current.now != nil && t.Sub(s.at) < lookEvery*9/10 {
		return s.current
	}
	s.at = t
	zones := ratelimit.Zones()
	p := present{Zones: zones}
	p.Open, p.InAll = s.board.InFlight(mostInFlight)
	if s.loaded != nil {
		l := s.loaded.latest(t)
		p.Ollama = &l
	}
	s.current.now = encode(p)

	blocked := 0
	for _, z := range zones {
		blocked += z.Blocked
	}
	// a block that is lifted is to go at once
	if s.current.hour == nil || t.Sub(s.rareAt) >= rarely || blocked != s.blocked {
		s.rareAt, s.blocked = t, blocked
		s.current.blocks = encode(listBlocks(blocked))
		s.current.hour = encode(s.board.Hour(t))
	}
	return s.current
}

// listBlocks lists the blocks, if there are any: looking for them takes time.
func listBlocks(blocked int) blockList {
	if blocked == 0 {
		return blockList{Blocks: []ratelimit.ListedBlock{}}
	}
	all := ratelimit.Blocks("")
	slices.SortStableFunc(all, func(a, b ratelimit.ListedBlock) int { return b.Until.Compare(a.Until) })
	for i := range all {
		all[i].SecondsLeft = 0 // who looks counts himself; so what has not changed is the same
	}
	return blockList{all[:min(len(all), mostBlocks)], len(all)}
}

// encode encodes what is made of plain types.
func encode(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return data
}
