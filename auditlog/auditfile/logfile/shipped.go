package logfile

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"go.uber.org/zap"

	"github.com/gateway18789/caddy-ollama/auditlog/chain"
)

// shippedNotice is how long before lines are deleted the operator is told that nobody has
// received them.
const shippedNotice = 24 * time.Hour

func (l *Log) shippedFile() string { return l.Path + ".shipped" }

// position is what the file holds that tells how far the log was shipped.
type position struct {
	Sequence uint64 `json:"sequence"`
	Hash     string `json:"hash"`
}

// Shipped is the last line that was shipped, zero if nobody has noted any.
func (l *Log) Shipped() (chain.Link, error) {
	text, err := os.ReadFile(l.shippedFile())
	if errors.Is(err, fs.ErrNotExist) {
		return chain.Link{}, nil
	}
	if err != nil {
		return chain.Link{}, err
	}
	var p position
	if err := json.Unmarshal(text, &p); err != nil {
		return chain.Link{}, fmt.Errorf("%s: %w", l.shippedFile(), err)
	}
	hash, err := chain.ParseHash(p.Hash)
	if err != nil {
		return chain.Link{}, fmt.Errorf("%s: %w", l.shippedFile(), err)
	}
	return chain.Link{Sequence: p.Sequence, Hash: hash}, nil
}

// NoteShipped notes the last line that was shipped.
func (l *Log) NoteShipped(at chain.Link) error {
	text, err := json.Marshal(position{at.Sequence, at.Hash.String()})
	if err != nil {
		return err
	}
	return replaceFile(l.shippedFile(), append(text, '\n'), l.options.Load().durable())
}

// tellUnshipped tells the operator of lines that nobody has received, and that are deleted
// now or soon.
func (l *Log) tellUnshipped(found []segment, current opened, horizon time.Time) {
	if !l.options.Load().Shipped {
		return
	}
	shipped, _ := l.Shipped() // who ships tells what is wrong with it
	for i, s := range found {
		end := newest(found, i, current)
		if !end.Before(horizon.Add(shippedNotice)) {
			return
		}
		last := current.sequence - 1
		if i+1 < len(found) {
			last = found[i+1].first - 1
		}
		if last <= shipped.Sequence {
			continue
		}
		l.Logger().Error("lines of the audit log are about to be deleted that were not shipped",
			zap.String("file", s.file()), zap.Duration("deleted_in", max(end.Sub(horizon), 0)),
			zap.Uint64("first", max(s.first, shipped.Sequence+1)), zap.Uint64("last", last))
	}
}
