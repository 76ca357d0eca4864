package ollamadoctor

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gateway18789/caddy-ollama/cmd/ollamadoctor/checkup"
)

// host is the machine that this runs on.
type host struct{}

// Now implements checkup.Host.
func (host) Now() time.Time { return time.Now() }

// Listeners implements checkup.Host, on Linux.
func (host) Listeners() (all []netip.AddrPort, err error) {
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		data, err := os.ReadFile(table)
		if os.IsNotExist(err) && table != "/proc/net/tcp" {
			continue // there is no IPv6
		}
		if err != nil {
			return nil, err
		}
		listeners, err := parseListeners(string(data))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", table, err)
		}
		all = append(all, listeners...)
	}
	return all, nil
}

// listening is the state of a socket that takes connections, in /proc/net/tcp.
const listening = "0A"

// parseListeners reads /proc/net/tcp, or tcp6.
func parseListeners(table string) (listeners []netip.AddrPort, err error) {
	for i, line := range strings.Split(strings.TrimSpace(table), "\n") {
		fields := strings.Fields(line)
		if i == 0 || len(fields) < 4 || fields[3] != listening {
			continue
		}
		address, port, found := strings.Cut(fields[1], ":")
		number, err := strconv.ParseUint(port, 16, 16)
		bytes, err2 := hex.DecodeString(address)
		if !found || err != nil || err2 != nil || len(bytes)%4 != 0 {
			return nil, fmt.Errorf("%q is no address", fields[1])
		}
		for word := range slices.Chunk(bytes, 4) { // each in the order of this host, which is little-endian
			slices.Reverse(word)
		}
		ip, ok := netip.AddrFromSlice(bytes)
		if !ok {
			return nil, fmt.Errorf("%q is no address", fields[1])
		}
		listeners = append(listeners, netip.AddrPortFrom(ip, uint16(number)))
	}
	return listeners, nil
}

// Addresses implements checkup.Host.
func (host) Addresses() (all []netip.Addr, err error) {
	networks, err := net.InterfaceAddrs()
	for _, n := range networks {
		if prefix, err := netip.ParsePrefix(n.String()); err == nil {
			all = append(all, prefix.Addr().Unmap())
		}
	}
	return all, err
}

// Lookup implements checkup.Host.
func (host) Lookup(ctx context.Context, name string) ([]netip.Addr, error) {
	return net.DefaultResolver.LookupNetIP(ctx, "ip", name)
}

// Answers implements checkup.Host.
func (host) Answers(ctx context.Context, address string) bool {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

// How far back, and how often, a log is looked through.
const (
	lookBack  = 1 << 20
	lookEvery = 100 * time.Millisecond
)

// LogHas implements checkup.Host.
func (host) LogHas(ctx context.Context, file, text string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second) // a record is written in milliseconds
	defer cancel()
	for {
		end, err := endOf(file)
		if err != nil || bytes.Contains(end, []byte(text)) {
			return err == nil, err
		}
		select {
		case <-time.After(lookEvery):
		case <-ctx.Done():
			return false, nil
		}
	}
}

// endOf is the end of a file.
func endOf(name string) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	size, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	if _, err := file.Seek(max(0, size-lookBack), io.SeekStart); err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(file, 2*lookBack))
}

var _ checkup.Host = host{}
