package key

import (
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/gateway18789/caddy-ollama/jwtauth/strictjson"
)

// What is read has at most so many bytes, and a JWK Set so many keys.
const (
	maxSize = 256 << 10
	maxKeys = 64
)

// ParseJWKS reads the public keys of a JWK Set (RFC 7517 section 5). With an algorithm,
// that is what all of them are for; without one, each is for the algorithm it names or
// has by its kind.
//
// A key that is not for signatures, not of a kind that is known, or weak is left out,
// and leftOut says why: a provider may have others too. A set that is not well formed is
// refused as a whole, as is one with a key that should be nobody else's, two keys of
// one name, or too many.
func ParseJWKS(data []byte, algorithm string) (keys []*Key, leftOut []error, err error) {
	set, err := decodeSet(data)
	if err != nil {
		return nil, nil, err
	}
	return parseJWKs(set, algorithm)
}

// decodeSet takes a JWK Set apart. Its error says nothing of it.
func decodeSet(data []byte) (keys []jsontext.Value, err error) {
	if err := checkSize(data); err != nil {
		return nil, err
	}
	var set struct {
		Keys []jsontext.Value `json:"keys"`
	}
	if err := strictjson.Unmarshal(data, &set); err != nil || set.Keys == nil {
		return nil, fmt.Errorf("it is no JWK Set: a JSON object with a list of keys (RFC 7517 section 5), with no name twice, of %d levels at most", strictjson.MaxDepth)
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("it has %d keys and may have %d at most", len(set.Keys), maxKeys)
	}
	return set.Keys, nil
}

// parseJWKs reads the JWKs of one set.
func parseJWKs(values []jsontext.Value, algorithm string) (keys []*Key, leftOut []error, err error) {
	seen := map[string]bool{}
	for i, value := range values {
		if id, named := idOf(value); named {
			if seen[id] {
				return nil, nil, fmt.Errorf("two of its keys have one kid (the second is number %d): nobody can know which is meant", i+1)
			}
			seen[id] = true
		}
		k, err := parseJWK(value, algorithm)
		switch {
		case errors.Is(err, errPrivate):
			return nil, nil, err
		case err != nil:
			leftOut = append(leftOut, fmt.Errorf("key number %d: %w", i+1, err))
		default:
			keys = append(keys, k)
		}
	}
	if err := checkUnnamed(keys); err != nil {
		return nil, nil, err
	}
	return keys, leftOut, nil
}

// idOf is the kid of a JWK, even of one that is left out.
func idOf(value jsontext.Value) (id string, named bool) {
	var j struct {
		ID *string `json:"kid"`
	}
	if err := strictjson.Unmarshal(value, &j); err != nil || j.ID == nil {
		return "", false
	}
	return *j.ID, true
}

// checkUnnamed bounds how many keys are tried on every token, whatever its kid.
func checkUnnamed(keys []*Key) error {
	unnamed := map[string]int{}
	for _, k := range keys {
		if k.ID == "" {
			unnamed[k.Algorithm]++
		}
		if unnamed[k.Algorithm] > maxTries {
			return fmt.Errorf("more than %d of its keys for %s have no kid, so that all of them had to be tried on every token", maxTries, k.Algorithm)
		}
	}
	return nil
}

// checkSize bounds what is read.
func checkSize(data []byte) error {
	if len(data) > maxSize {
		return fmt.Errorf("it has %d bytes and may have %d at most", len(data), maxSize)
	}
	return nil
}

// MarshalJWKS makes a JWK Set of the public parts of keys, for those who verify what
// they sign. A secret has none.
func MarshalJWKS(keys []*Key) ([]byte, error) {
	set := struct {
		Keys []jwk `json:"keys"`
	}{[]jwk{}}
	for _, k := range keys {
		j, ok := k.describe()
		if !ok {
			return nil, fmt.Errorf("a key for %s has no public part", k.Algorithm)
		}
		j.ID, j.Use, j.Name = k.ID, "sig", k.Algorithm
		set.Keys = append(set.Keys, j)
	}
	return json.Marshal(set, jsontext.WithIndent("  "))
}
