// Package lines reads files of lines, one after the other, compressed or not, of any
// size, in little memory.
package lines

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// MaxLength is how long a line may be, in bytes without its line break.
const MaxLength = 1 << 20

// Faults of lines and files. With each, reading goes on behind it.
var (
	// ErrTooLong: the line is longer than MaxLength.
	ErrTooLong = fmt.Errorf("the line is longer than %d bytes", MaxLength)
	// ErrUnfinished: the file ends within the line.
	ErrUnfinished = errors.New("the file ends within this line: it was being written, or its writer was killed")
	// ErrDamaged: the rest of a compressed file cannot be read.
	ErrDamaged = errors.New("the compressed file is damaged: it cannot be read from here on")
)

// Line is a line of a file.
type Line struct {
	File   string
	Number int // from 1
	// Text is the line without its line break, valid until the next one is read. Of a
	// line that is too long there is none.
	Text []byte
	// Fault is why the line is none that was written, or nil.
	Fault error
}

// Reader reads the lines of files.
type Reader struct {
	// Progress, if set, is told now and then how many bytes have been read, as they are
	// on disk.
	Progress func(bytes int64)

	names  []string
	file   *file // that is read, nil between files
	number int   // of the last line
	text   *bufio.Reader
	long   []byte
	before int64 // bytes of the files that have been read
}

// NewReader reads files in the given order.
func NewReader(names ...string) *Reader {
	return &Reader{names: names, text: bufio.NewReaderSize(nil, 64<<10)}
}

// Next is the next line. After the last one the error is io.EOF. Any other error says
// which file cannot be read; the next call goes on with the file behind it.
func (r *Reader) Next() (Line, error) {
	for {
		if r.file == nil {
			if len(r.names) == 0 {
				return Line{}, io.EOF
			}
			if err := r.open(); err != nil {
				return Line{}, err
			}
		}
		text, err := r.read()
		if err == io.EOF && text == nil {
			r.close()
			continue
		}
		r.number++
		line := Line{File: r.file.name, Number: r.number, Text: text}
		switch {
		case err == nil:
			return line, nil
		case errors.Is(err, ErrTooLong):
			line.Fault = err
			return line, nil
		case err == io.EOF:
			line.Fault = ErrUnfinished
		case isDamage(err):
			line.Fault = fmt.Errorf("%w: %w", ErrDamaged, err)
		default:
			err = fmt.Errorf("%s, after line %d: %w", r.file.name, r.number-1, err)
			r.close()
			return Line{}, err
		}
		r.close()
		return line, nil
	}
}

// Close lets go of the file that is being read.
func (r *Reader) Close() {
	r.names = nil
	if r.file != nil {
		r.close()
	}
}

func (r *Reader) open() (err error) {
	name := r.names[0]
	r.names = r.names[1:]
	if r.file, err = open(name, r.tell); err != nil {
		return err
	}
	r.number = 0
	r.text.Reset(r.file)
	return nil
}

func (r *Reader) close() {
	r.before += r.file.read
	r.file.Close()
	r.file = nil
}

func (r *Reader) tell() {
	if r.Progress != nil {
		r.Progress(r.before + r.file.read)
	}
}

// read is a line without its line break; nil at the end of the file. A line that is too
// long is read to its end, and is not kept.
func (r *Reader) read() ([]byte, error) {
	text, err := r.text.ReadSlice('\n')
	if err == bufio.ErrBufferFull {
		text, err = r.readLong(text)
	}
	if err == io.EOF && len(text) == 0 {
		return nil, err
	}
	text = bytes.TrimSuffix(text, []byte("\n"))
	if len(text) > MaxLength {
		text = []byte{}
		if err == nil {
			err = ErrTooLong
		}
	}
	return text, err
}

// readLong reads the rest of a line. Of what is longer than a line may be it keeps only
// enough to tell.
func (r *Reader) readLong(text []byte) ([]byte, error) {
	r.long = append(r.long[:0], text...)
	for {
		text, err := r.text.ReadSlice('\n')
		if len(r.long) <= MaxLength {
			r.long = append(r.long, text...)
		}
		if err != bufio.ErrBufferFull {
			return r.long, err
		}
	}
}
