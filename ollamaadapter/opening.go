package ollamaadapter

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"strconv"
	"sync"

	"github.com/cespare/xxhash/v2"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
)

// opening names conversations by a keyed hash of who speaks and how they open.
type opening struct {
	hash hash.Hash
	long *xxhash.Digest
	// of the part that is being written
	head, text []byte
	sum        [sha256.Size]byte
}

// longPart is the size, in bytes, from which on a part of an opening counts by a
// checksum, and a text as its client has written it, escapes included: a long prompt
// would cost more to be named than to be checked and passed on.
const longPart = 4 << 10

// openings keeps those that are not in use, with the key that they have.
type openings struct{ idle sync.Pool }

// name is the name of the conversation of these messages, of which those up to the first
// of the user's count.
func (o *openings) name(key []byte, subject string, messages []openai.Message) string {
	one, ok := o.idle.Get().(*opening)
	if !ok {
		one = &opening{hash: hmac.New(sha256.New, key), long: xxhash.New()}
	}
	defer o.idle.Put(one)
	one.hash.Reset()
	one.text = append(one.text[:0], subject...)
	one.write(one.text)
	for i := range messages {
		m := &messages[i]
		one.add(m.Role)
		for j := range m.Content.Parts {
			if url := m.Content.Parts[j].ImageURL.URL; url != "" {
				one.add(url)
			}
		}
		one.addContent(&m.Content)
		if m.Role == "user" {
			break
		}
	}
	name := append(make([]byte, 0, len("conv_")+sha256.Size), "conv_"...)
	return string(hex.AppendEncode(name, one.hash.Sum(one.sum[:0])[:sha256.Size/2]))
}

// addContent adds the text of a message as one part: some clients send one text now as
// a string and now as a part of a list.
func (o *opening) addContent(c *openai.Content) {
	size := len(c.Text)
	for i := range c.Parts {
		size += len(c.Parts[i].Text)
	}
	if size < longPart {
		o.text = c.Text.AppendTo(o.text[:0])
		for i := range c.Parts {
			o.text = c.Parts[i].Text.AppendTo(o.text)
		}
		o.write(o.text)
		return
	}
	o.long.Reset()
	_, _ = o.long.Write(c.Text.Unquoted()) // a hash never fails
	for i := range c.Parts {
		_, _ = o.long.Write(c.Parts[i].Text.Unquoted())
	}
	o.writeChecksum(o.long.Sum64())
}

func (o *opening) add(part string) {
	if len(part) >= longPart {
		o.writeChecksum(xxhash.Sum64String(part))
		return
	}
	o.text = append(o.text[:0], part...)
	o.write(o.text)
}

// write writes a part so that no two lists of parts hash alike.
func (o *opening) write(part []byte) {
	o.head = append(strconv.AppendInt(o.head[:0], int64(len(part)), 10), ':')
	_, _ = o.hash.Write(o.head)
	_, _ = o.hash.Write(part)
}

// writeChecksum writes what stands for a long part.
func (o *opening) writeChecksum(sum uint64) {
	o.head = binary.BigEndian.AppendUint64(append(o.head[:0], '#'), sum)
	_, _ = o.hash.Write(o.head)
}
