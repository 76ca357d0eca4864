package lines

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// file is one that is read, unpacked if it is compressed.
type file struct {
	name string
	disk *os.File
	text io.Reader // what is in it
	read int64     // bytes read from the disk
	tell func()    // called after each read
}

// gzipMagic is how a compressed file begins (RFC 1952 section 2.3.1).
var gzipMagic = []byte{0x1f, 0x8b}

func open(name string, tell func()) (*file, error) {
	disk, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	info, err := disk.Stat()
	if err == nil && info.IsDir() {
		err = fmt.Errorf("%s is a folder, not a file", name)
	}
	if err != nil {
		return nil, errors.Join(err, disk.Close())
	}
	f := &file{name: name, disk: disk, tell: tell}
	magic := make([]byte, len(gzipMagic))
	n, err := io.ReadFull(disk, magic)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return nil, errors.Join(fmt.Errorf("%s: %w", name, err), disk.Close())
	}
	f.text = io.MultiReader(bytes.NewReader(magic[:n]), counted{f})
	// What is named like a compressed file must be one; others say so themselves.
	if bytes.Equal(magic, gzipMagic) || strings.HasSuffix(name, ".gz") {
		f.text = &lateGzip{raw: f.text}
	}
	return f, nil
}

// Read makes the file a reader of what is in it.
func (f *file) Read(p []byte) (int, error) { return f.text.Read(p) }

// Close closes it. Of a file that was only read no error matters.
func (f *file) Close() { _ = f.disk.Close() }

// isDamage tells whether an error comes from what is in a compressed file, not from the
// disk.
func isDamage(err error) bool {
	var corrupt flate.CorruptInputError
	return errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &corrupt)
}

// counted reads from the disk and counts.
type counted struct{ *file }

func (c counted) Read(p []byte) (int, error) {
	n, err := c.disk.Read(p)
	c.read += int64(n)
	c.tell()
	return n, err
}

// lateGzip reads the header only when it is asked for text, so that a damaged header is
// a fault of the first line like any other damage.
type lateGzip struct {
	raw     io.Reader
	unzip   *gzip.Reader
	trouble error
}

func (z *lateGzip) Read(p []byte) (int, error) {
	if z.trouble != nil {
		return 0, z.trouble
	}
	if z.unzip == nil {
		if z.unzip, z.trouble = gzip.NewReader(z.raw); z.trouble != nil {
			if z.trouble == io.EOF { // nothing at all is no compressed file
				z.trouble = io.ErrUnexpectedEOF
			}
			return 0, z.trouble
		}
	}
	return z.unzip.Read(p)
}
