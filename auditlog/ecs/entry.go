package ecs

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap/zapcore"

	"github.com/gateway18789/caddy-ollama/auditlog/timestamp"
)

// entry is a log entry of which the fields are being added.
type entry struct {
	tree
	source string // path of the object that is being added, as Caddy calls it, with a dot behind it
	prefix string // and what its fields without a target stand below
	strict bool   // only fields that have a target are added

	line  []byte // as it is written
	items items  // of the list that is being added

	guesses [64]struct { // of an earlier entry
		key  string
		spot *spot // nil: nothing is known of it
	}
	next int // guess

	unknown spot // where the field goes that is being added, if it has no place yet
}

// entries are entries that are not in use.
var entries = sync.Pool{New: func() any { return new(entry) }}

// beginAs makes an entry like another.
func (e *entry) beginAs(other *entry) {
	e.copy(&other.tree)
	e.next = 0
	e.source, e.prefix, e.strict = other.source, other.prefix, other.strict
}

// free gives an entry back for others to use.
func (e *entry) free() {
	clear(e.nodes[min(len(blank.nodes), len(e.nodes)):]) // so that no name is kept from being collected
	e.unknown = spot{}
	entries.Put(e)
}

// AddString is part of the zapcore.ObjectEncoder interface.
func (e *entry) AddString(key, value string) {
	if s, ok := e.spot(key, text); ok {
		e.addText(s, value)
	}
}

// sourceOf is where an address goes. One that Elasticsearch would not take for an IP
// address, such as a Unix socket's, goes elsewhere.
func sourceOf(address string) (node int, value string) {
	ip, err := netip.ParseAddr(address)
	switch {
	case err != nil:
		return atSourceAddress, address
	case ip.Zone() != "":
		return atSourceIP, ip.WithZone("").String()
	}
	return atSourceIP, address
}

// AddArray is part of the zapcore.ObjectEncoder interface.
func (e *entry) AddArray(key string, array zapcore.ArrayMarshaler) error {
	s, ok := e.place(key, list)
	if !ok {
		return nil
	}
	if s.target != nil { // of such a list, the first text
		l := &e.items
		*l = items{}
		err := array.MarshalLogArray(l)
		e.addText(s, l.firstText)
		return err
	}
	from, l := len(e.values), &e.items
	*l = items{out: append(e.values, '['), limit: from + e.roomFor(s) - 1}
	err := array.MarshalLogArray(l)
	e.values = append(l.out, ']')
	e.truncated = e.truncated || l.truncated
	e.put(s, from)
	return err
}

// AddObject is part of the zapcore.ObjectEncoder interface.
func (e *entry) AddObject(key string, object zapcore.ObjectMarshaler) error {
	source, prefix, strict := e.source, e.prefix, e.strict
	e.OpenNamespace(key)
	e.strict = strict || isHeader(key, object)
	err := object.MarshalLogObject(e)
	e.source, e.prefix, e.strict = source, prefix, strict
	return err
}

// isHeader reports whether an object is the header of a request or a response. Filters
// of Caddy's hide the type.
func isHeader(key string, object zapcore.ObjectMarshaler) bool {
	_, ok := object.(caddyhttp.LoggableHTTPHeader)
	return ok || strings.HasSuffix(key, "headers")
}

// OpenNamespace is part of the zapcore.ObjectEncoder interface.
func (e *entry) OpenNamespace(key string) {
	prefix, name := below, key // for a name that has values has no names below it
	if s, ok := e.spot(key, other); !ok {
		prefix, name = "", ""
	} else if s.node == 0 {
		prefix, name = s.prefix, s.name
	}
	e.source, e.prefix = e.source+key+".", prefix+"."+name
}

// AddBool is part of the zapcore.ObjectEncoder interface.
func (e *entry) AddBool(key string, value bool) {
	if s, ok := e.place(key, truth); ok {
		from := len(e.values)
		e.values = strconv.AppendBool(e.values, value)
		e.put(s, from)
	}
}

// AddInt64 is part of the zapcore.ObjectEncoder interface.
func (e *entry) AddInt64(key string, value int64) {
	if s, ok := e.place(key, number); ok {
		from := len(e.values)
		e.values = strconv.AppendInt(e.values, value, 10)
		e.put(s, from)
	}
}

// AddUint64 is part of the zapcore.ObjectEncoder interface.
func (e *entry) AddUint64(key string, value uint64) {
	if s, ok := e.place(key, number); ok {
		from := len(e.values)
		e.values = strconv.AppendUint(e.values, value, 10)
		e.put(s, from)
	}
}

