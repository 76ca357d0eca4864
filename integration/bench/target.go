package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
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
	home    string       // a gateway's folder
	admin   *http.Client // nil: it has no admin API
	// countCost is what it costs to count allocations.
	countCost allocated
	output    *bytes.Buffer
	exited    chan struct{}
}

// start runs the command and waits until it listens on the address.
func start(name, address string, cmd *exec.Cmd) (*target, error) {
	t := &target{name: name, address: address, process: cmd, output: new(bytes.Buffer), exited: make(chan struct{})}
	cmd.Stderr = t.output
	if cmd.Stdout == nil {
		cmd.Stdout = t.output
	}
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
func startGateway(name, binary, dir string, g gateway) (*target, error) {
	var err error
	if g.address, err = freeAddress(); err != nil {
		return nil, err
	}
	g.home = filepath.Join(dir, strings.ReplaceAll(name, " ", "-"))
	if err := os.Mkdir(g.home, 0o700); err != nil {
		return nil, err
	}
	creds, err := newCredentials(g.home)
	if err != nil {
		return nil, err
	}
	config := filepath.Join(g.home, "Caddyfile")
	if err := os.WriteFile(config, []byte(g.caddyfile()), 0o600); err != nil {
		return nil, err
	}
	cmd := exec.Command(binary, "run", "--config", config, "--adapter", "caddyfile")
	cmd.Env = append(os.Environ(), "HOME="+g.home, "XDG_DATA_HOME="+g.home+"/data", "XDG_CONFIG_HOME="+g.home+"/config")
	if g.oneCore {
		cmd.Env = append(cmd.Env, "GOMAXPROCS=1")
	}
	t, err := start(name, g.address, cmd)
	if err != nil {
		return nil, err
	}
	t.tls, t.home = creds.client, g.home
	t.admin = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(g.home, "admin.sock"))
	}}}
	if err := t.learnCountCost(); err != nil {
		t.stop()
		return nil, err
	}
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

func (t *target) pid() int { return t.process.Process.Pid }

// settle waits until the target has dealt with what a turn left behind, such as
// connections that are closed, so that the next turn has nothing of it.
func (t *target) settle() {
	const pause, little, most = 5 * time.Millisecond, 250 * time.Microsecond, 100
	last, err := cpuTime(t.pid())
	for i := 0; err == nil && i < most; i++ {
		time.Sleep(pause)
		before := last
		if last, err = cpuTime(t.pid()); last-before <= little {
			return
		}
	}
}

// learnCountCost sees what counting costs when nothing else goes on. The first counts
// make what later ones have.
func (t *target) learnCountCost() error {
	var counts [4]allocated
	for i := range counts {
		var err error
		if counts[i], err = t.allocations(); err != nil {
			return err
		}
	}
	t.countCost = counts[3].plus(-1, counts[2])
	return nil
}

// allocations is what the target has allocated, from Go's variables (expvar) in Caddy's
// admin API. A target that has none has allocated nothing.
func (t *target) allocations() (allocated, error) {
	if t.admin == nil {
		return allocated{}, nil
	}
	resp, err := t.admin.Get("http://admin/debug/vars")
	if err != nil {
		return allocated{}, err
	}
	defer resp.Body.Close()
	var vars struct {
		Memstats allocated
	}
	if err := json.NewDecoder(resp.Body).Decode(&vars); err != nil {
		return allocated{}, fmt.Errorf("variables of %s: %w", t.name, err)
	}
	return vars.Memstats, nil
}

// metric is one value of Prometheus's metrics in Caddy's admin API, by its name and labels.
func (t *target) metric(name string) (float64, error) {
	resp, err := t.admin.Get("http://admin/metrics")
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			return strconv.ParseFloat(value, 64)
		}
	}
	return 0, fmt.Errorf("%s has no metric %s", t.name, name)
}

// freeAddress is a loopback address with a port that is free now.
func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}
