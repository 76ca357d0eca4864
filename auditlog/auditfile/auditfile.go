// Package auditfile provides the log writer audit_file.
package auditfile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/gateway18789/caddy-ollama/auditlog/auditfile/logfile"
)

func init() {
	caddy.RegisterModule(AuditFile{})
}

// AuditFile writes an audit log into a file that can only grow, and whose lines are
// chained to each other: no line can be changed, removed, added or moved without it
// showing. Use it for the records of the audit_log handler:
//
//	log audit {
//		include http.handlers.audit_log
//		output  audit_file /var/log/caddy-ollama/audit.log
//		format  json
//	}
//
// Another format than json or ecs is refused at load, if an audit_log writes into the log.
//
// Every line has a number without gaps, `event.sequence`, which takes the place of the
// process's own count, and a hash, `event.hash`, over itself and the line before. Both
// go on over rotation, reload and restart. How far the log has come is in the file
// `audit.log.head`; copy that elsewhere now and then, and with sign_key it is signed:
// then a missing end shows too. The log's own lines, such as the one that opens each
// file, have an `event.action` that begins with `audit-`.
//
// A request that has begun has a record even if the process dies: at the next start what
// was in flight is recorded with `event.outcome` unknown and `event.reason` crash. For
// that, records carry an `event.id`, and `audit.log.inflight` knows who is in flight.
//
// While the file cannot be written, say because the disk is full, the records of
// requests in flight are kept in memory and written when there is room again, and new
// requests are answered 503 before anything is done, unless on_failure says otherwise.
//
// A file is deleted only when its newest record is older than the retention, never for
// the number or size of files: give the disk room for that time.
//
// With ship the lines are sent to Logstash, too, and none is lost on the way.
//
// One process writes a file. After a reload the options are those of the new
// configuration as soon as the old one is gone; one that is rejected changes nothing.
type AuditFile struct {
	// The file. Rotated ones lie beside it, with the time of their beginning in their
	// names, such as `audit-20260102T000000.000Z.log.gz`. A folder that is missing is
	// made, readable by its owner only, as the files are.
	Filename string `json:"filename"`
	// The size in bytes at which a file is rotated. Default: 100 MiB.
	RollSize int64 `json:"roll_size,omitempty"`
	// Whether a file is rotated at midnight UTC, too. Default: true.
	RollDaily *bool `json:"roll_daily,omitempty"`
	// Whether rotated files are compressed. Default: true.
	Gzip *bool `json:"gzip,omitempty"`
	// How long a file is kept after its newest record. Default: 180 days, or
	// min_retention if that is longer.
	Retention caddy.Duration `json:"retention,omitempty"`
	// The shortest retention that is accepted. Default: 180 days.
	MinRetention caddy.Duration `json:"min_retention,omitempty"`
	// When records are made durable against a power cut: `each` before the request's
	// answer is complete, an interval such as `50ms` together in the background, or
	// `off`, which leaves it to the system. That the process dies costs no record in
	// any case. Default: `50ms`.
	Fsync string `json:"fsync,omitempty"`
	// A file with the Ed25519 private key, in PEM, that signs the head. If it is not
	// there it is made, with the public key beside it in `<file>.pub`. Default: none.
	SignKey string `json:"sign_key,omitempty"`
	// What happens to requests while the log cannot be written: `refuse` answers 503,
	// `continue` serves them with no record. Default: `refuse`.
	OnFailure string `json:"on_failure,omitempty"`
	// Where the lines are sent, too. Default: nowhere.
	Ship *Ship `json:"ship,omitempty"`

	place         *place
	options       logfile.Options
	configuration <-chan struct{} // what all modules of one configuration share
	tried         bool            // see Files.Try
}

// CaddyModule returns the Caddy module information.
func (AuditFile) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "caddy.logging.writers.audit_file",
		New: func() caddy.Module { return new(AuditFile) },
	}
}

// Provision opens the log, or joins those who have it open.
func (a *AuditFile) Provision(ctx caddy.Context) (err error) {
	replacer := caddy.NewReplacer()
	for _, name := range []*string{&a.Filename, &a.SignKey} {
		if *name, err = replacer.ReplaceOrErr(*name, true, true); err != nil {
			return fmt.Errorf("audit_file: %w", err)
		}
	}
	if a.Ship != nil {
		if err := a.Ship.resolve(replacer); err != nil {
			return fmt.Errorf("audit_file: %w", err)
		}
	}
	if err := a.compile(); err != nil {
		return fmt.Errorf("audit_file: %w", err)
	}
	a.configuration = ctx.Done()
	if onlyValidating() {
		a.enlist()
		return nil
	}
	if a.options.SignKey, err = signKey(a.SignKey); err != nil {
		return fmt.Errorf("audit_file %s: sign_key: %w", a.Filename, err)
	}
	if a.Ship != nil {
		if _, err := a.Ship.tls(); err != nil { // now, not when the first line is to go
			return fmt.Errorf("audit_file %s: ship: %w", a.Filename, err)
		}
		if err := registerMetrics(ctx.GetMetricsRegistry()); err != nil {
			return err
		}
	}
	if err := a.join(); err != nil {
		return fmt.Errorf("audit_file %s: %w", a.Filename, err)
	}
	return nil
}

