package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// target is what load can be put on: a gateway, or the upstream itself.
type target struct {
	name    string
	address string
	tls     *tls.Config // nil: none
	process *exec.Cmd
	admin   *http.Client // nil: it has no admin API
	output  *bytes.Buffer
	exited  chan struct{}
}

// start runs the command and waits until it listens on the address.
func start(name, address string, cmd *exec.Cmd) (*target, error) {
	t := &target{name: name, address: address, process: cmd, output: new(bytes.Buffer), exited: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = t.output, t.output
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = cmd.Wait()
		close(t.exited)
	}()
	for range 500 {
		select {
		case <-t.exited:
			return nil, fmt.Errorf("%s has ended:\n%s", name, t.output)
		case <-time.After(20 * time.Millisecond):
		}
		if conn, err := net.Dial("tcp", address); err == nil {
			return t, conn.Close()
		}
	}
	t.stop()
	return nil, fmt.Errorf("%s does not listen on %s:\n%s", name, address, t.output)
}

// startGateway runs Caddy's binary with these parts in a folder of its own below dir.
func startGateway(name, binary, dir, upstream string, parts []string) (*target, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	home := filepath.Join(dir, strings.ReplaceAll(name, " ", "-"))
	if err := os.Mkdir(home, 0o700); err != nil {
		return nil, err
	}
	creds, err := newCredentials(home)
	if err != nil {
		return nil, err
	}
	config := filepath.Join(home, "Caddyfile")
	if err := os.WriteFile(config, []byte(caddyfile(home, address, upstream, parts)), 0o600); err != nil {
		return nil, err
	}
	cmd := exec.Command(binary, "run", "--config", config, "--adapter", "caddyfile")
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_DATA_HOME="+home+"/data", "XDG_CONFIG_HOME="+home+"/config")
	t, err := start(name, address, cmd)
	if err != nil {
		return nil, err
	}
	t.tls = creds.client
	t.admin = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(home, "admin.sock"))
	}}}
	return t, nil
}

// stop ends the process: gently, and after 5 s by force.
func (t *target) stop() {
	_ = t.process.Process.Signal(syscall.SIGTERM)
	select {
	case <-t.exited:
	case <-time.After(5 * time.Second):
		_ = t.process.Process.Kill()
		<-t.exited
	}
}

// dial opens a connection, with the handshake done.
func (t *target) dial() (net.Conn, error) {
	conn, err := net.Dial("tcp", t.address)
	if err != nil || t.tls == nil {
		return conn, err
	}
	secured := tls.Client(conn, t.tls)
	if err := secured.Handshake(); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return secured, nil
}

// books is what has been booked on a target so far.
type books struct {
	usage
	allocs float64
}

func (t *target) books() (books, error) {
	used, err := usageOf(t.process.Process.Pid)
	if err != nil || t.admin == nil {
		return books{usage: used}, err
	}
	allocs, err := t.allocations()
	if err != nil {
		return books{}, fmt.Errorf("metrics of %s: %w", t.name, err)
	}
	used, err = usageOf(t.process.Process.Pid) // without what its metrics cost
	return books{used, allocs}, err
}

// allocations reads Go's own count from the metrics of Caddy's admin API.
func (t *target) allocations() (float64, error) {
	resp, err := t.admin.Get("http://admin/metrics")
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "go_memstats_mallocs_total "); ok {
			return strconv.ParseFloat(strings.TrimSpace(value), 64)
		}
	}
	return 0, errors.New("there is no go_memstats_mallocs_total")
}

// freeAddress is a loopback address with a port that is free now.
func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}
