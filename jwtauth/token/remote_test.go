package token_test

import (
	"context"
	"testing"

	"github.com/gateway18789/caddy-ollama/jwtauth/key"
	"github.com/gateway18789/caddy-ollama/jwtauth/token"
)

// asked is a source that tells whether it was asked.
type asked struct {
	key.Source
	was bool
}

func (a *asked) Find(ctx context.Context, algorithm, kid string) (keys []*key.Key, decoy, missing bool) {
	a.was = true
	return a.Source.Find(ctx, algorithm, kid)
}

// A token passes if a key of either source has signed it. The remote one, which may have
// to wait for another machine, is asked last, and makes no token's fault another.
func TestRemoteKeys(t *testing.T) {
	own, local := pair("ES256", "own")
	theirs, published := pair("EdDSA", "theirs")
	_, unnamed := pair("EdDSA", "")
	_, stranger := pair("ES384", "own")
	renamed := *own
	renamed.ID = "theirs"
	unknown := *theirs
	unknown.ID = "unknown"
	wrong := issued(theirs)
	wrong = wrong[:len(wrong)-4] + "AAAA"
	for _, test := range []struct {
		name         string
		keys, remote key.Set
		token        string
		fault        token.Fault
		asked        bool
	}{
		{"who is local waits for nobody", key.Set{local}, key.Set{published}, issued(own), "", false},
		{"who is not, is looked for there", key.Set{local}, key.Set{published}, issued(theirs), "", true},
		{"a local key of the same algorithm, without kid, is tried before", key.Set{unnamed}, key.Set{published}, issued(theirs), "", false},
		{"a local key of another algorithm with its kid is not in the way", key.Set{stranger}, key.Set{local}, issued(own), "", true},
		{"a local decoy lets nobody in", key.Set{local}, nil, issued(&renamed), token.UnknownKey, true},
		{"nor does a remote one", nil, key.Set{published}, issued(&unknown), token.UnknownKey, true},
		{"a wrong signature is that, wherever the key is", nil, key.Set{published}, wrong, token.BadSignature, true},
		{"and whatever decoy the other source has", key.Set{unnamed}, key.Set{published}, wrong, token.BadSignature, true},
		{"an algorithm that neither has", key.Set{local}, key.Set{local}, issued(theirs), token.BadAlgorithm, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			v, remote := verifier, &asked{Source: test.remote}
			v.Keys, v.Remote = test.keys, remote
			check(t, v, test.token, now, test.fault)
			if remote.was != test.asked {
				t.Errorf("the remote source was asked: %v", remote.was)
			}
		})
	}
	t.Run("what is missing there excuses no token that is local", func(t *testing.T) {
		v := verifier
		v.Keys, v.Remote = key.Set{local}, lacking{}
		check(t, v, issued(own), now, "")
		check(t, v, issued(theirs), now, token.KeysUnavailable)
	})
}
