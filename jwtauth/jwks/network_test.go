package jwks

import (
	"context"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// network has one host that listens. Unlike sockets it can be in a bubble.
type network struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once

	mu     sync.Mutex
	dialed []string // the addresses
}

func newNetwork() *network {
	return &network{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (n *network) dial(ctx context.Context, _, address string) (net.Conn, error) {
	n.mu.Lock()
	n.dialed = append(n.dialed, address)
	n.mu.Unlock()
	client, server := pipe()
	select {
	case n.conns <- server:
		return client, nil
	case <-n.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (n *network) Accept() (net.Conn, error) {
	select {
	case conn := <-n.conns:
		return conn, nil
	case <-n.closed:
		return nil, net.ErrClosed
	}
}

func (n *network) Close() error {
	n.once.Do(func() { close(n.closed) })
	return nil
}

func (n *network) Addr() net.Addr { return new(net.TCPAddr) }

// conn is one end of a connection. It has a buffer, which net.Pipe has not: there, two
// ends that say goodbye at once wait for each other.
type conn struct{ in, out *stream }

func pipe() (client, server net.Conn) {
	up, down := newStream(), newStream()
	return conn{in: down, out: up}, conn{in: up, out: down}
}

func (c conn) Read(p []byte) (int, error)        { return c.in.read(p) }
func (c conn) Write(p []byte) (int, error)       { return c.out.write(p) }
func (c conn) LocalAddr() net.Addr               { return new(net.TCPAddr) }
func (c conn) RemoteAddr() net.Addr              { return new(net.TCPAddr) }
func (c conn) SetReadDeadline(t time.Time) error { return c.in.setDeadline(t) }
func (c conn) SetWriteDeadline(time.Time) error  { return nil }
func (c conn) SetDeadline(t time.Time) error     { return c.in.setDeadline(t) }

func (c conn) Close() error {
	c.in.close()
	c.out.close()
	return nil
}

// stream is one direction.
type stream struct {
	mu       sync.Mutex
	changed  *sync.Cond
	buffer   []byte
	closed   bool
	deadline time.Time
}

// streamBuffer is how much is written before somebody must have read.
const streamBuffer = 64 << 10

func newStream() *stream {
	s := new(stream)
	s.changed = sync.NewCond(&s.mu)
	return s
}

func (s *stream) read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.buffer) == 0 {
		switch {
		case s.closed:
			return 0, io.EOF
		case !s.deadline.IsZero() && !time.Now().Before(s.deadline):
			return 0, os.ErrDeadlineExceeded
		}
		s.changed.Wait()
	}
	n := copy(p, s.buffer)
	s.buffer = s.buffer[n:]
	s.changed.Broadcast()
	return n, nil
}

func (s *stream) write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.buffer) > streamBuffer && !s.closed {
		s.changed.Wait()
	}
	if s.closed {
		return 0, io.ErrClosedPipe
	}
	s.buffer = append(s.buffer, p...)
	s.changed.Broadcast()
	return len(p), nil
}

func (s *stream) setDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deadline = t
	if t.After(time.Now()) {
		time.AfterFunc(time.Until(t), s.changed.Broadcast)
	}
	s.changed.Broadcast()
	return nil
}

func (s *stream) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.changed.Broadcast()
}
