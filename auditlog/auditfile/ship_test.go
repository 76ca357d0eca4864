package auditfile_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gateway18789/caddy-ollama/auditlog/auditfile"
	"github.com/gateway18789/caddy-ollama/auditlog/auditfile/lumberjack/lumberjacktest"
)

// logstash stands for Logstash's beats input.
type logstash struct {
	listener net.Listener
	work     sync.WaitGroup

	mu      sync.Mutex
	conns   []net.Conn
	arrived []uint64
}

func startLogstash(t *testing.T, config *tls.Config) *logstash {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if config != nil {
		listener = tls.NewListener(listener, config)
	}
	l := &logstash{listener: listener}
	l.work.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			l.mu.Lock()
			l.conns = append(l.conns, conn)
			l.mu.Unlock()
			l.work.Go(func() {
				defer conn.Close()
				if err := lumberjacktest.Receive(conn, l.take); err != nil {
					t.Error(err)
				}
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		l.hangUp()
		l.work.Wait()
	})
	return l
}

func (l *logstash) take(object []byte) error {
	var line struct {
		Sequence uint64 `json:"event.sequence"`
	}
	err := json.Unmarshal(object, &line)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.arrived = append(l.arrived, line.Sequence)
	return err
}

func (l *logstash) hangUp() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, conn := range l.conns {
		_ = conn.Close()
	}
}

// await waits for a line.
func (l *logstash) await(t *testing.T, sequence uint64) {
	t.Helper()
	waitFor(t, fmt.Sprintf("line %d", sequence), func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return slices.Contains(l.arrived, sequence)
	})
}

func (l *logstash) expect(t *testing.T, lines, connections int) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.arrived) != lines || !slices.IsSorted(l.arrived) || len(l.conns) != connections {
		t.Errorf("%d connections have brought lines %v, want %d and %d lines in order", len(l.conns), l.arrived, connections, lines)
	}
}

func unshipped(t *testing.T, path string) uint64 {
	t.Helper()
	for _, state := range auditfile.States() {
		if state.Path == path {
			return state.Unshipped
		}
	}
	t.Fatal("the log is not open")
	return 0
}

func TestLinesAreShippedByTLS(t *testing.T) {
	ca := newAuthority(t)
	l := startLogstash(t, &tls.Config{
		Certificates: []tls.Certificate{ca.leaf(t)}, ClientCAs: ca.pool, ClientAuth: tls.RequireAndVerifyClientCert,
	})
	gateway, path := ca.leaf(t), newPath(t)
	ship := fmt.Sprintf(`"ship":{"address":%q,"ca":%q,"certificate":%q,"key":%q}`, l.listener.Addr(),
		ca.save(t, "ca.crt", "CERTIFICATE", ca.certificate.Raw), ca.save(t, "gw.crt", "CERTIFICATE", gateway.Certificate[0]),
		ca.save(t, "gw.key", "PRIVATE KEY", key(t, gateway)))
	first := load(t, config(path, ship))
	first.serve(t, "a")
	l.await(t, 2)
	waitFor(t, "acknowledgement", func() bool { return unshipped(t, path) == 0 })

	// a reload changes nothing
	second := load(t, config(path, ship))
	first.end()
	second.serve(t, "b")
	l.await(t, 3)
	l.expect(t, 3, 1)

	// one without it ends it
	third := load(t, config(path))
	second.end()
	third.serve(t, "c")
	if n := unshipped(t, path); n != 0 {
		t.Errorf("%d lines of a log that is not shipped are said to wait", n)
	}
	// and another one goes on
	fourth := load(t, config(path, ship))
	third.end()
	l.await(t, 4)
	l.expect(t, 4, 2)
	fourth.end()
	expectStory(t, path, "created a b c")
}

func TestNoLineGoesToSomebodyElse(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	l := startLogstash(t, &tls.Config{Certificates: []tls.Certificate{other.leaf(t)}})
	path := newPath(t)
	c := load(t, config(path, fmt.Sprintf(`"ship":{"address":%q,"ca":%q}`, l.listener.Addr(),
		ca.save(t, "ca.crt", "CERTIFICATE", ca.certificate.Raw))))
	c.serve(t, "a")
	waitFor(t, "connection", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.conns) >= 2 // so the first has failed
	})
	c.end()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.arrived) > 0 {
		t.Errorf("somebody else has got lines %v", l.arrived)
	}
}

func TestLogsOfOneConfigurationShipToOnePlace(t *testing.T) {
	path := newPath(t)
	c := load(t, config(path, `"ship":{"address":"127.0.0.1:1","plaintext":"loopback"}`))
	defer c.end()
	for name, options := range map[string][]string{
		"to nowhere": nil, "to another one": {`"ship":{"address":"127.0.0.1:2","plaintext":"loopback"}`},
	} {
		if _, err := c.ctx.LoadModuleByID("caddy.logging.writers.audit_file", json.RawMessage(config(path, options...))); err == nil {
			t.Errorf("one log is to be shipped %s, too", name)
		}
	}
}

// authority is a certificate authority.
type authority struct {
	dir         string
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	pool        *x509.CertPool
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{dir: t.TempDir(), pool: x509.NewCertPool()}
	a.certificate, a.key = a.sign(t, &x509.Certificate{IsCA: true, BasicConstraintsValid: true})
	a.pool.AddCert(a.certificate)
	return a
}

func (a *authority) leaf(t *testing.T) tls.Certificate {
	t.Helper()
	certificate, key := a.sign(t, &x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}})
	return tls.Certificate{Certificate: [][]byte{certificate.Raw}, PrivateKey: key}
}

func (a *authority) sign(t *testing.T, template *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := a.certificate, a.key
	if parent == nil {
		parent, signer = template, key
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	return certificate, key
}

func (a *authority) save(t *testing.T, name, kind string, der []byte) string {
	t.Helper()
	path := filepath.Join(a.dir, name)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func key(t *testing.T, certificate tls.Certificate) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(certificate.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return der
}
