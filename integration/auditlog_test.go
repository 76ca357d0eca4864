package integration

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"testing"

	"github.com/gateway18789/caddy-ollama/auditlog/chain"
)

// auditHead waits for a head of the audit log, signed with the key of this fingerprint, if
// one is named.
func (g *gateway) auditHead(t *testing.T, key string) (text string) {
	t.Helper()
	await(t, "the head of the audit log", func() error {
		data, err := os.ReadFile(g.file("audit.log.head"))
		if err != nil {
			return err
		}
		var head chain.Head
		if err := json.Unmarshal(data, &head); err != nil {
			return err
		}
		if key != "" && head.Key != key {
			return fmt.Errorf("it is signed with %s", head.Key)
		}
		text = string(data)
		return nil
	})
	return text
}

// fingerprintOf names the public key in a file.
func fingerprintOf(t *testing.T, file string) string {
	t.Helper()
	block, _ := pem.Decode([]byte(readFile(t, file)))
	if block == nil {
		t.Fatalf("%s holds no key", file)
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return chain.Fingerprint(key.(ed25519.PublicKey))
}
