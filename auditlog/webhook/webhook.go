// Package webhook provides the event handler webhook.
package webhook

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/gateway18789/caddy-ollama/auditlog/webhook/courier"
)

func init() {
	caddy.RegisterModule(Webhook{})
}

// Webhook sends each event to a receiver, as one JSON object in the body of a POST:
//
//	{
//		events {
//			on ip_throttle.blocked    webhook https://alerts.example.com/hook
//			on audit_log.forged_token webhook https://alerts.example.com/hook
//		}
//	}
//
// Its fields are `event`, the name; `id`, the same however often it is sent; `time`;
// `origin`, the module; `gateway`, the host; `data`, the event's own fields, which for
// `audit_log.*` and `ip_throttle.blocked` are those of the request's record; and `text`, all
// of it in one line, which is what Slack, Mattermost and their like show.
//
// No request waits for it. Alarms wait in a bounded queue and are sent one after the
// other. A receiver that fails, answers 408, 425, 429 or 5xx, or nothing, is asked again,
// after a second at first and a minute at most, or as long as it says in `Retry-After`, up
// to ten minutes; any other answer but 2xx is final. The queue outlives reloads; when the
// gateway stops, or no configuration has the receiver any more, what waits gets one last
// attempt, all of it within five seconds.
//
// Handlers with the same URL share a queue, so they must have the same options.
type Webhook struct {
	// The receiver, `https://`; `http://` only on this host, or with allow_http. May have
	// placeholders such as `{file./etc/caddy-ollama/webhook.url}`, which are resolved at load:
	// the URLs of some receivers are secrets. What is logged is the host only.
	URL string `json:"url"`
	// How long one attempt may take. Default: 5s.
	Timeout caddy.Duration `json:"timeout,omitempty"`
	// How many alarms may wait. Beyond that they are dropped, and counted. Default: 1000.
	Queue int `json:"queue,omitempty"`
	// How long an alarm is tried. Default: 1h.
	Retry caddy.Duration `json:"retry,omitempty"`
	// More headers of the requests. Values may have placeholders such as
	// `Bearer {file./etc/caddy-ollama/webhook.key}`, which are resolved at load.
	Header map[string]string `json:"header,omitempty"`
	// Lets alarms go in the clear to another host, with whatever secrets the headers have.
	// Default: false.
	AllowHTTP bool `json:"allow_http,omitempty"`
	// Where the Caddyfile has this handler, for messages. Whether others send to the same
	// URL is known only long after the line was read.
	Source string `json:"source,omitempty"`

	options options
	joined  *receiver // nil until joined
	logger  *zap.Logger
}

// options are the handler's, resolved.
type options struct {
	courier.Options
	url  string
	host string // all of the URL that is no secret
	// configuration stands for the one it is of: each has a metrics registry of its own.
	configuration any
}

const (
	defaultTimeout = 5 * time.Second
	defaultQueue   = 1000
	defaultRetry   = time.Hour
	// farewell is how long the last attempts may take together.
	farewell = 5 * time.Second
)

// CaddyModule returns the Caddy module information.
func (Webhook) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "events.handlers.webhook",
		New: func() caddy.Module { return new(Webhook) },
	}
}

// Provision resolves the options and joins the receiver's queue.
func (w *Webhook) Provision(ctx caddy.Context) error {
	w.logger = ctx.Logger()
	if err := w.check(); err != nil {
		return err
	}
	if err := w.resolve(); err != nil {
		return err
	}
	w.options.configuration = ctx.GetMetricsRegistry()
	if err := registerMetrics(ctx.GetMetricsRegistry()); err != nil {
		return err
	}
	return w.join()
}

// check checks what needs no placeholder resolved.
func (w *Webhook) check() error {
	switch {
	case w.URL == "":
		return errors.New("webhook: name the receiver's URL")
	case w.Timeout < 0 || w.Queue < 0 || w.Retry < 0:
		return errors.New("webhook: timeout, queue and retry must not be negative")
	case time.Duration(w.Timeout) > time.Minute:
		return fmt.Errorf("webhook: timeout %v: it must be at most 1m", time.Duration(w.Timeout))
	case w.Queue > mostQueue:
		return fmt.Errorf("webhook: queue %d: it must be at most %d", w.Queue, mostQueue)
	}
	for name := range w.Header {
		if err := checkHeader(name); err != nil {
			return err
		}
	}
	return nil
}

