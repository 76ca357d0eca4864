package ollamaadapter

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"sync"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
)

func said(role, text string) openai.Message {
	return openai.Message{Role: role, Content: openai.Content{Text: openai.TextOf(text)}}
}

func inParts(role string, texts ...string) openai.Message {
	m := openai.Message{Role: role}
	for _, text := range texts {
		m.Content.Parts = append(m.Content.Parts, openai.Part{Type: "text", Text: openai.TextOf(text)})
	}
	return m
}

func showing(role, url string) openai.Message {
	return openai.Message{Role: role, Content: openai.Content{Parts: []openai.Part{{Type: "image_url", ImageURL: openai.ImageURL{URL: url}}}}}
}

func TestWhatALongOpeningIsCalled(t *testing.T) {
	long := strings.Repeat("What is as fast as it is safe?\n", 1_000)
	middle := []byte(long)
	middle[len(middle)/2] ^= 1
	want := new(openings).name([]byte("key"), "ann", []openai.Message{said("system", "s"), said("user", long)})
	for _, test := range []struct {
		name, key, subject string
		messages           []openai.Message
		same               bool
	}{
		{"stays the same when asked again", "key", "ann", []openai.Message{said("system", "s"), said("user", long)}, true},
		{"stays the same as the conversation grows", "key", "ann", []openai.Message{said("system", "s"), said("user", long), said("assistant", long), said("user", "b")}, true},
		{"stays the same as a part", "key", "ann", []openai.Message{said("system", "s"), inParts("user", long)}, true},
		{"stays the same as several parts", "key", "ann", []openai.Message{said("system", "s"), inParts("user", long[:10], long[10:20_000], long[20_000:])}, true},
		{"differs by a letter in its midst", "key", "ann", []openai.Message{said("system", "s"), said("user", string(middle))}, false},
		{"differs by its last letter", "key", "ann", []openai.Message{said("system", "s"), said("user", long[:len(long)-1]+"!")}, false},
		{"differs by its length", "key", "ann", []openai.Message{said("system", "s"), said("user", long+long)}, false},
		{"differs if the text moves from one message to the next", "key", "ann", []openai.Message{said("system", "s"+long[:1]), said("user", long[1:])}, false},
		{"differs between users", "key", "bob", []openai.Message{said("system", "s"), said("user", long)}, false},
		{"differs by the role", "key", "ann", []openai.Message{said("system", "s"), said("assistant", long)}, false},
		{"differs by the key", "kex", "ann", []openai.Message{said("system", "s"), said("user", long)}, false},
		{"differs where an image says it", "key", "ann", []openai.Message{said("system", "s"), showing("user", long)}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := new(openings).name([]byte(test.key), test.subject, test.messages); (got == want) != test.same || len(got) != len(want) {
				t.Errorf("got %q after %q", got, want)
			}
		})
	}
}

// Gateways that share a key agree on what counts of a text at which size.
func TestFromWhichSizeOnATextCountsByItsChecksum(t *testing.T) {
	named := func(text string) string {
		return new(openings).name([]byte("key"), "ann", []openai.Message{said("user", text)})
	}
	want := func(part string) string {
		hash := hmac.New(sha256.New, []byte("key"))
		hash.Write([]byte("3:ann4:user" + part))
		return "conv_" + hex.EncodeToString(hash.Sum(nil)[:16])
	}
	short := strings.Repeat("s", longPart-3) // and two quotes
	if got := named(short); got != want("4093:"+short) {
		t.Errorf("a text of %d bytes is called %s", len(short), got)
	}
	long := short + "\n"
	checksum := binary.BigEndian.AppendUint64([]byte("#"), xxhash.Sum64String(short+`\n`))
	if got := named(long); got != want(string(checksum)) {
		t.Errorf("a text of %d bytes is called %s", len(long), got)
	}
}

func TestLongImagesTellConversationsApart(t *testing.T) {
	long := strings.Repeat("A", 10*longPart)
	name := func(url string) string {
		return new(openings).name(nil, "", []openai.Message{showing("user", url)})
	}
	if first, other := name(long), name(long[1:]+"B"); first == other {
		t.Errorf("two images are one: %s", first)
	}
}

// What one request leaves behind must not show in the name of the next one's.
func TestConversationsNamedOneAfterTheOtherAndAtTheSameTime(t *testing.T) {
	talks := [][]openai.Message{
		{said("user", "hi")},
		{said("system", strings.Repeat("s", 2*longPart)), said("user", "hi")},
		{said("system", "s"), said("user", strings.Repeat("u", 2*longPart))},
		{inParts("user", "a", "b\n"), said("user", "never read")},
		nil,
	}
	var want []string
	for _, talk := range talks {
		want = append(want, new(openings).name([]byte("key"), "ann", talk))
	}
	shared := new(openings)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i := range 100 {
				if got := shared.name([]byte("key"), "ann", talks[i%len(talks)]); got != want[i%len(talks)] {
					t.Errorf("%d is called %s, want %s", i%len(talks), got, want[i%len(talks)])
				}
			}
		})
	}
	all.Wait()
}

func TestWhatAClientMayCallAConversation(t *testing.T) {
	for id, want := range map[string]bool{
		"a": true, "!~": true, strings.Repeat("x", 128): true,
		"": false, strings.Repeat("x", 129): false, "a b": false, " ": false, "a\n": false, "\x7f": false, "é": false, "a\x00": false,
	} {
		if plainID(id) != want {
			t.Errorf("%q: %t, want %t", id, !want, want)
		}
	}
}
