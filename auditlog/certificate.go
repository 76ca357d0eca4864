package auditlog

import (
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"sync"
)

// identity is what a record says of a client's certificate.
type identity struct{ subject, fingerprint string }

func identityOf(c *x509.Certificate) identity {
	return identity{cut(c.Subject.String(), 1024), fmt.Sprintf("%X", sha256.Sum256(c.Raw))}
}

// identities remember those of certificates that are in use: all requests of a connection
// have the same.
type identities struct {
	of func(*x509.Certificate) identity

	mu    sync.RWMutex
	known map[*x509.Certificate]identity
}

// mostIdentities bounds how many certificates are kept in memory.
const mostIdentities = 1000

func newIdentities(of func(*x509.Certificate) identity) *identities {
	return &identities{of: of, known: make(map[*x509.Certificate]identity)}
}

// get is what a record says of the certificate.
func (i *identities) get(c *x509.Certificate) identity {
	i.mu.RLock()
	known, ok := i.known[c]
	i.mu.RUnlock()
	if ok {
		return known
	}
	found := i.of(c)
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.known) >= mostIdentities {
		clear(i.known) // those still in use come again
	}
	i.known[c] = found
	return found
}
