package logfile

import (
	"bufio"
	"cmp"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gateway18789/caddy-ollama/auditlog/chain"
)

// stampLayout is the time in the name of a file that was rotated: when it began.
const stampLayout = "20060102T150405.000Z"

// segment is a file of the log that has been rotated.
type segment struct {
	name    string // without .gz
	plain   bool   // it is there as it was written
	zipped  bool   // it is there compressed
	first   uint64 // number of its first line
	opening chain.Opening
}

// file is the name of the file to read.
func (s segment) file() string {
	if s.plain {
		return s.name
	}
	return s.name + ".gz"
}

// open reads the segment, whether it is compressed or not.
func (s segment) open() (io.ReadCloser, error) {
	file, err := os.Open(s.file())
	if s.plain && errors.Is(err, fs.ErrNotExist) { // it was compressed meanwhile
		s.plain = false
		file, err = os.Open(s.file())
	}
	if err != nil || s.plain {
		return file, err
	}
	unzipped, err := gzip.NewReader(bufio.NewReaderSize(file, 256<<10))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", s.file(), err), file.Close())
	}
	return struct {
		io.Reader
		io.Closer
	}{unzipped, file}, nil
}

// segmentName is the name that the log's file gets when it is rotated.
func segmentName(path string, began time.Time) string {
	extension := filepath.Ext(path)
	return strings.TrimSuffix(path, extension) + "-" + began.UTC().Format(stampLayout) + extension
}

// segments are the log's rotated files in the order of the chain, which is not that of
// their names if the clock was set back. Those whose beginning cannot be read are
// skipped, and told in the error.
func segments(path string) (found []segment, err error) {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	byName := make(map[string]segment)
	for _, entry := range entries {
		full := filepath.Join(filepath.Dir(path), entry.Name())
		name, zipped := strings.CutSuffix(full, ".gz")
		if !isSegment(path, name) || !entry.Type().IsRegular() {
			continue
		}
		s := byName[name]
		s.name = name
		s.zipped = s.zipped || zipped
		s.plain = s.plain || !zipped
		byName[name] = s
	}
	for _, s := range byName {
		var unreadable error
		if s.first, s.opening, unreadable = s.begin(); errors.Is(unreadable, fs.ErrNotExist) {
			continue // it was deleted meanwhile
		} else if unreadable != nil {
			err = errors.Join(err, fmt.Errorf("%s is skipped: %w", s.file(), unreadable))
			continue
		}
		found = append(found, s)
	}
	slices.SortFunc(found, func(a, b segment) int { return cmp.Compare(a.first, b.first) })
	return found, err
}

func isSegment(path, name string) bool {
	extension := filepath.Ext(path)
	stamp, ok := strings.CutPrefix(name, strings.TrimSuffix(path, extension)+"-")
	if !ok {
		return false
	}
	stamp, ok = strings.CutSuffix(stamp, extension)
	if !ok {
		return false
	}
	at, err := time.Parse(stampLayout, stamp)
	return err == nil && at.Format(stampLayout) == stamp
}

// begin reads the segment's first line.
func (s segment) begin() (first uint64, opening chain.Opening, err error) {
	reader, err := s.open()
	if err != nil {
		return 0, opening, err
	}
	defer reader.Close()
	raw, err := bufio.NewReader(io.LimitReader(reader, 64<<10)).ReadBytes('\n')
	if err != nil {
		return 0, opening, err
	}
	line, err := chain.Parse(raw)
	if err != nil {
		return 0, opening, err
	}
	opening, ok := chain.ParseOpening(raw)
	if !ok {
		return 0, opening, errors.New("its first line is not the one that opens a file")
	}
	return line.Sequence, opening, nil
}

func exists(name string) bool {
	_, err := os.Lstat(name)
	return !errors.Is(err, fs.ErrNotExist)
}
