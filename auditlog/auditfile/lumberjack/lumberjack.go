// Package lumberjack sends JSON objects by version 2 of the Lumberjack protocol, which
// Filebeat speaks and Logstash's beats input understands. Other than a plain connection it
// tells what has arrived.
//
// Who sends says how many objects come (a window), sends them numbered from 1, and waits.
// Who receives acknowledges a number when it has taken that object and those before; zero
// says that it is still busy. All numbers are of 32 bits, the most significant byte first:
//
//	"2W" count                       a window
//	"2J" number length JSON          an object
//	"2A" number                      an acknowledgement
package lumberjack

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// Conn sends to one receiver, one window after the other.
type Conn struct {
	conn net.Conn
	// patience is how long the receiver may take to take a window, and then may be silent.
	patience time.Duration
	buf      []byte
}

// New sends by a connection.
func New(conn net.Conn, patience time.Duration) *Conn {
	return &Conn{conn: conn, patience: patience}
}

// Close ends the connection.
func (c *Conn) Close() error { return c.conn.Close() }

// Send sends objects in one window and waits until all are acknowledged. On an error the
// first of them may have been acknowledged, and others may have arrived; the connection is
// to be closed.
func (c *Conn) Send(objects [][]byte) (acknowledged int, err error) {
	if len(objects) == 0 {
		return 0, nil
	}
	c.buf = appendWindow(c.buf[:0], objects)
	if err := c.conn.SetDeadline(time.Now().Add(c.patience)); err != nil {
		return 0, err
	}
	if _, err := c.conn.Write(c.buf); err != nil {
		return 0, fmt.Errorf("sending: %w", err)
	}
	if cap(c.buf) > 4<<20 {
		c.buf = nil // one long object does not keep its room for ever
	}
	for acknowledged < len(objects) {
		if err := c.conn.SetDeadline(time.Now().Add(c.patience)); err != nil {
			return acknowledged, err
		}
		number, err := readAcknowledgement(c.conn)
		if err != nil {
			return acknowledged, fmt.Errorf("waiting for an acknowledgement: %w", err)
		}
		if number > uint32(len(objects)) {
			return acknowledged, fmt.Errorf("object %d is acknowledged, of %d", number, len(objects))
		}
		acknowledged = max(acknowledged, int(number))
	}
	return acknowledged, nil
}

func appendWindow(dst []byte, objects [][]byte) []byte {
	dst = append(dst, "2W"...)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(objects)))
	for i, object := range objects {
		dst = append(dst, "2J"...)
		dst = binary.BigEndian.AppendUint32(dst, uint32(i+1))
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(object)))
		dst = append(dst, object...)
	}
	return dst
}

func readAcknowledgement(r io.Reader) (uint32, error) {
	var frame [6]byte
	if _, err := io.ReadFull(r, frame[:]); err != nil {
		return 0, err
	}
	if frame[0] != '2' || frame[1] != 'A' {
		return 0, errors.New("the receiver does not speak the Lumberjack protocol, version 2: is this the port of Logstash's beats input?")
	}
	return binary.BigEndian.Uint32(frame[2:]), nil
}
