package translate

import (
	"bytes"
	"sync"
)

// output is what an answer makes of a piece. It has memory only while there is something
// to send: of the many streams that are open few have something to say at a time.
type output struct{ *bytes.Buffer }

// outputs are the buffers that no answer uses.
var outputs = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// largestKept bounds a buffer that is kept for others, in bytes. What reverse_proxy reads
// at once, 32 KiB, comes to less.
const largestKept = 128 << 10

// begin makes the output empty, and room for so many bytes.
func (o *output) begin(size int) {
	if o.Buffer == nil {
		o.Buffer = outputs.Get().(*bytes.Buffer)
	}
	o.Reset()
	o.Grow(size)
}

// end gives the memory back.
func (o *output) end() {
	if o.Buffer != nil && o.Cap() <= largestKept {
		outputs.Put(o.Buffer)
	}
	o.Buffer = nil
}