// mostQueue bounds the memory: an alarm takes about a kilobyte.
const mostQueue = 100_000

var (
	headerName  = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")
	headerValue = regexp.MustCompile(`^[\t\x20-\x7e\x80-\xff]*$`)
)

func checkHeader(name string) error {
	switch http.CanonicalHeaderKey(name) {
	case "Content-Type", "Content-Length", "Transfer-Encoding", "Host", "Connection":
		return fmt.Errorf("webhook: header %s is not yours to set", name)
	}
	if !headerName.MatchString(name) {
		return fmt.Errorf("webhook: %q is no name of a header", name)
	}
	return nil
}

// resolve makes options of the fields. Its errors say nothing of what is in files and
// variables.
func (w *Webhook) resolve() error {
	w.options.Options = courier.Options{
		Header: make(http.Header), Timeout: time.Duration(w.Timeout), Queue: w.Queue, Retry: time.Duration(w.Retry),
	}
	if w.Timeout == 0 {
		w.options.Timeout = defaultTimeout
	}
	if w.Queue == 0 {
		w.options.Queue = defaultQueue
	}
	if w.Retry == 0 {
		w.options.Retry = defaultRetry
	}
	replacer := caddy.NewReplacer()
	for name, text := range w.Header {
		value, err := replacer.ReplaceOrErr(text, true, true)
		if err != nil {
			return fmt.Errorf("webhook: header %s: its value cannot be read; does its file exist, is it readable, is the variable set?", name)
		}
		if !headerValue.MatchString(value) {
			return fmt.Errorf("webhook: header %s: its value has a line break or another control character", name)
		}
		w.options.Header.Set(name, value)
	}
	var err error
	if w.options.url, err = replacer.ReplaceOrErr(w.URL, true, true); err != nil {
		return errors.New("webhook: the URL cannot be read; does its file exist, is it readable, is the variable set?")
	}
	w.options.host, err = checkURL(w.options.url, w.AllowHTTP)
	return err
}

// checkURL returns the part of a receiver's URL that may be shown.
func checkURL(text string, allowHTTP bool) (host string, err error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return "", errors.New("webhook: the URL must be one such as https://alerts.example.com/hook")
	case u.User != nil:
		return "", errors.New("webhook: the URL must not hold a user or password: use header Authorization")
	case u.Scheme == "http" && !allowHTTP && !onThisHost(u.Hostname()):
		return "", fmt.Errorf("webhook: alarms would go to %s in the clear: use https, or allow_http", u.Host)
	}
	return u.Scheme + "://" + u.Host, nil
}

func onThisHost(name string) bool {
	ip, err := netip.ParseAddr(name)
	return name == "localhost" || err == nil && ip.IsLoopback()
}

// hostname is how receivers know the gateway.
var hostname, _ = os.Hostname()

// Handle takes an event. It does not wait.
func (w *Webhook) Handle(_ context.Context, e caddy.Event) error {
	a := alarm{Event: e.Name(), ID: e.ID().String(), Time: e.Timestamp().UTC(), Gateway: hostname}
	if origin := e.Origin(); origin != nil {
		a.Origin = string(origin.CaddyModule().ID)
	}
	body, err := a.encode(e.Data)
	if err != nil {
		return fmt.Errorf("webhook: %w", err)
	}
	w.joined.courier.Take(a.Event, body)
	return nil
}

// at says where the Caddyfile has this handler, if it comes from one.
func (w *Webhook) at() string {
	if w.Source == "" {
		return ""
	}
	return " at " + w.Source
}

// Cleanup leaves the receiver's queue.
func (w *Webhook) Cleanup() error {
	if w.joined == nil {
		return nil
	}
	w.joined.leave(w)
	_, err := receivers.Delete(w.options.url)
	return err
}

// MarshalLogObject is what Caddy's own log says of the handler: nothing that may be secret.
func (w *Webhook) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	enc.AddString("receiver", w.options.host)
	return nil
}

// Interface guards
var (
	_ caddy.Provisioner       = (*Webhook)(nil)
	_ caddy.CleanerUpper      = (*Webhook)(nil)
	_ caddyevents.Handler     = (*Webhook)(nil)
	_ zapcore.ObjectMarshaler = (*Webhook)(nil)
)
