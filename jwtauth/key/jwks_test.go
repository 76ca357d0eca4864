package key_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gateway18789/caddy-ollama/jwtauth/key"
)

// What is wrong with a set as a whole leaves none of its keys.
func TestSetsThatAreRefused(t *testing.T) {
	sound := set(edMembers() + `,"kid":"1"`)
	named := func(n int) (keys []string) {
		for i := range n {
			keys = append(keys, fmt.Sprintf(`%s,"kid":"%d"`, edMembers(), i))
		}
		return keys
	}
	nested := func(levels int) string {
		return strings.Replace(sound, `{"keys"`, `{"a":`+strings.Repeat("[", levels)+strings.Repeat("]", levels)+`,"keys"`, 1)
	}
	filled := func(size int) string {
		return strings.Replace(sound, `{"keys"`, `{"a":"`+strings.Repeat("x", size-len(sound)-len(`"a":"",`))+`","keys"`, 1)
	}
	for _, test := range []struct {
		name, set string
		want      int      // keys
		says      []string // the error, if there are none
	}{
		{"one key", sound, 1, nil},
		{"no keys: all are withdrawn", `{"keys":[]}`, 0, nil},
		{"members that nobody knows", `{"issuer":"x","keys":[{` + edMembers() + `}]}`, 1, nil},
		{"blanks around", "\n" + sound + "\n", 1, nil},
		{"64 keys", set(named(64)...), 64, nil},
		{"65 keys", set(named(65)...), 0, []string{"65 keys", "64"}},
		{"256 KiB", filled(256 << 10), 1, nil},
		{"a byte more", filled(256<<10 + 1), 0, []string{"262145 bytes"}},
		{"eight levels", nested(7), 1, nil},
		{"nine levels", nested(8), 0, []string{"8 levels"}},
		{"thousands of levels", nested(9000), 0, []string{"8 levels"}},

		{"one kid twice", set(edMembers()+`,"kid":"1"`, ecMembers(p256())+`,"kid":"1"`), 0, []string{"one kid", "number 2"}},
		{"one kid twice, spelled in another way", set(edMembers()+`,"kid":"a"`, ecMembers(p256())+`,"kid":"\u0061"`), 0, []string{"one kid"}},
		{"one kid twice, of a key that is left out", set(edMembers()+`,"kid":"1"`, rsaMembers()+`,"use":"enc","kid":"1"`), 0, []string{"one kid"}},
		{"kids that differ in capitals", set(edMembers()+`,"kid":"a"`, ecMembers(p256())+`,"kid":"A"`), 2, nil},
		{"four keys of an algorithm without a kid", set(edMembers(), edMembers(), edMembers(), edMembers()), 4, nil},
		{"five keys of an algorithm without a kid", set(edMembers(), edMembers(), edMembers(), edMembers(), edMembers()), 0, []string{"more than 4", "kid"}},

		{"keys twice", `{"keys":[],"keys":[{` + edMembers() + `}]}`, 0, []string{"no JWK Set"}},
		{"keys twice, one spelled with an escape", `{"keys":[],"\u006beys":[{` + edMembers() + `}]}`, 0, []string{"no JWK Set"}},
		{"a member of a key twice", set(edMembers() + `,"kid":"1","kid":"2"`), 0, []string{"no JWK Set"}},
		{"a member that nobody knows twice", set(edMembers() + `,"a":1,"a":2`), 0, []string{"no JWK Set"}},
		{"a name twice, further in", `{"a":{"b":1,"b":2},"keys":[{` + edMembers() + `}]}`, 0, []string{"no JWK Set"}},
		{"keys in capitals", `{"KEYS":[{` + edMembers() + `}]}`, 0, []string{"no JWK Set"}},
		{"keys null", `{"keys":null}`, 0, []string{"no JWK Set"}},
		{"keys an object", `{"keys":{` + edMembers() + `}}`, 0, []string{"no JWK Set"}},
		{"no keys", `{}`, 0, []string{"no JWK Set"}},
		{"a list of keys", `[{` + edMembers() + `}]`, 0, []string{"no JWK Set"}},
		{"a JWK", `{` + edMembers() + `}`, 0, []string{"no JWK Set"}},
		{"nothing", "", 0, []string{"no JWK Set"}},
		{"null", "null", 0, []string{"no JWK Set"}},
		{"a page of HTML", "<!doctype html><title>Sign in</title>", 0, []string{"no JWK Set"}},
		{"half a set", sound[:len(sound)-2], 0, []string{"no JWK Set"}},
		{"two sets", sound + sound, 0, []string{"no JWK Set"}},
		{"invalid UTF-8", strings.Replace(sound, `"1"`, "\"\xff\"", 1), 0, []string{"no JWK Set"}},
		{"a lone surrogate", strings.Replace(sound, `"1"`, `"\ud800"`, 1), 0, []string{"no JWK Set"}},
		{"a byte order mark", "\ufeff" + sound, 0, []string{"no JWK Set"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			keys, leftOut, err := key.ParseJWKS([]byte(test.set), "")
			if test.says != nil {
				refused(t, err, test.says...)
				if keys != nil {
					t.Error("keys come with the error")
				}
			} else if err != nil || len(keys) != test.want || leftOut != nil {
				t.Errorf("got %d keys, left out %v, error %v; want %d", len(keys), leftOut, err, test.want)
			}
		})
	}
}

