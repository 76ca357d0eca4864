package scriptedmodel

import (
	"bytes"
	"encoding/binary"
	"io"
)

// The numbers below are those of the GGUF specification, version 3. All
// numbers in the file are little-endian.
const (
	ggufMagic   = "GGUF"
	ggufVersion = 3

	// alignment is the multiple of bytes at which each tensor's data starts;
	// 32 is what a reader assumes when general.alignment is not set.
	alignment = 32

	kindUint32  uint32 = 4
	kindInt32   uint32 = 5
	kindFloat32 uint32 = 6
	kindBool    uint32 = 7
	kindString  uint32 = 8
	kindArray   uint32 = 9

	tensorF32 uint32 = 0
)

// ggufFile collects metadata and tensors until they are written. The zero
// value is an empty file.
type ggufFile struct {
	metadata bytes.Buffer
	entries  uint64
	tensors  []ggufTensor
}

type ggufTensor struct {
	name       string
	dimensions []int // the fastest-changing one first
	data       []float32
}

func (f *ggufFile) setUint32(key string, value uint32) {
	f.startEntry(key, kindUint32)
	putNumber(&f.metadata, value)
}

func (f *ggufFile) setFloat32(key string, value float32) {
	f.startEntry(key, kindFloat32)
	putNumber(&f.metadata, value)
}

func (f *ggufFile) setBool(key string, value bool) {
	f.startEntry(key, kindBool)
	putNumber(&f.metadata, value)
}

func (f *ggufFile) setString(key, value string) {
	f.startEntry(key, kindString)
	putString(&f.metadata, value)
}

func (f *ggufFile) setStrings(key string, values []string) {
	f.startArray(key, kindString, len(values))
	for _, value := range values {
		putString(&f.metadata, value)
	}
}

func (f *ggufFile) setTokenTypes(key string, values []tokenType) {
	f.startArray(key, kindInt32, len(values))
	putNumber(&f.metadata, values)
}

func (f *ggufFile) startEntry(key string, kind uint32) {
	f.entries++
	putString(&f.metadata, key)
	putNumber(&f.metadata, kind)
}

func (f *ggufFile) startArray(key string, element uint32, length int) {
	f.startEntry(key, kindArray)
	putNumber(&f.metadata, element)
	putNumber(&f.metadata, uint64(length))
}

func (f *ggufFile) addTensor(name string, data []float32, dimensions ...int) {
	f.tensors = append(f.tensors, ggufTensor{name: name, dimensions: dimensions, data: data})
}

// writeTo writes header, metadata, tensor descriptions and tensor data.
func (f *ggufFile) writeTo(w io.Writer) error {
	var head bytes.Buffer
	head.WriteString(ggufMagic)
	putNumber(&head, uint32(ggufVersion))
	putNumber(&head, uint64(len(f.tensors)))
	putNumber(&head, f.entries)
	head.Write(f.metadata.Bytes())

	offset := 0 // in bytes, from the start of the first tensor's data
	for _, t := range f.tensors {
		putString(&head, t.name)
		putNumber(&head, uint32(len(t.dimensions)))
		for _, d := range t.dimensions {
			putNumber(&head, uint64(d))
		}
		putNumber(&head, tensorF32)
		putNumber(&head, uint64(offset))
		offset += aligned(len(t.data) * 4)
	}
	head.Write(make([]byte, aligned(head.Len())-head.Len()))
	if _, err := w.Write(head.Bytes()); err != nil {
		return err
	}
	for _, t := range f.tensors {
		if err := binary.Write(w, binary.LittleEndian, t.data); err != nil {
			return err
		}
		size := len(t.data) * 4
		if _, err := w.Write(make([]byte, aligned(size)-size)); err != nil {
			return err
		}
	}
	return nil
}

// aligned rounds a number of bytes up to the next multiple of alignment.
func aligned(size int) int {
	return (size + alignment - 1) / alignment * alignment
}

// putString writes a GGUF string: its length in bytes, then the bytes.
func putString(b *bytes.Buffer, text string) {
	putNumber(b, uint64(len(text)))
	b.WriteString(text)
}

// putNumber writes a fixed-size value. It cannot fail: the buffer takes
// everything and all callers pass fixed-size values.
func putNumber(b *bytes.Buffer, value any) {
	if err := binary.Write(b, binary.LittleEndian, value); err != nil {
		panic("scriptedmodel: " + err.Error())
	}
}
