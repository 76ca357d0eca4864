package ollamaadapter

import (
	"bytes"
	"errors"
	"io"
	"math"
	"testing"
	"testing/iotest"
)

func TestReadAllReadsToTheEndWhateverWasAnnounced(t *testing.T) {
	sent := bytes.Repeat([]byte("body "), 100_000)
	for name, read := range map[string]func(io.Reader) io.Reader{
		"in one piece":                  func(r io.Reader) io.Reader { return r },
		"in halves":                     iotest.HalfReader,
		"with the end in the last read": iotest.DataErrReader,
	} {
		for _, size := range []int{0, 1, 511, 512, 513, len(sent)} {
			for _, announced := range []int64{-1, 0, 1, int64(size) - 1, int64(size), int64(size) + 1, math.MaxInt64 - 1} {
				got, err := readAll(read(bytes.NewReader(sent[:size])), announced)
				if err != nil || !bytes.Equal(got, sent[:size]) {
					t.Fatalf("%d bytes %s, announced as %d: %d bytes, %v", size, name, announced, len(got), err)
				}
			}
		}
	}
}

func TestReadAllMakesNothingReadyForMereWords(t *testing.T) {
	got, err := readAll(bytes.NewReader(nil), 1<<40)
	if err != nil || cap(got) > mostAnnounced+1 {
		t.Errorf("%d bytes are ready, %v", cap(got), err)
	}
	if got, _ := readAll(bytes.NewReader(make([]byte, 100_000)), 100_000); cap(got) > 110_000 {
		t.Errorf("for 100,000 bytes %d are taken", cap(got))
	}
}

func TestReadAllTellsWhatWentWrong(t *testing.T) {
	broken := errors.New("broken")
	got, err := readAll(io.MultiReader(bytes.NewReader([]byte("half")), iotest.ErrReader(broken)), 8)
	if !errors.Is(err, broken) || got != nil {
		t.Errorf("%q, %v", got, err)
	}
}
