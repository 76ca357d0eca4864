package key

import (
	"crypto"
	"crypto/hmac"
	"hash"
	"sync"
)

// macs are computations of one key's MAC. They are used again and again, for to begin
// one costs more than to finish it.
type macs struct{ pool sync.Pool }

// mac is one of them, with room for what goes in and comes out.
type mac struct {
	hash        hash.Hash
	signed, sum []byte
}

func newMACs(algorithm crypto.Hash, secret []byte) *macs {
	m := new(macs)
	m.pool.New = func() any { return &mac{hash: hmac.New(algorithm.New, secret)} }
	return m
}

// verify reports whether the MAC is the one of what was signed.
func (m *macs) verify(signed string, given []byte) bool {
	one := m.pool.Get().(*mac)
	defer m.pool.Put(one)
	one.hash.Reset()
	one.signed = append(one.signed[:0], signed...)
	one.hash.Write(one.signed)
	one.sum = one.hash.Sum(one.sum[:0])
	return hmac.Equal(given, one.sum)
}
