package scriptedmodel

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"
)

// reader reads a GGUF file back, by the specification and not by the writer.
type reader struct {
	t    *testing.T
	rest []byte
	at   int // bytes read so far
}

// readFile is what the tests want to know about a GGUF file.
type readFile struct {
	metadata map[string]any
	tensors  map[string]readTensor
	dataAt   int // where the tensors' data begins, in bytes
	size     int // of the file, in bytes
}

type readTensor struct {
	dimensions []int
	offset     int // in bytes, from dataAt
	data       []float32
}

func readGGUF(t *testing.T, m Model) readFile {
	t.Helper()
	var file bytes.Buffer
	if err := m.WriteGGUF(&file); err != nil {
		t.Fatal(err)
	}
	all := file.Bytes()
	r := &reader{t: t, rest: all}
	if magic := string(r.bytes(4)); magic != "GGUF" {
		t.Fatalf("magic is %q", magic)
	}
	if version := r.uint32(); version != 3 {
		t.Fatalf("version is %d", version)
	}
	tensors, entries := r.uint64(), r.uint64()
	f := readFile{metadata: map[string]any{}, tensors: map[string]readTensor{}, size: len(all)}
	for range entries {
		key := r.string()
		if _, twice := f.metadata[key]; twice {
			t.Fatalf("key %s is there twice", key)
		}
		f.metadata[key] = r.value(r.uint32())
	}
	for range tensors {
		name := r.string()
		var tensor readTensor
		for range r.uint32() {
			tensor.dimensions = append(tensor.dimensions, int(r.uint64()))
		}
		if kind := r.uint32(); kind != 0 {
			t.Fatalf("tensor %s has type %d, want 0 (F32)", name, kind)
		}
		tensor.offset = int(r.uint64())
		f.tensors[name] = tensor
	}
	f.dataAt = (r.at + 31) / 32 * 32
	for name, tensor := range f.tensors {
		count := 1
		for _, d := range tensor.dimensions {
			count *= d
		}
		begin := f.dataAt + tensor.offset
		if begin+count*4 > len(all) {
			t.Fatalf("tensor %s reaches past the end of the file", name)
		}
		tensor.data = make([]float32, count)
		for i := range tensor.data {
			tensor.data[i] = math.Float32frombits(binary.LittleEndian.Uint32(all[begin+i*4:]))
		}
		f.tensors[name] = tensor
	}
	return f
}

func (r *reader) bytes(count int) []byte {
	r.t.Helper()
	if count > len(r.rest) {
		r.t.Fatalf("the file ends after %d bytes, in the middle of something", r.at)
	}
	read := r.rest[:count]
	r.rest, r.at = r.rest[count:], r.at+count
	return read
}

func (r *reader) uint32() uint32 { return binary.LittleEndian.Uint32(r.bytes(4)) }
func (r *reader) uint64() uint64 { return binary.LittleEndian.Uint64(r.bytes(8)) }
func (r *reader) string() string { return string(r.bytes(int(r.uint64()))) }

func (r *reader) value(kind uint32) any {
	r.t.Helper()
	switch kind {
	case 4:
		return r.uint32()
	case 5:
		return int32(r.uint32())
	case 6:
		return math.Float32frombits(r.uint32())
	case 7:
		return r.bytes(1)[0] != 0
	case 8:
		return r.string()
	case 9:
		element, count := r.uint32(), r.uint64()
		values := make([]any, count)
		for i := range values {
			values[i] = r.value(element)
		}
		return values
	}
	r.t.Fatalf("unknown kind of value %d", kind)
	return nil
}
