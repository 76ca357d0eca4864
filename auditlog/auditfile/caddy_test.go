package auditfile_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/gateway18789/caddy-ollama/auditlog"
	"github.com/gateway18789/caddy-ollama/auditlog/auditfile"
	"github.com/gateway18789/caddy-ollama/auditlog/auditfile/logfile"
	_ "github.com/gateway18789/caddy-ollama/ollamaadapter" // for openai_error
)

// gateway is a Caddy in this process, in front of an upstream whose answers to /slow
// last until they are released.
type gateway struct {
	address  string
	storage  string
	format   string
	others   string // logs besides the audit log
	upstream string
	release  chan struct{}
	arrived  chan struct{}
	reached  atomic.Int32 // requests that came as far as the upstream
	client   *http.Client
}

func newGateway(t *testing.T) *gateway {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gateway{address: listener.Addr().String(), storage: t.TempDir(), format: "json", release: make(chan struct{}), arrived: make(chan struct{}, 100)}
	_ = listener.Close()
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.reached.Add(1)
		if r.URL.Path == "/slow" {
			w.WriteHeader(200)
			_ = http.NewResponseController(w).Flush()
			g.arrived <- struct{}{}
			<-g.release
		}
		_, _ = io.WriteString(w, "served")
	}))
	g.upstream = upstream.Listener.Addr().String()
	transport := &http.Transport{}
	g.client = &http.Client{Transport: transport}
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
		transport.CloseIdleConnections()
		upstream.Close()
	})
	return g
}

// load loads a configuration whose audit file has these options.
func (g *gateway) load(path, options, more string) error {
	adapted, err := g.adapt(path, options, more)
	if err != nil {
		return err
	}
	return caddy.Load(adapted, true)
}

// validate does what `caddy validate` does.
func (g *gateway) validate(t *testing.T, path string) error {
	t.Helper()
	adapted, err := g.adapt(path, "", "")
	if err != nil {
		return err
	}
	arguments := os.Args
	defer func() { os.Args = arguments }()
	os.Args = []string{"caddy", "validate"}
	var config *caddy.Config
	if err := json.Unmarshal(adapted, &config); err != nil {
		t.Fatal(err)
	}
	return caddy.Validate(config)
}

func (g *gateway) adapt(path, options, more string) ([]byte, error) {
	text := fmt.Sprintf(`{
		admin off
		persist_config off
		auto_https off
		storage file_system %s
		log default {
			level FATAL
		}
		log audit {
			include http.handlers.audit_log
			output audit_file %s {
				%s
			}
			format %s
		}
		%s
		events {
			on audit_log.failure ear
		}
	}
	http://%s {
		route {
			audit_log
			%s
			reverse_proxy %s
		}
		handle_errors {
			openai_error
		}
	}`, g.storage, path, options, g.format, g.others, g.address, more, g.upstream)
	adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), map[string]any{"filename": "Caddyfile"})
	return adapted, err
}

func (g *gateway) mustLoad(t *testing.T, path, options string) {
	t.Helper()
	if err := g.load(path, options, ""); err != nil {
		t.Fatal(err)
	}
}

func (g *gateway) get(t *testing.T, path string) int {
	t.Helper()
	status, _, _ := g.ask(t, path)
	return status
}

func (g *gateway) ask(t *testing.T, path string) (status int, header http.Header, body string) {
	t.Helper()
	response, err := g.client.Get("http://" + g.address + path)
	if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
		// Caddy drops what it has accepted but not yet read from when it reloads: such a
		// request has never begun
		response, err = g.client.Get("http://" + g.address + path)
	}
	if err != nil {
		t.Error(err)
		return 0, nil, ""
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(response.Body)
	return response.StatusCode, response.Header, string(text)
}

// requests are the records of requests, by path, status and reason.
func requests(lines []map[string]any) (found []string) {
	for _, line := range lines {
		if path, ok := line["url.path"]; ok {
			found = append(found, fmt.Sprint(path, " ", line["http.response.status_code"], " ", line["event.reason"]))
		}
	}
	return found
}

