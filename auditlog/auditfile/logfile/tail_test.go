package logfile

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/gateway18789/caddy-ollama/auditlog/chain"
)

// readTail reads what there is, and tells the numbers of the lines.
func readTail(t *testing.T, tail *Tail) (numbers []uint64) {
	t.Helper()
	for {
		found, err := tail.Next()
		if err == io.EOF {
			return numbers
		}
		if err != nil || found.Fault != nil || found.Missing > 0 {
			t.Fatalf("line %d: %v, %v, %d are missing", found.Sequence, err, found.Fault, found.Missing)
		}
		line, err := chain.Parse(found.Text)
		if err != nil || line.Link != found.Link {
			t.Fatalf("line %d: %s (%v)", found.Sequence, found.Text, err)
		}
		numbers = append(numbers, found.Sequence)
	}
}

func upTo(first, last uint64) (numbers []uint64) {
	for n := first; n <= last; n++ {
		numbers = append(numbers, n)
	}
	return numbers
}

// What is half written, or is removed again because the disk was full, is no line.
func TestHalfALineIsNotRead(t *testing.T) {
	log := start(t, newPath(t), standard(), nil)
	defer log.close(t)
	tail := log.Tail(chain.Link{})
	defer tail.Close()
	log.write(t, numbered(3)...)
	if got := readTail(t, tail); !slices.Equal(got, upTo(1, 4)) {
		t.Fatalf("read were %v", got)
	}
	// as if a line was being written, but could not be to its end
	half := strings.Repeat(`{"x":"`, 1000)
	log.mu.Lock()
	_, err := log.out.Write([]byte(half))
	log.torn = true
	log.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	if got := readTail(t, tail); len(got) > 0 {
		t.Errorf("read were %v", got)
	}
	log.write(t, numbered(100)...)
	if got := readTail(t, tail); !slices.Equal(got, upTo(5, 104)) {
		t.Errorf("read were %v", got)
	}
}

// A reader that has read ahead into such a half line reads again.
func TestALineThatWasReadAheadIsReadAgain(t *testing.T) {
	log := start(t, newPath(t), standard(), nil)
	defer log.close(t)
	tail := log.Tail(chain.Link{})
	defer tail.Close()
	log.write(t, numbered(3)...)
	log.mu.Lock()
	_, err := log.out.Write([]byte(`{"half":"of a line`))
	log.torn = true
	log.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tail.Next(); err != nil { // it has all of the file in its buffer
		t.Fatal(err)
	}
	log.write(t, numbered(100)...)
	if got := readTail(t, tail); !slices.Equal(got, upTo(2, 104)) {
		t.Errorf("read were %v", got)
	}
}

func TestAFileIsReadToItsEndAlthoughItIsRotated(t *testing.T) {
	for name, gzip := range map[string]bool{"compressed": true, "not compressed": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				options := standard()
				options.Gzip, options.RollSize = gzip, 4<<10
				log := start(t, newPath(t), options, nil)
				defer log.close(t)
				tail := log.Tail(chain.Link{})
				defer tail.Close()
				var got []uint64
				for round := range 30 {
					log.write(t, numbered(10+round)...)
					if round%7 > 3 {
						got = append(got, readTail(t, tail)...)
					}
					synctest.Wait() // until it is rotated and compressed
					if round%7 == 2 {
						got = append(got, readTail(t, tail)...)
					}
				}
				got = append(got, readTail(t, tail)...)
				if want := upTo(1, log.Sequence()); !slices.Equal(got, want) {
					t.Errorf("read were %v, want %d lines", got, len(want))
				}
				if len(names(t, log.Path)) < 5 {
					t.Errorf("there are only %v: this proves nothing", names(t, log.Path))
				}
			})
		})
	}
}

// Whatever happens to the files while they are read.
func TestNothingIsMissedOfALogThatChangesFilesAllTheTime(t *testing.T) {
	options := standard()
	options.Gzip, options.RollSize, options.Fsync = true, 1, 0
	log := start(t, newPath(t), options, nil)
	defer log.close(t)
	var writer sync.WaitGroup
	writer.Go(func() {
		for range 20 {
			for _, line := range numbered(20) {
				if _, err := log.Write([]byte(line)); err != nil {
					t.Error(err)
				}
			}
			log.tendRotation()
		}
	})
	tail := log.Tail(chain.Link{})
	defer tail.Close()
	var got []uint64
	for len(got) < 400 {
		got = append(got, readTail(t, tail)...)
	}
	writer.Wait()
	got = append(got, readTail(t, tail)...)
	if want := upTo(1, log.Sequence()); !slices.Equal(got, want) {
		t.Errorf("read were %v, want %d lines", got, len(want))
	}
	waitFor(t, "compressed files", func() bool { return len(names(t, log.Path)) > 5 })
}

func TestReadingBeginsAnywhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		options := standard()
		options.Gzip, options.RollSize = true, 4<<10
		log := start(t, newPath(t), options, nil)
		defer log.close(t)
		for range 5 {
			log.write(t, numbered(30)...)
			synctest.Wait()
		}
		all := log.Tail(chain.Link{})
		defer all.Close()
		last := log.Sequence()
		for {
			found, err := all.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			tail := log.Tail(found.Link)
			if got := readTail(t, tail); !slices.Equal(got, upTo(found.Sequence+1, last)) {
				t.Errorf("read after line %d were %v", found.Sequence, got)
			}
			tail.Close()
		}
	})
}

func TestUnshippedLinesAreToldBeforeTheyAreDeleted(t *testing.T) {
	for _, test := range []struct {
		name    string
		shipped uint64 // all lines up to
		ships   bool
		age     time.Duration
		want    []string // the lines that the operator is told of
		deleted bool
	}{
		{"all was shipped", 200, true, 181 * day, nil, true},
		{"the log is not shipped", 0, false, 181 * day, nil, true},
		{"nothing was shipped", 0, true, 181 * day, []string{"1-52 in 0s", "53-104 in 0s"}, true},
		{"the first file was", 52, true, 181 * day, []string{"53-104 in 0s"}, true},
		{"half of the first file was", 20, true, 181 * day, []string{"21-52 in 0s", "53-104 in 0s"}, true},
		{"there are 20 hours left", 60, true, 180*day - 20*time.Hour, []string{"61-104 in 20h0m0s"}, false},
		{"there are two days left", 0, true, 178 * day, nil, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				path, options := newPath(t), standard()
				options.RollDaily, options.Shipped = false, test.ships
				log := start(t, path, options, nil)
				defer log.close(t)
				for range 2 {
					log.write(t, numbered(51)...)
					rotate(log, options)
				}
				if err := log.NoteShipped(chain.Link{Sequence: test.shipped}); err != nil {
					t.Fatal(err)
				}
				if err := log.sweep(time.Now().Add(test.age)); err != nil {
					t.Error(err)
				}
				var told []string
				for _, entry := range log.told.All() {
					if entry.Level == zapcore.ErrorLevel {
						m := entry.ContextMap()
						told = append(told, fmt.Sprintf("%v-%v in %v", m["first"], m["last"], m["deleted_in"]))
					}
				}
				if !slices.Equal(told, test.want) {
					t.Errorf("the operator was told of %q, want %q", told, test.want)
				}
				if left, err := segments(path); (len(left) == 0) != test.deleted || err != nil {
					t.Errorf("%v are there (%v)", left, err)
				}
			})
		})
	}
}

const day = 24 * time.Hour

// rotate goes on in another file.
func rotate(log testLog, options Options) {
	small := options
	small.RollSize = 1
	log.SetOptions(small)
	synctest.Wait()
	log.SetOptions(options)
	synctest.Wait()
}

func TestThePositionIsReadAsItWasNoted(t *testing.T) {
	log := start(t, newPath(t), standard(), nil)
	defer log.close(t)
	if at, err := log.Shipped(); at != (chain.Link{}) || err != nil {
		t.Errorf("before there was any: %v, %v", at, err)
	}
	want := chain.Link{Sequence: 1 << 60, Hash: chain.Hash{1, 2, 3}}
	if err := log.NoteShipped(want); err != nil {
		t.Fatal(err)
	}
	if at, err := log.Shipped(); at != want || err != nil {
		t.Errorf("got %v, %v", at, err)
	}
	if info, err := os.Stat(log.Path + ".shipped"); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v, %v", info, err)
	}
	if err := os.WriteFile(log.Path+".shipped", []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if at, err := log.Shipped(); at != (chain.Link{}) || err == nil {
		t.Errorf("of garbage: %v, %v", at, err)
	}
}