func TestEntriesOfASetThatAreNoKeysAreLeftOut(t *testing.T) {
	keys, leftOut, err := key.ParseJWKS([]byte(`{"keys":[null,"x",[],1,{},{`+edMembers()+`}]}`), "")
	if err != nil || describe(keys) != "EdDSA" || len(leftOut) != 5 {
		t.Errorf("got %s, left out %v, error %v", describe(keys), leftOut, err)
	}
}

// What a provider writes may end up in a log.
func TestNoErrorRepeatsWhatTheSetSays(t *testing.T) {
	const canary = "canary"
	for _, members := range []string{
		`"kty":"canary"`, rsaMembers() + `,"alg":"canary"`, rsaMembers() + `,"use":"canary"`, ecMembers(p256()) + `,"kid":"canary\n"`,
		`"kty":"EC","crv":"canary"`, `"kty":"RSA","n":"canary","e":"canary"`, `"kty":"canary","d":"canary"`, `"canary":1,"canary":2`,
		edMembers() + `,"kid":"canary"},{"kid":"canary"`, `"kty":["canary"]`,
	} {
		_, leftOut, err := key.ParseJWKS([]byte(set(members)), "")
		if said := fmt.Sprint(leftOut, err); strings.Contains(said, canary) {
			t.Errorf("%s: it says %q", members, said)
		} else if err == nil && leftOut == nil {
			t.Errorf("%s is accepted", members)
		}
	}
}

func TestASetForOneAlgorithm(t *testing.T) {
	both := set(rsaMembers()+`,"kid":"1"`, rsaMembers()+`,"kid":"2","alg":"PS256"`, edMembers()+`,"kid":"3","alg":"Ed25519"`, edMembers()+`,"kid":"4","alg":"EdDSA"`)
	for algorithm, want := range map[string]string{
		"": "1:RS256 2:PS256 3:EdDSA 4:EdDSA", "PS256": "1:PS256 2:PS256", "RS512": "1:RS512", "EdDSA": "3:EdDSA 4:EdDSA", "Ed25519": "3:EdDSA 4:EdDSA", "ES256": "", "HS256": "",
	} {
		keys, _, err := key.ParseJWKS([]byte(both), algorithm)
		if err != nil || describe(keys) != want {
			t.Errorf("%s: got %s and %v, want %s", algorithm, describe(keys), err, want)
		}
	}
}

func TestSetsAreWrittenAsTheyAreRead(t *testing.T) {
	written := []*key.Key{
		must(key.Private(rsaKey(), "PS384")), must(key.Private(p256(), "")), must(key.Public(&p384().PublicKey, "")), must(key.Private(p521(), "")), must(key.Private(edKey(), "")),
	}
	for _, k := range written {
		k.ID = k.Thumbprint()
	}
	data, err := key.MarshalJWKS(written)
	if err != nil {
		t.Fatal(err)
	}
	read, leftOut, err := key.ParseJWKS(data, "")
	if err != nil || leftOut != nil || describe(read) != describe(written) {
		t.Fatalf("got %s, left out %v, error %v", describe(read), leftOut, err)
	}
	for i, k := range read {
		if k.Thumbprint() != written[i].Thumbprint() {
			t.Errorf("key number %d has become another", i+1)
		}
		if _, err := k.Sign("x"); err == nil {
			t.Errorf("key number %d has its private half with it", i+1)
		}
	}
	if strings.Count(string(data), `"use": "sig"`) != len(written) {
		t.Errorf("not every key says what it is for: %s", data)
	}
}

func TestAKeyWithoutANameIsWrittenWithoutOne(t *testing.T) {
	data, err := key.MarshalJWKS([]*key.Key{must(key.Private(p256(), ""))})
	if err != nil || strings.Contains(string(data), "kid") {
		t.Errorf("got %s and %v", data, err)
	}
	if data, err := key.MarshalJWKS(nil); err != nil || !strings.Contains(string(data), `"keys": []`) {
		t.Errorf("of no keys: %s and %v", data, err)
	}
}

func TestASecretIsNeverPublished(t *testing.T) {
	data, err := key.MarshalJWKS([]*key.Key{must(key.Private(p256(), "")), must(key.Secret([]byte(random), "HS256"))})
	refused(t, err, "HS256")
	if data != nil {
		t.Errorf("with the error comes %s", data)
	}
}