func expectRequests(t *testing.T, path string, want ...string) (lines []map[string]any) {
	t.Helper()
	lines = audit(t, path, "")
	if got := strings.Join(requests(lines), ", "); got != strings.Join(want, ", ") {
		t.Errorf("the records: %s\nwant: %s", got, strings.Join(want, ", "))
	}
	return lines
}

func TestCaddyWritesItsAuditRecordsIntoTheChain(t *testing.T) {
	path := newPath(t)
	g := newGateway(t)
	g.mustLoad(t, path, "fsync each")
	for range 3 {
		if status := g.get(t, "/x"); status != 200 {
			t.Errorf("status %d", status)
		}
	}
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	lines := expectRequests(t, path, "/x 200 ok", "/x 200 ok", "/x 200 ok")
	for i, line := range lines {
		if line["event.sequence"] != float64(i+1) {
			t.Errorf("line %d has number %v", i+1, line["event.sequence"])
		}
	}
	if lines[1]["event.id"] == nil || lines[1]["event.id"] == lines[2]["event.id"] {
		t.Errorf("event.id of two requests: %v, %v", lines[1]["event.id"], lines[2]["event.id"])
	}
}

func TestAReloadWithOtherOptionsGoesOnInTheSameChain(t *testing.T) {
	path := newPath(t)
	g := newGateway(t)
	key := filepath.Join(t.TempDir(), "audit.pem")
	g.mustLoad(t, path, "fsync off")
	g.get(t, "/1")
	var slow sync.WaitGroup
	slow.Go(func() { g.get(t, "/slow") })
	<-g.arrived

	if err := g.load(path, "fsync each\n sign_key "+key, "no_such_directive"); err == nil {
		t.Fatal("a configuration that is wrong was loaded")
	}
	if err := g.load(path, "fsync each\n sign_key "+key, "jwt_of_nobody"); err == nil {
		t.Fatal("a configuration that is wrong was loaded")
	}
	// this one fails only when the log is open already
	if err := g.load(path, "fsync each\n sign_key "+key, "reverse_proxy {\n transport http {\n tls_client_auth /no.crt /no.key\n }\n }"); err == nil {
		t.Fatal("a configuration that is wrong was loaded")
	}
	g.get(t, "/2")
	g.mustLoad(t, path, "fsync each\n sign_key "+key+"\n roll_size 64KiB")
	g.get(t, "/3")
	g.release <- struct{}{}
	slow.Wait()
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "end of the log", func() bool { return !auditfile.Open(path) })
	lines := expectRequests(t, path, "/1 200 ok", "/2 200 ok", "/3 200 ok", "/slow 200 ok")
	actions := ""
	for _, line := range lines {
		if action := line["event.action"]; action != nil {
			actions += fmt.Sprint(action, " ")
		} else if line["url.path"] == "/2" && strings.Contains(actions, "key-changed") {
			t.Error("the options of a configuration that was rejected were in force")
		}
	}
	if actions != "audit-file-opened audit-head-key-changed " {
		t.Errorf("the log tells of %s", actions)
	}
	audit(t, path, key+".pub")
}

func TestAStreamOfAnOlderConfigurationIsRecordedWhereItBegan(t *testing.T) {
	old, fresh := newPath(t), newPath(t)
	g := newGateway(t)
	g.mustLoad(t, old, "")
	var slow sync.WaitGroup
	slow.Go(func() { g.get(t, "/slow") })
	<-g.arrived
	g.mustLoad(t, fresh, "")
	g.get(t, "/1")
	g.release <- struct{}{}
	slow.Wait()
	waitFor(t, "end of the old log", func() bool { return !auditfile.Open(old) })
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	expectRequests(t, old, "/slow 200 ok")
	expectRequests(t, fresh, "/1 200 ok")
}

// broken is a disk that is full when it is told to be.
type broken struct{ full atomic.Bool }

func (b *broken) open(name string, flag int) (logfile.File, error) {
	file, err := os.OpenFile(name, flag, 0o600)
	return brokenFile{file, b}, err
}

type brokenFile struct {
	*os.File
	disk *broken
}

func (f brokenFile) Write(p []byte) (int, error) {
	if f.disk.full.Load() {
		n, err := f.File.Write(p[:len(p)/2])
		return n, errors.Join(err, syscall.ENOSPC)
	}
	return f.File.Write(p)
}

