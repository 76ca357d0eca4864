package awaitrequests

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
	"go.uber.org/goleak"
)

func init() { caddy.RegisterModule(new(witness)) }

// witness is a listener wrapper that tells what has been accepted, and can hold it up on its
// way to the server.
type witness struct{}

var (
	accepted = make(chan struct{}, 1)
	holdNext = make(chan chan struct{}, 1)
)

func (*witness) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "caddy.listeners.witness", New: func() caddy.Module { return new(witness) }}
}

// UnmarshalCaddyfile implements caddyfile.Unmarshaler.
func (*witness) UnmarshalCaddyfile(d *caddyfile.Dispenser) error { d.Next(); return nil }

func (*witness) WrapListener(inner net.Listener) net.Listener { return witnessed{inner} }

type witnessed struct{ net.Listener }

func (w witnessed) Accept() (net.Conn, error) {
	conn, err := w.Listener.Accept()
	if err == nil {
		select {
		case accepted <- struct{}{}:
		default: // nobody wants to know
		}
		select {
		case released := <-holdNext:
			<-released
		default:
		}
	}
	return conn, err
}

// running is a Caddy in this process, with one site that tells the edition of its
// configuration.
type running struct {
	t       *testing.T
	dir     string
	address string
	options string
	wraps   string
}

// run runs the first edition until the test ends.
func run(t *testing.T, options, wraps string) *running {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &running{t, t.TempDir(), free.Addr().String(), options, wraps}
	_ = free.Close()
	before := goleak.IgnoreCurrent()
	if err := r.load(1); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
		goleak.VerifyNone(t, before)
	})
	return r
}

// load puts an edition in force.
func (r *running) load(edition int) error {
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt(fmt.Appendf(nil, `{
		admin off
		persist_config off
		auto_https off
		storage file_system %q
		storage_check off
		storage_clean_interval off
		%s
		servers {
			listener_wrappers {
				%s
				witness
			}
		}
		log {
			output discard
		}
	}
	http://%s {
		respond "edition %d"
	}`, r.dir, r.options, r.wraps, r.address, edition), nil)
	if err != nil {
		return err
	}
	return caddy.Load(config, true)
}

// loading is load in the background.
func (r *running) loading(edition int) <-chan error {
	done := make(chan error, 1)
	go func() { done <- r.load(edition) }()
	return done
}

// dial connects, and waits until a server has accepted.
func (r *running) dial() net.Conn {
	r.t.Helper()
	for len(accepted) > 0 {
		<-accepted
	}
	conn, err := net.Dial("tcp", r.address)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { conn.Close() })
	<-accepted
	return conn
}

