package ecs

import (
	"crypto/tls"
	"net"
	"net/url"
	"strings"
	"time"
)

// names are those that lines have most often, in the order in which they are written.
// They have their places in every entry, so that they need not be made each time.
var names = []string{
	"@timestamp", "log.level", "log.logger", "message", "ecs.version",
	"service.name", "service.environment", "service.node.name",
	"event.id", "event.kind", "event.category", "event.type", "event.action", "event.dataset", "event.module",
	"event.outcome", "event.reason", "event.duration", "event.sequence",
	"http.version", "http.request.id", "http.request.method", "http.request.body.bytes",
	"http.response.status_code", "http.response.body.bytes",
	"url.domain", "url.path",
	"source.ip", "source.address", "user.id", "user_agent.original",
	"tls.version", "tls.cipher", "tls.resumed", "tls.next_protocol",
	"tls.client.subject", "tls.client.hash.sha256", "tls.client.server_name",
	"tls.client.x509.serial_number", "tls.client.x509.subject.common_name",
	"gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.conversation.id",
	"gen_ai.request.model", "gen_ai.request.stream",
	"gen_ai.response.model", "gen_ai.response.finish_reasons", "gen_ai.response.time_to_first_chunk",
	"gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens",
	"ollama.queue_duration", "ollama.load_duration", "ollama.prompt_eval_duration", "ollama.eval_duration",
	"error.message", "error.id", "error.stack_trace", "trace.id", "span.id",
	"labels.usage_estimated", "labels.context_truncated", "labels.truncated",
	"related.ip", "related.user",
	"log.origin.file.name", "log.origin.function",
}

// form is what a value is.
type form int

const (
	text form = iota
	number
	truth
	list
	other
)

// target is where a field goes.
type target struct {
	name string // in ECS
	// form is what its values are. Others of the same name are other fields, which
	// Elasticsearch would refuse there: a certificate has a status, too.
	form form
	// What becomes of a value, if it does not stay as it is.
	rewrite func(string) string
	nameOf  func(uint16) string // of a number that stands for a name
	unit    time.Duration       // what a duration is counted in; 0: seconds
}

// targets are the fields of Caddy's own that ECS has a name for, by the path that they
// have in Caddy's log. A request's headers and query are not among them: that is where
// keys and cookies are.
var targets = map[string]target{
	"@timestamp":   {name: "@timestamp"}, // of an audit record
	"error":        {name: "error.message"},
	"errorVerbose": {name: "error.stack_trace"},
	"err_id":       {name: "error.id"},
	"err_trace":    {name: "error.stack_trace"},
	"duration":     {name: "event.duration", form: number, unit: time.Nanosecond},
	"status":       {name: "http.response.status_code", form: number},
	"size":         {name: "http.response.body.bytes", form: number},
	"bytes_read":   {name: "http.request.body.bytes", form: number},
	"uuid":         {name: "http.request.id"},
	"user_id":      {name: "user.id"},
	"traceID":      {name: "trace.id"},
	"spanID":       {name: "span.id"},
	"uri":          {name: "url.path", rewrite: pathOf},

	"request.client_ip": {name: "source.ip"},
	"request.proto":     {name: "http.version", rewrite: versionOf},
	"request.method":    {name: "http.request.method"},
	"request.host":      {name: "url.domain", rewrite: domainOf},
	"request.uri":       {name: "url.path", rewrite: pathOf},

	"request.tls.resumed":            {name: "tls.resumed", form: truth},
	"request.tls.version":            {name: "tls.version", form: number, nameOf: tlsVersion},
	"request.tls.cipher_suite":       {name: "tls.cipher", form: number, nameOf: tls.CipherSuiteName},
	"request.tls.proto":              {name: "tls.next_protocol"},
	"request.tls.server_name":        {name: "tls.client.server_name"},
	"request.tls.client_common_name": {name: "tls.client.x509.subject.common_name"},
	"request.tls.client_serial":      {name: "tls.client.x509.serial_number"},

	"request.headers.User-Agent": {name: "user_agent.original", form: list},
}

// blank is an entry with nothing but the places of names; places tells where they are,
// and known where fields go that have one, by their path.
var blank, places, known = func() (*entry, map[string]int, map[string]*spot) {
	blank, places, known := new(entry), make(map[string]int), make(map[string]*spot)
	blank.reset()
	for _, name := range names {
		places[name] = blank.find(0, name)
		blank.size += len(name) + perName // as if it were dotted
		if strings.Contains(name, ".") {
			known[name] = &spot{node: places[name]}
		}
	}
	for path, t := range targets {
		known[path] = &spot{node: places[t.name], target: &t}
	}
	blank.sequence = places["event.sequence"]
	return blank, places, known
}()

// quoted are the names of blank's nodes, as members of an object begin.
var quoted = func() (quoted []string) {
	for _, n := range blank.nodes {
		quoted = append(quoted, `"`+n.name+`":`)
	}
	return quoted
}()

// Places that are filled here, whatever the fields.
var (
	atTimestamp     = places["@timestamp"]
	atLevel         = places["log.level"]
	atLogger        = places["log.logger"]
	atMessage       = places["message"]
	atVersion       = places["ecs.version"]
	atService       = places["service.name"]
	atEnvironment   = places["service.environment"]
	atNode          = places["service.node.name"]
	atKind          = places["event.kind"]
	atCategory      = places["event.category"]
	atType          = places["event.type"]
	atAction        = places["event.action"]
	atDataset       = places["event.dataset"]
	atModule        = places["event.module"]
	atSourceIP      = places["source.ip"]
	atSourceAddress = places["source.address"]
	atUserID        = places["user.id"]
	atStackTrace    = places["error.stack_trace"]
	atTruncated     = places["labels.truncated"]
	atRelatedIP     = places["related.ip"]
	atRelatedUser   = places["related.user"]
	atFile          = places["log.origin.file.name"]
	atFunction      = places["log.origin.function"]
)

// pathOf is the path of a request's target: no query, and no user and password either.
func pathOf(target string) string {
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return ""
	}
	return u.Path
}

// versionOf is HTTP's version without its name.
func versionOf(protocol string) string { return strings.TrimPrefix(protocol, "HTTP/") }

// domainOf is a host without its port.
func domainOf(host string) string {
	if domain, _, err := net.SplitHostPort(host); err == nil {
		return domain
	}
	return host
}

// tlsVersion is the number of a version of TLS, such as 1.3.
func tlsVersion(version uint16) string {
	return strings.TrimPrefix(tls.VersionName(version), "TLS ")
}

// kind is what ECS wants to know of all entries of a logger.
type kind struct {
	dataset, module string // as JSON
	web             bool   // it is about a request that was made
}

// kindOf tells an entry's kind by the name of its logger.
func kindOf(logger string) kind {
	switch {
	case logger == "http.handlers.audit_log":
		return kind{`"caddy_ollama.audit"`, `"caddy_ollama"`, true}
	case strings.HasPrefix(logger, "http.log.access"):
		return kind{`"caddy.access"`, `"caddy"`, true}
	case strings.HasPrefix(logger, "http.log.error"):
		return kind{`"caddy.error"`, `"caddy"`, false}
	default:
		return kind{`"caddy.log"`, `"caddy"`, false}
	}
}
