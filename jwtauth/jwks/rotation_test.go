package jwks

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gateway18789/caddy-ollama/jwtauth/token"
)

func TestRotation(t *testing.T) {
	bubble(t, "tokens signed with a key at the moment it is published all pass, though they come at once", func(t *testing.T) {
		p := publish(t, "old")
		r := remote(t, p.options())
		want(t, r, []string{"old"}, nil)
		release := make(chan struct{})
		p.answers(func(w http.ResponseWriter, req *http.Request) {
			<-release
			sends("old", "new")(w, req)
		})
		refused := make(chan int64)
		go func() { refused <- together(r, 200, func(i int) string { return [...]string{"old", "new"}[i%2] }) }()
		synctest.Wait() // until all wait for the set
		close(release)
		if n := <-refused; n != 0 {
			t.Errorf("%d tokens are refused", n)
		}
		p.wantFetches(t, 2)
	})
	bubble(t, "a fetch answered just before the key was published does not settle it", func(t *testing.T) {
		p := publish(t, "old")
		r := remote(t, p.options())
		want(t, r, []string{"old"}, nil)
		p.answers(after(time.Second, "old")) // the refresh in the background
		p.awaitFetch(2)
		p.replace("old", "new")
		if n := together(r, 50, func(int) string { return "new" }); n != 0 {
			t.Errorf("%d tokens are refused", n)
		}
		p.wantFetches(t, 3)
	})
	bubble(t, "a key for another algorithm is a rotation like any other", func(t *testing.T) {
		p := publish(t, "old")
		r := remote(t, p.options())
		want(t, r, []string{"old"}, nil)
		p.replace("old", "new/EdDSA")
		want(t, r, []string{"old", "new/EdDSA"}, nil)
	})
	bubble(t, "if somebody has just sent an unknown kid, a new one waits for half a minute at most", func(t *testing.T) {
		p := publish(t, "old")
		r := remote(t, p.options())
		want(t, r, []string{"old"}, nil)
		want(t, r, nil, []string{"x"})
		p.replace("old", "new")
		pass(29 * time.Second)
		want(t, r, nil, []string{"new"})
		pass(time.Second)
		want(t, r, []string{"new"}, nil)
	})
	bubble(t, "the set is replaced as a whole", func(t *testing.T) {
		p := publish(t, "a", "b", "c")
		r := remote(t, p.options())
		want(t, r, []string{"a", "b", "c"}, nil)
		p.replace("c", "d", "e")
		want(t, r, []string{"d"}, nil)
		want(t, r, []string{"c", "d", "e"}, []string{"a", "b"})
		p.wantFetches(t, 2)
	})
	bubble(t, "a key that is published under a kid in use replaces the one that was", func(t *testing.T) {
		p := publish(t, "a", "b/EdDSA")
		r := remote(t, p.options())
		want(t, r, []string{"a", "b/EdDSA"}, nil)
		p.replace("a", "b")
		want(t, r, []string{"b"}, []string{"b/EdDSA"})
	})
}

// Clients who verify tokens all the time, through eight rotations, see none of them.
func TestRotationUnderLoad(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	signed := make([]string, 10) // by the key of each kid
	for i := range signed {
		compact, err := token.Issue(keyOf(fmt.Sprint("k", i)), token.Claims{"sub": "clawdbot", "iat": now.Unix(), "exp": now.Add(time.Minute).Unix()})
		if err != nil {
			t.Fatal(err)
		}
		signed[i] = compact
	}
	synctest.Test(t, func(t *testing.T) {
		p := publish(t, "k0")
		r := remote(t, p.options())
		verifier := token.Verifier{Keys: r, MaxLifetime: 5 * time.Minute}
		var current, verified, refused atomic.Int64
		stop := make(chan struct{})
		var clients sync.WaitGroup
		for range 16 {
			clients.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					if _, err := verifier.Verify(t.Context(), signed[current.Load()], now); err != nil {
						refused.Add(1)
					}
					verified.Add(1)
					time.Sleep(200 * time.Millisecond) // of the bubble's time, which costs none
				}
			})
		}
		for i := 1; i < len(signed)-1; i++ {
			pass(31 * time.Second)
			// the last key stays for the tokens that were signed with it
			p.answers(after(50*time.Millisecond, fmt.Sprint("k", i-1), fmt.Sprint("k", i)))
			current.Store(int64(i))
			pass(time.Second)
			if i >= 2 {
				if _, err := verifier.Verify(t.Context(), signed[i-2], now); err != token.UnknownKey {
					t.Errorf("a token of the key before the last: %v", err)
				}
			}
		}
		close(stop)
		clients.Wait()
		if refused.Load() != 0 {
			t.Errorf("%d of %d sound tokens are refused", refused.Load(), verified.Load())
		}
		if verified.Load() < 16*8*150 {
			t.Errorf("only %d tokens were verified", verified.Load())
		}
	})
}
