package jwtauth

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/gateway18789/caddy-ollama/jwtauth/key"
	"github.com/gateway18789/caddy-ollama/jwtauth/token"
)

// statement is what a token shall say, but for its times.
type statement struct {
	subject, issuer string
	audience        []string
	id              string            // the jti; a random one if empty
	certificate     *x509.Certificate // the client's, that it is bound to; may be nil
	more            map[string]jsontext.Value
}

// ownClaims are those that a statement, or its times, already make.
var ownClaims = []string{"sub", "iss", "aud", "jti", "cnf", "iat", "exp"}

// add adds a claim that is none of the usual ones.
func (s *statement) add(name string, value []byte) error {
	if slices.Contains(ownClaims, name) {
		return fmt.Errorf("claim %s: it cannot be given this way; there is an option for what can be chosen of it", name)
	}
	if _, present := s.more[name]; present {
		return fmt.Errorf("claim %s is given twice", name)
	}
	if s.more == nil {
		s.more = make(map[string]jsontext.Value)
	}
	s.more[name] = value
	return nil
}

// claims are those of a token that is issued now and lives for ttl.
func (s *statement) claims(now time.Time, ttl time.Duration) token.Claims {
	c := token.Claims{"sub": s.subject, "iat": now.Unix(), "exp": now.Add(ttl).Unix(), "jti": s.id}
	if s.id == "" {
		c["jti"] = rand.Text()
	}
	if s.issuer != "" {
		c["iss"] = s.issuer
	}
	switch len(s.audience) {
	case 0:
	case 1:
		c["aud"] = s.audience[0]
	default:
		c["aud"] = s.audience
	}
	if s.certificate != nil {
		c["cnf"] = map[string]string{"x5t#S256": token.Thumbprint(s.certificate)}
	}
	for name, value := range s.more {
		c[name] = value
	}
	return c
}

// claimValue reads a claim's value as users write it: JSON, or else a string. What
// only begins like JSON is an error, not a string that nobody meant.
func claimValue(text string) (jsontext.Value, error) {
	if value := jsontext.Value(text); value.IsValid() {
		return value, nil
	}
	for _, opening := range []string{`"`, `[`, `{"`} {
		if strings.HasPrefix(text, opening) {
			return nil, errors.New("it begins like JSON, but is none")
		}
	}
	return jsontext.AppendQuote(nil, text)
}

// expandClaim resolves the placeholders of a claim that is a string.
func expandClaim(name string, value json.RawMessage) (json.RawMessage, error) {
	if jsontext.Value(value).Kind() != '"' {
		return value, nil
	}
	var text string
	if err := json.Unmarshal(value, &text); err != nil {
		return nil, fmt.Errorf("claim %s: %w", name, err)
	}
	text, err := expand("claim "+name, text)
	if err != nil {
		return nil, err
	}
	return json.Marshal(text)
}

// expand resolves the placeholders of an option at load. One that is missing or
// empty is an error, as is any that only a request has. The error tells nothing of
// the value but the names of placeholders.
func expand(option, value string) (string, error) {
	expanded, err := caddy.NewReplacer().ReplaceOrErr(value, true, true)
	if err == nil {
		return expanded, nil
	}
	if from := readable.FindString(value); from != "" {
		return "", fmt.Errorf("%s: %s is empty; does the file exist, is it readable, is the variable set?", option, from)
	}
	return "", fmt.Errorf("%s: it has braces, but no placeholder {file.…} or {env.…}; only those have a value at load", option)
}

// readCertificate reads the first certificate of a file, the client's own; those of
// its CAs may follow.
func readCertificate(file string) (*x509.Certificate, error) {
	rest, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the certificate: %w", err)
	}
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return nil, fmt.Errorf("%s has no certificate in PEM form", file)
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("the certificate in %s: %w", file, err)
		}
		return certificate, nil
	}
}

// acceptable reports why jwt_auth would refuse a token whatever its keys and limits.
func acceptable(k *key.Key, compact string, now time.Time, ttl time.Duration) error {
	verifier := token.Verifier{Keys: key.Set{k}, MaxLifetime: ttl}
	_, err := verifier.Verify(context.Background(), compact, now)
	if err != nil {
		return fmt.Errorf("jwt_auth would refuse the token: %s", inWords(reasonOf(err), true))
	}
	return nil
}
