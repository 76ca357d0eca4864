package auditlog

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"sync"
	"testing"
)

func named(n int) *x509.Certificate {
	name := fmt.Sprint(n)
	return &x509.Certificate{Raw: []byte(name), Subject: pkix.Name{CommonName: name}}
}

func TestACertificateIsLookedAtOnce(t *testing.T) {
	looked := 0
	known := newIdentities(func(c *x509.Certificate) identity { looked++; return identityOf(c) })
	one, other := named(1), named(2)
	for range 3 {
		if got := known.get(one); got != identityOf(one) {
			t.Errorf("the first is %v", got)
		}
		if got := known.get(other); got != identityOf(other) || got == identityOf(one) {
			t.Errorf("the second is %v", got)
		}
	}
	if looked != 2 {
		t.Errorf("two certificates were looked at %d times", looked)
	}
}

// Whoever can get certificates cannot fill the memory with them, nor be taken for another.
func TestManyCertificatesTakeNoMoreThanTheirRoom(t *testing.T) {
	known := newIdentities(identityOf)
	var all sync.WaitGroup
	for worker := range 4 {
		all.Go(func() {
			for n := range mostIdentities {
				c := named(worker*mostIdentities + n)
				if got := known.get(c); got != identityOf(c) {
					t.Errorf("%d is %v", n, got)
				}
			}
		})
	}
	all.Wait()
	if n := len(known.known); n == 0 || n > mostIdentities {
		t.Errorf("%d are kept", n)
	}
}

// What one configuration calls a subject, another may not.
func TestEachHandlerNamesACertificateAsItIsToldTo(t *testing.T) {
	client := verified(t, "clawdbot")
	subjectOf := func(a *audit) any {
		r := newRequest("GET", "/")
		r.TLS = client
		return a.serve(t, r, write(200)).fields["tls.client.subject"]
	}
	plain, hidden := newAudit(t), newAuditWith(t, Handler{Pseudonymize: map[string]string{clientSubject: "a key of at least thirty-two bytes"}})
	for range 2 {
		if got := subjectOf(plain); got != "CN=clawdbot" {
			t.Errorf("in the open it is %v", got)
		}
		if got, want := subjectOf(hidden), hidden.handler.pseudonyms.of(clientSubject, "CN=clawdbot"); got != want || got == "CN=clawdbot" {
			t.Errorf("hidden it is %v, want %v", got, want)
		}
	}
}
