package auditlog

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/caddyserver/caddy/v2"
)

// The fields that can be pseudonymized.
const (
	userID        = "user.id"
	clientSubject = "tls.client.subject"
)

// shortestKey is how long a key of pseudonyms must be, in bytes: with a short one
// anybody could try all keys.
const shortestKey = 32

// pseudonyms are the keys of the fields that are to name nobody.
type pseudonyms map[string][]byte

// newPseudonyms takes fields and their keys, which may be placeholders.
func newPseudonyms(fields map[string]string) (pseudonyms, error) {
	keys := make(pseudonyms, len(fields))
	for field, placeholder := range fields {
		if err := checkPseudonymized(field); err != nil {
			return nil, err
		}
		key, err := caddy.NewReplacer().ReplaceOrErr(placeholder, true, true)
		if err != nil { // which may have the key in it
			return nil, fmt.Errorf("pseudonymize %s: the key cannot be read; does its file exist, is it readable, is the variable set?", field)
		}
		if len(key) < shortestKey {
			return nil, fmt.Errorf("pseudonymize %s: the key has %d bytes, it must have at least %d; `openssl rand -base64 48` makes one",
				field, len(key), shortestKey)
		}
		keys[field] = []byte(key)
	}
	return keys, nil
}

func checkPseudonymized(field string) error {
	if field != userID && field != clientSubject {
		return errors.New("pseudonymize: only " + userID + " and " + clientSubject + " can be pseudonymized")
	}
	return nil
}

// of is what a record says for a field's value. The same value has different
// pseudonyms in different fields.
func (p pseudonyms) of(field, value string) string {
	key, ok := p[field]
	if !ok || value == "" {
		return value
	}
	hash := hmac.New(sha256.New, key)
	hash.Write([]byte(field + "\x00" + value))
	return "pseudonym_" + hex.EncodeToString(hash.Sum(nil)[:16])
}
