package key_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/gateway18789/caddy-ollama/jwtauth/key"
)

// What one verification has left behind is no part of another.
func TestASecretVerifiesForManyAtOnce(t *testing.T) {
	for _, algorithm := range []string{"HS256", "HS384", "HS512"} {
		k, err := key.Secret([]byte("a secret of these tests that is long enough for each of the hashes"), algorithm)
		if err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		for g := range 8 {
			all.Go(func() {
				for n := range 200 {
					signed := fmt.Sprintf("%d.%s", g, strings.Repeat("x", n*(g+1)%300))
					signature, err := k.Sign(signed)
					if err != nil {
						t.Error(err)
						return
					}
					if !k.Verify(signed, signature) {
						t.Errorf("%s: its own signature of %q is refused", algorithm, signed)
					}
					if k.Verify(signed+"x", signature) {
						t.Errorf("%s: the signature of %q passes for one with an x behind", algorithm, signed)
					}
					if k.Verify(signed, signature[:len(signature)-1]) || k.Verify(signed, nil) {
						t.Errorf("%s: a part of the signature of %q passes for it", algorithm, signed)
					}
				}
			})
		}
		all.Wait()
	}
}
