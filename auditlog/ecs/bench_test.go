package ecs

import (
	"testing"

	"github.com/caddyserver/caddy/v2/modules/logging"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// What a record costs, beside Caddy's own JSON encoder. That one writes fewer fields.
func BenchmarkRecord(b *testing.B) {
	caddys := new(logging.JSONEncoder)
	if err := caddys.Provision(newContext(b)); err != nil {
		b.Fatal(err)
	}
	for _, encoder := range []struct {
		name string
		zapcore.Encoder
	}{
		{"json", caddys}, {"ecs", newEncoder(b, `{}`)}, {"ecs dotted", newEncoder(b, `{"nested":false}`)},
	} {
		b.Run(encoder.name, func(b *testing.B) {
			ent, fields := entryOf(auditLogger), []zapcore.Field{zap.Inline(full())}
			b.ReportAllocs()
			for b.Loop() {
				buf, err := encoder.EncodeEntry(ent, fields)
				if err != nil {
					b.Fatal(err)
				}
				b.SetBytes(int64(buf.Len()))
				buf.Free()
			}
		})
	}
}

// The access log, likewise.
func BenchmarkAccess(b *testing.B) {
	caddys := new(logging.JSONEncoder)
	if err := caddys.Provision(newContext(b)); err != nil {
		b.Fatal(err)
	}
	for _, encoder := range []struct {
		name string
		zapcore.Encoder
	}{
		{"json", caddys}, {"ecs", newEncoder(b, `{}`)},
	} {
		b.Run(encoder.name, func(b *testing.B) {
			ent, fields := entryOf("http.log.access"), accessFields("POST", "/v1/chat/completions")
			b.ReportAllocs()
			for b.Loop() {
				buf, err := encoder.EncodeEntry(ent, fields)
				if err != nil {
					b.Fatal(err)
				}
				buf.Free()
			}
		})
	}
}
