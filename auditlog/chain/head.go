package chain

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/gateway18789/caddy-ollama/auditlog/timestamp"
)

// Head says how far a log has come, so that a missing end shows, and where it begins, so
// that a missing first file shows. It is kept beside the log and, better, elsewhere too.
type Head struct {
	// First is the number of the first line in the oldest file that is still kept.
	First uint64
	// Link is the last line.
	Link
	Time time.Time
	// Key is the fingerprint of the key that signed, empty without one.
	Key       string
	Signature []byte
}

// headJSON is a Head as its file has it.
type headJSON struct {
	First     uint64 `json:"first_sequence"`
	Sequence  uint64 `json:"sequence"`
	Hash      string `json:"hash"`
	Time      string `json:"time"`
	Key       string `json:"key"`
	Signature string `json:"signature"`
}

// MarshalJSON writes the head as its file has it.
func (h Head) MarshalJSON() ([]byte, error) {
	return json.Marshal(headJSON{h.First, h.Sequence, h.Hash.String(), h.timeText(), h.Key,
		base64.StdEncoding.EncodeToString(h.Signature)})
}

// UnmarshalJSON reads what MarshalJSON has written.
func (h *Head) UnmarshalJSON(text []byte) error {
	var j headJSON
	if err := json.Unmarshal(text, &j); err != nil {
		return err
	}
	hash, err := ParseHash(j.Hash)
	if err != nil {
		return err
	}
	at, err := time.Parse(timestamp.Layout, j.Time)
	if err != nil {
		return err
	}
	signature, err := base64.StdEncoding.DecodeString(j.Signature)
	if err != nil {
		return fmt.Errorf("signature: %w", err)
	}
	if j.First < 1 || j.First > j.Sequence {
		return fmt.Errorf("first_sequence %d does not come before sequence %d", j.First, j.Sequence)
	}
	*h = Head{j.First, Link{j.Sequence, hash}, at, j.Key, signature}
	return nil
}

func (h Head) timeText() string { return timestamp.String(h.Time) }

// signed is the text that the signature covers.
func (h Head) signed() []byte {
	return fmt.Appendf(nil, "caddy-ollama audit head v1\n%d\n%d\n%s\n%s\n", h.First, h.Sequence, h.Hash, h.timeText())
}

// Sign puts the key's fingerprint and signature into the head.
func (h *Head) Sign(private ed25519.PrivateKey) {
	h.Key = Fingerprint(private.Public().(ed25519.PublicKey))
	h.Signature = ed25519.Sign(private, h.signed())
}

// ErrOtherKey is returned for a head that claims to be signed with another key than the one
// that is asked about. Nobody can tell then whether that is true.
var ErrOtherKey = errors.New("the head is signed with another key")

// Verify tells whether the head was signed with the private part of the key.
func (h Head) Verify(public ed25519.PublicKey) error {
	switch {
	case len(h.Signature) == 0:
		return errors.New("the head is not signed")
	case h.Key != Fingerprint(public):
		return ErrOtherKey
	case !ed25519.Verify(public, h.signed(), h.Signature):
		return errors.New("the head's signature is wrong: it was changed")
	}
	return nil
}

// Fingerprint names a public key: SHA-256 over its PKIX DER form, in hex, as
// `openssl pkey -pubin -outform DER | sha256sum` prints it.
func Fingerprint(public ed25519.PublicKey) string {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return "" // not for an Ed25519 key
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}
