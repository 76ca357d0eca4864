package auditfile

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/gateway18789/caddy-ollama/auditlog/auditfile/logfile"
	"github.com/gateway18789/caddy-ollama/auditlog/auditfile/shipper"
)

// place is where one audit log lies. There is one for each path, for as long as the
// process lives; its log is open as long as somebody needs it. So no two writers can
// ever fight for one chain, whatever the configurations say.
type place struct {
	path string
	log  atomic.Pointer[logfile.Log] // nil while nobody needs it

	mu sync.Mutex // guards who needs it
	// holders are modules of configurations, the oldest first. Its options are in force:
	// a configuration that comes counts when the one before is gone, and if it is
	// rejected never has.
	holders []*AuditFile
	begun   int   // requests in flight
	shipTo  *Ship // what shipper was started with
	refused atomic.Uint64
	shipper atomic.Pointer[shipper.Shipper] // nil while nothing is shipped
}

// openFile opens what is written; nil is the disk. Tests put one in place that fails.
var openFile func(name string, flag int) (logfile.File, error)

var places = struct {
	sync.Mutex
	byPath map[string]*place
	// configurations are the audit files of each configuration.
	configurations map[<-chan struct{}]Files
}{byPath: make(map[string]*place), configurations: make(map[<-chan struct{}]Files)}

// placeOf is the place of a file, by whatever name it is called.
func placeOf(name string) (*place, error) {
	path, err := filepath.Abs(name)
	if err != nil {
		return nil, err
	}
	folder := filepath.Dir(path)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	if folder, err = filepath.EvalSymlinks(folder); err != nil {
		return nil, err
	}
	path = filepath.Join(folder, filepath.Base(path))
	places.Lock()
	defer places.Unlock()
	p := places.byPath[path]
	if p == nil {
		p = &place{path: path}
		places.byPath[path] = p
	}
	return p, nil
}

// join makes the module one that needs the log.
func (a *AuditFile) join() error {
	p, err := placeOf(a.Filename)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, other := range p.holders {
		if other.configuration == a.configuration && !(reflect.DeepEqual(other.options, a.options) && reflect.DeepEqual(other.Ship, a.Ship)) {
			return errors.New("two logs of this configuration write this file, with different options")
		}
	}
	if err := p.open(a); err != nil {
		return err
	}
	if len(p.holders) == 0 {
		p.obey(a) // a request may have kept it open
	}
	p.holders = append(p.holders, a)
	a.place = p
	a.enlist()
	return nil
}

// enlist makes the module known as one of its configuration.
func (a *AuditFile) enlist() {
	places.Lock()
	defer places.Unlock()
	places.configurations[a.configuration] = append(places.configurations[a.configuration], a)
}

// strike is the end of what enlist began.
func (a *AuditFile) strike() {
	places.Lock()
	defer places.Unlock()
	rest := slices.DeleteFunc(places.configurations[a.configuration], func(b *AuditFile) bool { return a == b })
	if len(rest) == 0 {
		delete(places.configurations, a.configuration)
	} else {
		places.configurations[a.configuration] = rest
	}
}

// leave is the end of what join began.
func (a *AuditFile) leave() error {
	p := a.place
	p.mu.Lock()
	defer p.mu.Unlock()
	p.holders = slices.DeleteFunc(p.holders, func(b *AuditFile) bool { return a == b })
	if len(p.holders) > 0 {
		p.obey(p.holders[0])
		return nil
	}
	return p.closeUnused()
}

// open opens the log if it is not.
func (p *place) open(a *AuditFile) error {
	if p.log.Load() != nil {
		return nil
	}
	log, err := logfile.Open(logfile.Config{Path: p.path, Options: a.options, Logger: logger, OpenFile: openFile})
	if err == nil {
		p.log.Store(log)
		p.ship(a.Ship)
	}
	return err
}

// obey puts a module's options in force.
func (p *place) obey(a *AuditFile) {
	p.log.Load().SetOptions(a.options)
	p.ship(a.Ship)
}

// ship ships the log to where it is to go; nil is nowhere.
func (p *place) ship(to *Ship) {
	if reflect.DeepEqual(p.shipTo, to) {
		return
	}
	if old := p.shipper.Swap(nil); old != nil {
		old.Stop()
	}
	if p.shipTo = to; to != nil {
		p.shipper.Store(shipper.Start(p.log.Load(), shipper.Options{
			Receiver: to.Address, Dial: to.dial, Logger: logger, Failed: shipErrors.Inc,
		}))
	}
}

func (p *place) closeUnused() error {
	if len(p.holders) > 0 || p.begun > 0 {
		return nil
	}
	p.ship(nil)
	return p.log.Swap(nil).Close()
}

// Write writes a line. It makes the place what Caddy's logger writes to.
func (p *place) Write(line []byte) (int, error) {
	if isTrial(p.path, line) {
		return len(line), nil
	}
	if log := p.log.Load(); log != nil {
		return log.Write(line)
	}
	return 0, logfile.ErrClosed
}

// Close does nothing: see AuditFile.OpenWriter.
func (*place) Close() error { return nil }

// logger is where the operator is told of what happens to the log: Caddy's default log,
// as it is at the time.
func logger() *zap.Logger { return caddy.Log().Named("caddy.logging.writers.audit_file") }