// AddUint16 is part of the zapcore.ObjectEncoder interface.
func (e *entry) AddUint16(key string, value uint16) {
	if s, ok := e.spot(key, number); ok && s.target != nil && s.target.nameOf != nil {
		e.addText(s, s.target.nameOf(value))
		return
	}
	e.AddUint64(key, uint64(value))
}

// AddFloat64 is part of the zapcore.ObjectEncoder interface.
func (e *entry) AddFloat64(key string, value float64) {
	if s, ok := e.place(key, number); ok && isFinite(value) {
		from := len(e.values)
		e.values = appendFloat(e.values, value, 64)
		e.put(s, from)
	}
}

// AddFloat32 is part of the zapcore.ObjectEncoder interface.
func (e *entry) AddFloat32(key string, value float32) {
	if s, ok := e.place(key, number); ok && isFinite(float64(value)) {
		from := len(e.values)
		e.values = appendFloat(e.values, float64(value), 32)
		e.put(s, from)
	}
}

// AddDuration is part of the zapcore.ObjectEncoder interface.
func (e *entry) AddDuration(key string, value time.Duration) {
	if s, ok := e.spot(key, number); ok && s.target != nil && s.target.unit != 0 {
		e.AddInt64(key, int64(value/s.target.unit))
		return
	}
	e.AddFloat64(key, value.Seconds()) // as Caddy has it
}

// AddTime is part of the zapcore.ObjectEncoder interface.
func (e *entry) AddTime(key string, value time.Time) {
	if s, ok := e.place(key, other); ok {
		from := len(e.values)
		e.values = appendTime(e.values, value)
		e.put(s, from)
	}
}

// AddReflected is part of the zapcore.ObjectEncoder interface. Of a value that is no
// text, number or bool, the JSON is a text: its names could be anybody's.
func (e *entry) AddReflected(key string, value any) error {
	plain, written, err := reflected(value)
	if err != nil {
		return err
	}
	if plain == "" {
		e.AddString(key, written)
	} else if s, ok := e.place(key, other); ok {
		from := len(e.values)
		e.values = append(e.values, plain...)
		e.put(s, from)
	}
	return nil
}

// reflected is a value as JSON writes it: plain is a number or a bool, written a text.
func reflected(value any) (plain, written string, err error) {
	data, err := json.Marshal(value)
	switch {
	case err != nil:
		return "", "", err
	case string(data) == "null":
		return "", "", nil
	case data[0] == '"':
		err = json.Unmarshal(data, &written)
		return "", written, err
	case data[0] != '{' && data[0] != '[' && len(data) <= 32:
		return string(data), "", nil
	}
	return "", string(data), nil
}

// AddBinary is part of the zapcore.ObjectEncoder interface.
func (e *entry) AddBinary(key string, value []byte) {
	e.AddString(key, base64.StdEncoding.EncodeToString(value))
}

// AddComplex128 is part of the zapcore.ObjectEncoder interface.
func (e *entry) AddComplex128(key string, value complex128) {
	e.AddString(key, strconv.FormatComplex(value, 'g', -1, 128))
}

// The rest of the zapcore.ObjectEncoder interface.

func (e *entry) AddByteString(key string, value []byte)   { e.AddString(key, string(value)) }
func (e *entry) AddComplex64(key string, value complex64) { e.AddComplex128(key, complex128(value)) }
func (e *entry) AddInt(key string, value int)             { e.AddInt64(key, int64(value)) }
func (e *entry) AddInt32(key string, value int32)         { e.AddInt64(key, int64(value)) }
func (e *entry) AddInt16(key string, value int16)         { e.AddInt64(key, int64(value)) }
func (e *entry) AddInt8(key string, value int8)           { e.AddInt64(key, int64(value)) }
func (e *entry) AddUint(key string, value uint)           { e.AddUint64(key, uint64(value)) }
func (e *entry) AddUint32(key string, value uint32)       { e.AddUint64(key, uint64(value)) }
func (e *entry) AddUint8(key string, value uint8)         { e.AddUint64(key, uint64(value)) }
func (e *entry) AddUintptr(key string, value uintptr)     { e.AddUint64(key, uint64(value)) }

func isFinite(f float64) bool { return !math.IsNaN(f) && !math.IsInf(f, 0) }

// appendFloat writes a number that is finite, as short as it can be.
func appendFloat(out []byte, f float64, bits int) []byte {
	format := byte('f')
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(out, f, format, -1, bits)
}

func appendTime(out []byte, t time.Time) []byte {
	return append(timestamp.Append(append(out, '"'), t), '"')
}

// Interface guard
var _ zapcore.ObjectEncoder = (*entry)(nil)
