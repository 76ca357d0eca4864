// Package lumberjacktest stands, in tests, for Logstash's beats input.
package lumberjacktest

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// ErrHangUp, returned by who takes objects, ends the connection without another word.
var ErrHangUp = errors.New("hung up")

// Receive takes the windows that come by a connection until it ends, and acknowledges each
// when all its objects are taken. It is strict: what Logstash would stumble over is an
// error. A connection that ends in the middle of a window is none.
func Receive(conn io.ReadWriter, take func(object []byte) error) error {
	reader := bufio.NewReader(conn)
	for {
		count, err := window(reader)
		if ended(err) {
			return nil
		}
		if err != nil {
			return err
		}
		for number := uint32(1); number <= count; number++ {
			object, err := object(reader, number)
			if ended(err) {
				return nil
			}
			if err != nil {
				return err
			}
			if err := take(object); err != nil {
				return err
			}
		}
		if err := Acknowledge(conn, count); err != nil {
			return nil // the connection has ended
		}
	}
}

// Acknowledge writes an acknowledgement; zero is a sign of life.
func Acknowledge(w io.Writer, number uint32) error {
	_, err := w.Write(binary.BigEndian.AppendUint32([]byte("2A"), number))
	return err
}

// errBroken marks what is wrong with what was sent, other than that it ended.
var errBroken = errors.New("not the Lumberjack protocol")

func ended(err error) bool { return err != nil && !errors.Is(err, errBroken) }

func window(r io.Reader) (count uint32, err error) {
	if err := frame(r, 'W'); err != nil {
		return 0, err
	}
	if count, err = number(r); err == nil && count == 0 {
		err = fmt.Errorf("%w: an empty window", errBroken)
	}
	return count, err
}

func object(r io.Reader, want uint32) ([]byte, error) {
	if err := frame(r, 'J'); err != nil {
		return nil, err
	}
	got, err := number(r)
	if err != nil {
		return nil, err
	}
	if got != want {
		return nil, fmt.Errorf("%w: object %d comes as number %d", errBroken, want, got)
	}
	length, err := number(r)
	if err != nil {
		return nil, err
	}
	text := make([]byte, length)
	if _, err := io.ReadFull(r, text); err != nil {
		return nil, err
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(text, &members); err != nil {
		return nil, fmt.Errorf("%w: object %d is no JSON object: %.100q", errBroken, want, text)
	}
	return text, nil
}

func frame(r io.Reader, kind byte) error {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	if head != [2]byte{'2', kind} {
		return fmt.Errorf("%w: %q where a frame of kind %c should begin", errBroken, head, kind)
	}
	return nil
}

func number(r io.Reader) (uint32, error) {
	var raw [4]byte
	_, err := io.ReadFull(r, raw[:])
	return binary.BigEndian.Uint32(raw[:]), err
}
