package ecs

import (
	"strconv"
	"time"

	"go.uber.org/zap/zapcore"
)

// items are those of a list that is being written, up to a limit.
type items struct {
	out       []byte
	limit     int // of the length of out
	truncated bool
	firstText string // the first text of it
}

// next says that there is room for a value of at most size bytes, and writes the comma
// before it.
func (l *items) next(size int) bool {
	if l.limit-len(l.out) < size+1 {
		l.truncated = true
		return false
	}
	if l.out[len(l.out)-1] != '[' {
		l.out = append(l.out, ',')
	}
	return true
}

// AppendString is part of the zapcore.ArrayEncoder interface.
func (l *items) AppendString(s string) {
	if l.firstText == "" {
		l.firstText = s
	}
	if l.limit == 0 || !l.next(min(len(s)+2, shortest)) {
		return
	}
	var cut bool
	l.out, cut = appendString(l.out, s, l.limit-len(l.out))
	l.truncated = l.truncated || cut
}

// AppendArray is part of the zapcore.ArrayEncoder interface.
func (l *items) AppendArray(array zapcore.ArrayMarshaler) error {
	if !l.next(2) {
		return nil
	}
	inner := &items{out: append(l.out, '['), limit: l.limit - 1}
	err := array.MarshalLogArray(inner)
	l.out = append(inner.out, ']')
	l.truncated = l.truncated || inner.truncated
	return err
}

// AppendObject is part of the zapcore.ArrayEncoder interface.
func (l *items) AppendObject(object zapcore.ObjectMarshaler) error {
	inner := entries.Get().(*entry)
	defer inner.free()
	inner.beginAs(blank)
	inner.sequence = 0   // which is not this object's
	inner.source = "[]." // nor are names Caddy's
	err := object.MarshalLogObject(inner)
	l.truncated = l.truncated || inner.truncated
	inner.line = inner.append(inner.line[:0], true)
	if l.next(len(inner.line)) {
		l.out = append(l.out, inner.line...)
	}
	return err
}

// AppendReflected is part of the zapcore.ArrayEncoder interface.
func (l *items) AppendReflected(value any) error {
	plain, written, err := reflected(value)
	if err != nil {
		return err
	}
	if plain == "" {
		l.AppendString(written)
	} else if l.next(len(plain)) {
		l.out = append(l.out, plain...)
	}
	return nil
}

// AppendBool is part of the zapcore.ArrayEncoder interface.
func (l *items) AppendBool(value bool) {
	if l.next(shortest) {
		l.out = strconv.AppendBool(l.out, value)
	}
}

// AppendInt64 is part of the zapcore.ArrayEncoder interface.
func (l *items) AppendInt64(value int64) {
	if l.next(shortest) {
		l.out = strconv.AppendInt(l.out, value, 10)
	}
}

// AppendUint64 is part of the zapcore.ArrayEncoder interface.
func (l *items) AppendUint64(value uint64) {
	if l.next(shortest) {
		l.out = strconv.AppendUint(l.out, value, 10)
	}
}

// AppendFloat64 is part of the zapcore.ArrayEncoder interface.
func (l *items) AppendFloat64(value float64) {
	if isFinite(value) && l.next(shortest) {
		l.out = appendFloat(l.out, value, 64)
	}
}

// AppendFloat32 is part of the zapcore.ArrayEncoder interface.
func (l *items) AppendFloat32(value float32) {
	if isFinite(float64(value)) && l.next(shortest) {
		l.out = appendFloat(l.out, float64(value), 32)
	}
}

// AppendTime is part of the zapcore.ArrayEncoder interface.
func (l *items) AppendTime(value time.Time) {
	if l.next(shortest) {
		l.out = appendTime(l.out, value)
	}
}

// AppendComplex128 is part of the zapcore.ArrayEncoder interface.
func (l *items) AppendComplex128(value complex128) {
	l.AppendString(strconv.FormatComplex(value, 'g', -1, 128))
}

// The rest of the zapcore.ArrayEncoder interface.

func (l *items) AppendDuration(value time.Duration) { l.AppendFloat64(value.Seconds()) }
func (l *items) AppendByteString(value []byte)      { l.AppendString(string(value)) }
func (l *items) AppendComplex64(value complex64)    { l.AppendComplex128(complex128(value)) }
func (l *items) AppendInt(value int)                { l.AppendInt64(int64(value)) }
func (l *items) AppendInt32(value int32)            { l.AppendInt64(int64(value)) }
func (l *items) AppendInt16(value int16)            { l.AppendInt64(int64(value)) }
func (l *items) AppendInt8(value int8)              { l.AppendInt64(int64(value)) }
func (l *items) AppendUint(value uint)              { l.AppendUint64(uint64(value)) }
func (l *items) AppendUint32(value uint32)          { l.AppendUint64(uint64(value)) }
func (l *items) AppendUint16(value uint16)          { l.AppendUint64(uint64(value)) }
func (l *items) AppendUint8(value uint8)            { l.AppendUint64(uint64(value)) }
func (l *items) AppendUintptr(value uintptr)        { l.AppendUint64(uint64(value)) }

// Interface guard
var _ zapcore.ArrayEncoder = (*items)(nil)
