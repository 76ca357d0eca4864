package ecs

import (
	"errors"
	"math"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Whatever is logged, under whatever name, becomes one sound line.
func FuzzEncode(f *testing.F) {
	f.Add("http.handlers.audit_log", "request", "a", "b", "v", int64(1), 1.5)
	f.Add("http.log.access", "handled request", "event.sequence", "event.", "\u202e\x00", int64(-1), math.Inf(1))
	f.Add("x", "\xff", "..", "caddy", "\"", int64(0), -1.5)
	f.Add("x", "", "0\xff", "0\xfe", "v", int64(-1), 0.0) // two names that are written alike
	f.Fuzz(func(t *testing.T, logger, message, key, other, value string, number int64, float float64) {
		ent := zapcore.Entry{Level: zapcore.Level(number % 8), Time: time.Unix(0, number), LoggerName: logger, Message: message}
		fields := []zapcore.Field{
			zap.String(key, value), zap.Int64(other, number), zap.Uint64(key+"."+other, uint64(number)), zap.Float64(key+"f", float),
			zap.Dict(key, zap.String(other, value), zap.Dict(other, zap.Float64(key, float), zap.Namespace(other), zap.Bool(key, true))),
			zap.Objects(other, []*object{{key, value}, {other, value}}), zap.Strings(value, []string{key, value, other}),
			zap.Reflect(key, map[string]string{value: other}), zap.NamedError(other, errors.New(value)),
			zap.Inline(&object{key + ".value", value}), zap.Duration("duration", time.Duration(number)), zap.Uint16("request.tls.version", uint16(number)),
			zap.String("source.ip", value), zap.Dict("request", zap.String("uri", value), zap.String("host", value), zap.String(key, other)),
			zap.Uint64("event.sequence", uint64(number)), zap.Namespace(key), zap.String(other, value), zap.String(key, other),
		}
		for _, config := range []string{`{}`, `{"nested":false}`} {
			enc := newEncoder(t, config).Clone()
			for i := range fields {
				fields[i].AddTo(enc)
			}
			encode(t, enc, ent, fields...)
		}
	})
}
