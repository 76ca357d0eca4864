package logfile

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/gateway18789/caddy-ollama/auditlog/chain"
)

// survey is what reading a file from end to end has told.
type survey struct {
	size    int64 // of the file
	sound   int64 // of its part up to the end of the last sealed line
	lines   int   // sealed ones
	first   uint64
	last    chain.Link
	opening chain.Opening // the first line
	// fault is the first place where the chain is broken, nil if it is whole.
	fault error
}

// take reads a file and shows every sealed line to look.
func take(r io.Reader, look func(line chain.Line, raw []byte)) (s survey, err error) {
	lines := lineReader{Reader: bufio.NewReaderSize(r, 256<<10)}
	for n := 1; ; n++ {
		raw, err := lines.next()
		s.size += int64(len(raw))
		if err == io.EOF {
			return s, nil
		}
		if err != nil {
			return s, err
		}
		line, err := chain.Parse(raw)
		if err != nil {
			s.blame(n, err)
			continue
		}
		if s.lines == 0 {
			s.begin(line, raw)
		}
		s.blame(n, line.Follows(s.last))
		s.lines++
		s.last = line.Link
		s.sound = s.size
		look(line, raw)
	}
}

// begin takes the file's own word for what came before its first line.
func (s *survey) begin(line chain.Line, raw []byte) {
	opening, ok := chain.ParseOpening(raw)
	if !ok {
		s.blame(1, errors.New("the file does not begin with its opening line"))
	}
	s.opening = opening
	s.first = line.Sequence
	s.last = chain.Link{Sequence: line.Sequence - 1, Hash: opening.Previous}
}

func (s *survey) blame(line int, fault error) {
	if s.fault == nil && fault != nil {
		s.fault = fmt.Errorf("line %d: %w", line, fault)
	}
}

// lineReader reads lines of any length.
type lineReader struct {
	*bufio.Reader
	long []byte
}

// next is a line with its line break, valid until the next call. At the end it is what
// has none, and io.EOF.
func (r *lineReader) next() ([]byte, error) {
	line, err := r.ReadSlice('\n')
	if err != bufio.ErrBufferFull {
		return line, err
	}
	r.long = append(r.long[:0], line...)
	for err == bufio.ErrBufferFull {
		line, err = r.ReadSlice('\n')
		r.long = append(r.long, line...)
	}
	return r.long, err
}
