package shipper

import (
	"encoding/json"
	"errors"
	"io"

	"go.uber.org/zap"

	"github.com/gateway18789/caddy-ollama/auditlog/auditfile/logfile"
	"github.com/gateway18789/caddy-ollama/auditlog/chain"
)

// How many lines are sent together at most, and after how many bytes no more are added.
const (
	mostLines = 500
	mostBytes = 1 << 20
)

// batch are the lines that are being sent.
type batch struct {
	objects [][]byte
	links   []chain.Link
	bytes   int
	full    bool // there may be more lines
}

func (b *batch) add(at chain.Link, object []byte) {
	b.objects = append(b.objects, object)
	b.links = append(b.links, at)
	b.bytes += len(object)
}

// take takes the first lines away and returns the place of the last of them.
func (b *batch) take(n int) chain.Link {
	at := b.links[n-1]
	for _, object := range b.objects[:n] {
		b.bytes -= len(object)
	}
	if b.objects, b.links = b.objects[n:], b.links[n:]; len(b.objects) == 0 {
		b.objects, b.links = nil, nil
	}
	return at
}

// fill adds the lines that there are.
func (s *Shipper) fill() error {
	for {
		s.batch.full = len(s.batch.objects) >= mostLines || s.batch.bytes >= mostBytes
		if s.batch.full {
			return nil
		}
		found, err := s.tail.Next()
		switch {
		case err == io.EOF:
			return nil
		case errors.Is(err, logfile.ErrNoLine):
			s.Logger().Error("a part of the audit log is not shipped: keep its files and find out why",
				zap.String("file", s.log.Path), zap.Error(err))
			continue
		case err != nil:
			return err
		}
		if s.unsure && found.Fault != nil {
			s.restart(found.Fault)
			continue
		}
		s.look(found)
	}
}

// look adds a line that was found.
func (s *Shipper) look(found logfile.Found) {
	last := found.Sequence - found.Missing - 1
	s.unsure = false
	if found.Missing > 0 && last > 0 { // a log that is shipped for the first time may have lost its beginning
		s.Logger().Error("lines of the audit log were gone before they were shipped",
			zap.String("file", s.log.Path), zap.Uint64("first", last+1), zap.Uint64("last", found.Sequence-1))
	}
	object, ok := withID(found)
	if !ok {
		s.Logger().Error("a line of the audit log was changed and is no JSON any more: it is not shipped",
			zap.String("file", s.log.Path), zap.Uint64("sequence", found.Sequence))
		return
	}
	s.batch.add(found.Link, object)
}

// withID is a line with its hash as the id by which whoever stores it takes it once. What
// is no JSON object Logstash would refuse again and again, with all that comes after it.
func withID(found logfile.Found) (object []byte, ok bool) {
	if !json.Valid(found.Text) || len(found.Text) < 2 || found.Text[0] != '{' {
		return nil, false
	}
	object = make([]byte, 0, len(found.Text)+100)
	object = append(object, `{"@metadata":{"_id":"`...)
	object = append(object, found.Hash.String()...)
	object = append(object, `"},`...)
	return append(object, found.Text[1:]...), true
}