// onlyValidating tells whether Caddy provisions this configuration just to see if it
// could. On the host of a gateway that runs, its log is locked then, rightly, and nothing
// must be written to it.
func onlyValidating() bool {
	return len(os.Args) > 1 && (os.Args[1] == "validate" || os.Args[1] == "adapt")
}

// compile turns the fields into options, and refuses what makes no sense.
func (a *AuditFile) compile() error {
	if a.Filename == "" {
		return errors.New("name a file")
	}
	o := logfile.Options{
		RollSize:  a.RollSize,
		RollDaily: a.RollDaily == nil || *a.RollDaily,
		Gzip:      a.Gzip == nil || *a.Gzip,
		Retention: time.Duration(a.Retention),
		Refuse:    a.OnFailure != "continue",
		Shipped:   a.Ship != nil,
	}
	if a.Ship != nil {
		if err := a.Ship.check(); err != nil {
			return err
		}
	}
	if o.RollSize == 0 {
		o.RollSize = 100 << 20
	}
	if o.RollSize < minRollSize || o.RollSize > maxRollSize {
		return fmt.Errorf("roll_size %d: it must be from 64KiB to 4GiB", a.RollSize)
	}
	if a.MinRetention < 0 || a.Retention < 0 {
		return errors.New("retention and min_retention must not be negative")
	}
	floor := time.Duration(a.MinRetention)
	if floor == 0 {
		floor = defaultRetention
	}
	if o.Retention == 0 {
		o.Retention = max(floor, defaultRetention)
	}
	if o.Retention < floor {
		return fmt.Errorf("retention %v is shorter than min_retention, %v", o.Retention, floor)
	}
	if !slices.Contains([]string{"", "refuse", "continue"}, a.OnFailure) {
		return fmt.Errorf("on_failure %q: it must be refuse or continue", a.OnFailure)
	}
	var err error
	if o.FsyncEach, o.Fsync, err = parseFsync(a.Fsync); err != nil {
		return err
	}
	a.options = o
	return nil
}

const (
	minRollSize      = 64 << 10
	maxRollSize      = 4 << 30
	defaultRetention = 180 * 24 * time.Hour
	defaultFsync     = 50 * time.Millisecond
)

func parseFsync(text string) (each bool, every time.Duration, err error) {
	switch text {
	case "":
		return false, defaultFsync, nil
	case "off":
		return false, 0, nil
	case "each":
		return true, 0, nil
	}
	every, err = caddy.ParseDuration(text)
	if err != nil || every < time.Millisecond || every > time.Minute {
		return false, 0, fmt.Errorf("fsync %q: it must be each, off, or an interval from 1ms to 1m", text)
	}
	return false, every, nil
}

// String is how Caddy names the writer to operators.
func (a *AuditFile) String() string { return a.Filename }

// WriterKey is the same for all writers of one file.
func (a *AuditFile) WriterKey() string {
	if a.place == nil {
		return "audit_file:" + a.Filename
	}
	return "audit_file:" + a.place.path
}

// OpenWriter returns what writes into the file whoever has it open. Caddy keeps it, and
// in v2.11.9 never closes it, so it holds nothing: opening and closing is Provision's and
// Cleanup's.
func (a *AuditFile) OpenWriter() (io.WriteCloser, error) {
	if a.place == nil {
		return unwritten(a.Filename), nil // see onlyValidating
	}
	return a.place, nil
}

// unwritten is a file that is not written, for its configuration is only validated.
type unwritten string

func (u unwritten) Write(line []byte) (int, error) {
	isTrial(string(u), line)
	return len(line), nil
}

func (unwritten) Close() error { return nil }

// Cleanup lets go of the log. It is closed when nobody needs it any more: neither another
// configuration nor a request that has begun.
func (a *AuditFile) Cleanup() error {
	a.strike()
	if a.place == nil {
		return nil
	}
	return a.leave()
}

// Interface guards
var (
	_ caddy.Provisioner  = (*AuditFile)(nil)
	_ caddy.CleanerUpper = (*AuditFile)(nil)
	_ caddy.WriterOpener = (*AuditFile)(nil)
)