// ask sends a request and reads the answer.
func ask(conn net.Conn) (string, error) {
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: "+conn.RemoteAddr().String()+"\r\n\r\n"); err != nil {
		return "", err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

// awaitEdition connects until an edition answers.
func (r *running) awaitEdition(edition int) {
	r.t.Helper()
	want := fmt.Sprintf("edition %d", edition)
	for deadline := time.Now().Add(10 * time.Second); ; {
		got := ""
		conn, err := net.Dial("tcp", r.address)
		if err == nil { // or it waited in the queue of the old listener
			got, err = ask(conn)
			conn.Close()
		}
		if got == want {
			return
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("%q is answered (%v), want %q", got, err, want)
		}
	}
}

// What Go's server does by itself: this test says for what the wrapper is there, and fails
// on the day on which it need not be any more.
func TestWithoutTheWrapperAnAcceptedConnectionIsClosed(t *testing.T) {
	r := run(t, "", "")
	early := r.dial()
	if err := r.load(2); err != nil {
		t.Fatal(err)
	}
	r.awaitEdition(2)
	if got, err := ask(early); err == nil {
		t.Errorf("%q is answered", got)
	}
}

func TestAnAcceptedConnectionIsServedByTheOldConfigurationWhileTheNewOneServes(t *testing.T) {
	r := run(t, "", "await_requests")
	early := r.dial()
	done := r.loading(2)
	r.awaitEdition(2)
	select {
	case err := <-done:
		t.Fatalf("the change did not wait (%v)", err)
	default:
	}
	if got, err := ask(early); got != "edition 1" {
		t.Errorf("%q is answered (%v)", got, err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	for range 20 { // once a change is done, nobody meets what was before
		late := r.dial()
		if got, err := ask(late); got != "edition 2" {
			t.Errorf("%q is answered (%v)", got, err)
		}
	}
}

// What the server has not noted yet is on its way to it all the same.
func TestAConnectionOnItsWayToTheServerIsServed(t *testing.T) {
	r := run(t, "", "await_requests")
	released := make(chan struct{})
	release := sync.OnceFunc(func() { close(released) })
	t.Cleanup(release)
	holdNext <- released
	early := r.dial()
	done := r.loading(2)
	r.awaitEdition(2)
	select {
	case err := <-done:
		t.Fatalf("the change did not wait (%v)", err)
	case <-time.After(time.Second): // in which it would be over
	}
	release()
	if got, err := ask(early); got != "edition 1" {
		t.Errorf("%q is answered (%v)", got, err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestAClientThatLeavesIsNotWaitedFor(t *testing.T) {
	r := run(t, "", "await_requests")
	early := r.dial()
	done := r.loading(2)
	r.awaitEdition(2)
	early.Close()
	begun := time.Now()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if took := time.Since(begun); took > patience/2 {
		t.Errorf("it took %v", took)
	}
}

// At a stop, too: with a listener that is systemd's, others come to the next process.
func TestAnAcceptedConnectionIsServedBeforeAStop(t *testing.T) {
	r := run(t, "", "await_requests")
	early := r.dial()
	done := make(chan error, 1)
	go func() { done <- caddy.Stop() }()
	for {
		conn, err := net.Dial("tcp", r.address)
		if err != nil {
			break // nothing listens any more
		}
		conn.Close()
	}
	if got, err := ask(early); got != "edition 1" {
		t.Errorf("%q is answered (%v)", got, err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// Caddy takes a listener that is closed before it is told so for one that nobody follows,
// and would sit out the delay at each change.
func TestWithAShutdownDelayNothingIsWaitedFor(t *testing.T) {
	const delay = 10 * time.Second
	r := run(t, "shutdown_delay "+delay.String(), "await_requests")
	r.dial()
	begun := time.Now()
	r.options = "" // or the test would sit it out
	if err := r.load(2); err != nil {
		t.Error(err)
	}
	if took := time.Since(begun); took > patience/2 {
		t.Errorf("the change took %v", took)
	}
}

func TestManyChanges(t *testing.T) {
	r := run(t, "", "await_requests")
	for edition := 2; edition < 30; edition++ {
		early := r.dial()
		done := r.loading(edition)
		if got, err := ask(early); got != fmt.Sprintf("edition %d", edition-1) {
			t.Errorf("%q is answered before change %d (%v)", got, edition, err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestCaddyfile(t *testing.T) {
	for name, c := range map[string]struct{ wraps, says string }{
		"it has no options":   {"await_requests 5s", "wrong argument count"},
		"it takes no block":   {"await_requests {\n wait 5s\n }", `unrecognized option "wait"`},
		"an empty one is one": {"await_requests {\n }", ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte("{\nservers {\nlistener_wrappers {\n"+c.wraps+"\n}\n}\n}\n:80"), nil)
			if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(strings.ToLower(err.Error()), c.says)) {
				t.Errorf("the error is %v, want %q", err, c.says)
			}
		})
	}
}

func TestItIsForServersOfHTTP(t *testing.T) {
	ctx, cancel := caddy.NewContext(caddy.Context{Context: t.Context()})
	defer cancel()
	if err := new(AwaitRequests).Provision(ctx); err == nil || !strings.Contains(err.Error(), "HTTP server") {
		t.Errorf("the error is %v", err)
	}
}
