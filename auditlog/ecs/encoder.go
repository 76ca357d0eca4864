// Package ecs provides a log encoder that writes what Elasticsearch expects.
package ecs

import (
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap/buffer"
	"go.uber.org/zap/zapcore"
)

func init() {
	caddy.RegisterModule(Encoder{})
}

// Version is the version of the Elastic Common Schema that the names are of.
const Version = "9.4.0"

// Encoder writes log entries as JSON in the Elastic Common Schema, one a line, ready
// for Elasticsearch, be it an audit record, an access log or any other log of Caddy's:
//
//	log audit {
//		include http.handlers.audit_log
//		output  file /var/log/caddy-ollama/audit.log
//		format  ecs
//	}
//
// What Caddy logs of a request gets ECS's names, but for its headers and its query:
// there is where clients put their keys, so they are left out. (Of the headers,
// User-Agent is written.) A field for which ECS has no name stands under `caddy`; one
// that has a dotted name already, as by `log_append`, keeps it.
//
// Every line is a JSON object, holds no name twice, is valid UTF-8, and has no
// character unescaped that could break it, or that could fool who reads it in a
// terminal: no control characters, no separators of lines, no marks that turn the
// direction of writing. It is no longer than 64 KiB; what has no room is cut or left
// out, and `labels.truncated` tells so.
//
// Beside what an entry says, a line has:
//
// Field | Value
// ------|------
// `@timestamp` | of an audit record, when its request came; RFC 3339, UTC
// `log.level`, `log.logger`, `message` | as Caddy has them
// `ecs.version` | `9.4.0`
// `event.kind` | `event`
// `event.category`, `event.type` | `["web"]`, `["access"]` of audit records and access logs
// `event.action` | `request` of those
// `event.dataset` | `caddy_ollama.audit`, `caddy.access`, `caddy.error` or `caddy.log`
// `event.module` | `caddy_ollama` or `caddy`
// `related.ip`, `related.user` | what `source.ip` and `user.id` say, as lists
type Encoder struct {
	// Whether names are nested objects; `{"event":{"kind":…}}`. Otherwise they have
	// dots: `{"event.kind":…}`. Elasticsearch takes both for the same. `event.sequence`
	// has a dot in any case: the writer of an audit log looks for it. Default: true.
	Nested *bool `json:"nested,omitempty"`
	// What the log calls this service. Default: `caddy-ollama`.
	ServiceName string `json:"service_name,omitempty"`
	// Which environment this is, such as `production`. Default: the log does not say.
	ServiceEnvironment string `json:"service_environment,omitempty"`
	// What tells this instance of the service from others, such as
	// `{system.hostname}`. Default: the log does not say.
	ServiceNodeName string `json:"service_node_name,omitempty"`

	*entry `json:"-"` // with which all lines begin
}

// CaddyModule returns the Caddy module information.
func (Encoder) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "caddy.logging.encoders.ecs",
		New: func() caddy.Module { return new(Encoder) },
	}
}

// Provision makes what all lines have in common.
func (c *Encoder) Provision(caddy.Context) error {
	if c.Nested == nil {
		on := true
		c.Nested = &on
	}
	if c.ServiceName == "" {
		c.ServiceName = "caddy-ollama"
	}
	c.entry = new(entry)
	c.beginAs(blank)
	c.add(atVersion, Version)
	c.add(atKind, "event")
	for _, option := range []struct {
		name  string
		at    int
		value string
	}{
		{"service_name", atService, c.ServiceName},
		{"service_environment", atEnvironment, c.ServiceEnvironment},
		{"service_node_name", atNode, c.ServiceNodeName},
	} {
		value, err := caddy.NewReplacer().ReplaceOrErr(option.value, true, true)
		if err != nil {
			return fmt.Errorf("%s: %w", option.name, err)
		}
		c.add(option.at, value)
	}
	return nil
}

// Clone is part of the zapcore.Encoder interface.
func (c *Encoder) Clone() zapcore.Encoder {
	clone := *c
	clone.entry = new(entry)
	clone.beginAs(c.entry)
	return &clone
}

var buffers = buffer.NewPool()

// EncodeEntry is part of the zapcore.Encoder interface.
func (c *Encoder) EncodeEntry(ent zapcore.Entry, fields []zapcore.Field) (*buffer.Buffer, error) {
	e := entries.Get().(*entry)
	defer e.free()
	e.beginAs(c.entry)
	e.add(atLevel, ent.Level.String())
	e.add(atLogger, ent.LoggerName)
	e.add(atMessage, ent.Message)
	for i := range fields {
		fields[i].AddTo(e)
	}
	e.complete(&ent)
	e.line = append(e.append(e.line[:0], *c.Nested), '\n')
	out := buffers.Get()
	out.AppendBytes(e.line)
	return out, nil
}

// complete adds what the fields have not said.
func (e *entry) complete(ent *zapcore.Entry) {
	if !e.has(atTimestamp) {
		from := len(e.values)
		e.values = appendTime(e.values, ent.Time)
		e.fill(atTimestamp, from)
	}
	if ent.Caller.Defined {
		e.add(atFile, ent.Caller.File)
		e.add(atFunction, ent.Caller.Function)
	}
	if ent.Stack != "" {
		e.add(atStackTrace, ent.Stack)
	}
	kind := kindOf(ent.LoggerName)
	if kind.web {
		e.suggest(atCategory, `["web"]`)
		e.suggest(atType, `["access"]`)
		e.suggest(atAction, `"request"`)
	}
	e.suggest(atDataset, kind.dataset)
	e.suggest(atModule, kind.module)
	e.relate(atRelatedIP, atSourceIP)
	e.relate(atRelatedUser, atUserID)
	if e.truncated {
		e.suggest(atTruncated, "true")
	}
}

// Interface guards
var (
	_ caddy.Provisioner = (*Encoder)(nil)
	_ zapcore.Encoder   = (*Encoder)(nil)
)