// cannotServe says nothing of the model server, which is well, nor of the disk.
const cannotServe = `{"error":{"message":"the gateway cannot serve requests at the moment; see Retry-After","type":"server_error","param":null,"code":"gateway_unavailable"}}`

func TestWhileNoRecordCanBeWrittenNothingIsServed(t *testing.T) {
	for _, test := range []struct {
		onFailure string
		status    int
	}{
		{"refuse", 503},
		{"continue", 200},
	} {
		t.Run(test.onFailure, func(t *testing.T) {
			disk := new(broken)
			t.Cleanup(auditfile.SetDisk(disk.open))
			path := newPath(t)
			g := newGateway(t)
			g.mustLoad(t, path, "on_failure "+test.onFailure)
			if status := g.get(t, "/1"); status != 200 {
				t.Errorf("status %d", status)
			}
			const failures = "caddy_audit_log_failures_total"
			hear()
			before := counter(t, failures)
			disk.full.Store(true)
			g.get(t, "/2") // it began when all was well
			waitFor(t, "trouble", func() bool { return errors.Is(auditfile.States()[0].Trouble, syscall.ENOSPC) })
			for range 2 {
				status, header, body := g.ask(t, "/3")
				if status != test.status {
					t.Errorf("status %d with a full disk, want %d", status, test.status)
				}
				if status == 503 && (body != cannotServe || header.Get("Retry-After") != "5") {
					t.Errorf("the client is told %s, Retry-After %q", body, header.Get("Retry-After"))
				}
			}
			states := auditfile.States()
			if len(states) != 1 || states[0].Path != path || states[0].Trouble == nil ||
				(states[0].Refused == 2) != (test.onFailure == "refuse") {
				t.Errorf("the states are %+v", states)
			}
			if n := counter(t, failures) - before; n != 3 {
				t.Errorf("%v failures are counted, want 3", n)
			}
			disk.full.Store(false)
			waitFor(t, "end of the trouble", func() bool { return auditfile.States()[0].Trouble == nil })
			if status := g.get(t, "/4"); status != 200 {
				t.Errorf("status %d when there is room again", status)
			}
			if n := counter(t, failures) - before; n != 3 {
				t.Errorf("%v failures are counted when there is room again, want 3", n)
			}
			alarms := hear()
			if len(alarms) != 1 || alarms[0].Data["url.path"] != "/2" || !strings.Contains(fmt.Sprint(alarms[0].Data["error.message"]), path) {
				t.Errorf("the alarms are %v", alarms)
			}
			if err := caddy.Stop(); err != nil {
				t.Fatal(err)
			}
			want, reached := "/3 503 audit_failure", int32(3)
			if test.onFailure == "continue" {
				want, reached = "/3 200 ok", 5
			}
			expectRequests(t, path, "/1 200 ok", "/2 200 ok", want, want, "/4 200 ok")
			if g.reached.Load() != reached {
				t.Errorf("%d requests reached the upstream, want %d", g.reached.Load(), reached)
			}
		})
	}
}

func TestAConfigurationIsValidatedOnAHostWhereOneRuns(t *testing.T) {
	path := newPath(t)
	g := newGateway(t)
	g.mustLoad(t, path, "")
	arguments := os.Args
	defer func() { os.Args = arguments }()
	os.Args = []string{"caddy", "validate"}
	other := filepath.Join(t.TempDir(), "no", "audit.log")
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	defer cancel()
	for _, path := range []string{path, other} {
		module, err := ctx.LoadModuleByID("caddy.logging.writers.audit_file", []byte(config(path)))
		if err != nil {
			t.Fatal(err)
		}
		writer, err := module.(caddy.WriterOpener).OpenWriter()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := writer.Write([]byte("x")); err != nil {
			t.Error(err)
		}
		_ = writer.Close()
	}
	if _, err := os.Stat(filepath.Dir(other)); err == nil {
		t.Error("validating made a folder")
	}
	if _, err := ctx.LoadModuleByID("caddy.logging.writers.audit_file", []byte(config(path, `"retention":"1d"`))); err == nil {
		t.Error("a mistake was not found")
	}
	os.Args = arguments
	g.get(t, "/1")
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	expectRequests(t, path, "/1 200 ok")
}
