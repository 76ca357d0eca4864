package jwks

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gateway18789/caddy-ollama/jwtauth/key"
)

func TestFirstFetch(t *testing.T) {
	bubble(t, "the first request waits for the set", func(t *testing.T) {
		p := publish(t)
		p.answers(after(3*time.Second, "a"))
		r := remote(t, p.options())
		if d := took(func() { want(t, r, []string{"a"}, nil) }); d != 3*time.Second {
			t.Errorf("it took %v", d)
		}
		p.wantFetches(t, 1)
		p.wantLog(t)
	})
	bubble(t, "requests that come together wait for one fetch", func(t *testing.T) {
		p := publish(t)
		p.answers(after(time.Second, "a", "b"))
		r := remote(t, p.options())
		if refused := together(r, 100, func(i int) string { return string(rune('a' + i%2)) }); refused != 0 {
			t.Errorf("%d requests are refused", refused)
		}
		p.wantFetches(t, 1)
	})
	bubble(t, "a kid that is not in the set just fetched for it is not asked for again", func(t *testing.T) {
		p := publish(t, "a")
		r := remote(t, p.options())
		want(t, r, nil, []string{"x"})
		p.wantFetches(t, 1)
	})
	bubble(t, "the first fetch does not count against unknown kids: a rotation right after it is seen", func(t *testing.T) {
		p := publish(t, "a")
		r := remote(t, p.options())
		want(t, r, []string{"a"}, nil)
		p.replace("a", "b")
		want(t, r, []string{"b"}, nil)
		p.wantFetches(t, 2)
	})
	bubble(t, "a request waits 5 s and no longer", func(t *testing.T) {
		p := publish(t)
		p.answers(hangs)
		r := remote(t, p.options())
		if d := took(func() { want(t, r, nil, []string{"a"}) }); d != 5*time.Second {
			t.Errorf("it took %v", d)
		}
	})
	bubble(t, "without a set there is no key, not even a decoy", func(t *testing.T) {
		p := publish(t)
		p.fails(500)
		r := remote(t, p.options())
		if keys, decoy, _ := r.Find(t.Context(), "HS256", "a"); keys != nil || decoy {
			t.Errorf("found %v, decoy %v", keys, decoy)
		}
	})
	bubble(t, "once the set is there, no request waits for the fetches in the background", func(t *testing.T) {
		p := publish(t, "a")
		r := remote(t, p.options())
		want(t, r, []string{"a"}, nil)
		p.answers(hangs)
		p.awaitFetch(2)
		if d := took(func() { want(t, r, []string{"a"}, nil) }); d != 0 {
			t.Errorf("it took %v", d)
		}
	})
}

func TestTheTimerStartsNoSecondFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := publish(t)
		p.answers(after(time.Second, "a"))
		r := remote(t, p.options())
		go accepts(r, "a")
		synctest.Wait()
		r.refresh() // it fires as another fetch has begun
		want(t, r, []string{"a"}, nil)
		p.wantFetches(t, 1)
	})
}

func TestGivingUp(t *testing.T) {
	bubble(t, "a client that leaves waits no longer, and the fetch goes on without him", func(t *testing.T) {
		p := publish(t)
		p.answers(after(3*time.Second, "a"))
		r := remote(t, p.options())
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if d := took(func() {
			if acceptsUntil(ctx, r, "a") {
				t.Error("accepted without a set")
			}
		}); d != time.Second {
			t.Errorf("it took %v", d)
		}
		if d := took(func() { want(t, r, []string{"a"}, nil) }); d != 2*time.Second {
			t.Errorf("the other took %v", d)
		}
		p.wantFetches(t, 1)
	})
	bubble(t, "one who left before gets what is there", func(t *testing.T) {
		p := publish(t, "a")
		r := remote(t, p.options())
		want(t, r, []string{"a"}, nil)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if !acceptsUntil(ctx, r, "a") {
			t.Error("a known key is refused")
		}
		if acceptsUntil(ctx, r, "x") {
			t.Error("an unknown key is accepted")
		}
	})
	bubble(t, "two fetches that hang do not make it longer than 5 s", func(t *testing.T) {
		p := publish(t, "a")
		r := remote(t, p.options())
		want(t, r, []string{"a"}, nil)
		p.answers(hangs)
		p.awaitFetch(2)
		pass(2 * time.Second)
		if d := took(func() { want(t, r, nil, []string{"x"}) }); d != 5*time.Second {
			t.Errorf("it took %v", d)
		}
		p.wantFetches(t, 3)
	})
}

func TestUnknownKid(t *testing.T) {
	bubble(t, "it causes a fetch that the request waits for", func(t *testing.T) {
		p := publish(t, "a")
		r := remote(t, p.options())
		want(t, r, []string{"a"}, nil)
		p.answers(after(2*time.Second, "a", "b"))
		if d := took(func() { want(t, r, []string{"b"}, nil) }); d != 2*time.Second {
			t.Errorf("it took %v", d)
		}
		p.wantFetches(t, 2)
	})
	bubble(t, "it gets a decoy of the token's algorithm, so that it takes as long as a wrong signature", func(t *testing.T) {
		p := publish(t, "a", "h/EdDSA")
		r := remote(t, p.options())
		for _, algorithm := range []string{"HS256", "EdDSA"} {
			keys, decoy, _ := r.Find(t.Context(), algorithm, "x")
			if len(keys) != 1 || keys[0].Algorithm != algorithm || !decoy {
				t.Errorf("%s: found %v, decoy %v", algorithm, keys, decoy)
			}
		}
	})
	bubble(t, "an algorithm that no key has is none of this source's", func(t *testing.T) {
		p := publish(t, "a")
		r := remote(t, p.options())
		if keys, decoy, _ := r.Find(t.Context(), "RS256", "x"); keys != nil || decoy {
			t.Errorf("found %v, decoy %v", keys, decoy)
		}
	})
	bubble(t, "of many at once all wait for one fetch", func(t *testing.T) {
		p := publish(t, "a")
		r := remote(t, p.options())
		want(t, r, []string{"a"}, nil)
		p.answers(after(time.Second, "a"))
		if refused := together(r, 200, func(i int) string { return fmt.Sprint("x", i) }); refused != 200 {
			t.Errorf("%d are refused", refused)
		}
		p.wantFetches(t, 2)
	})
	bubble(t, "another within 30 s is refused at once, without a fetch", func(t *testing.T) {
		p := publish(t, "a")
		r := remote(t, p.options())
		want(t, r, []string{"a"}, []string{"x"})
		p.answers(after(time.Second, "a", "y"))
		for _, at := range []time.Duration{0, 15 * time.Second, 15*time.Second - 1} {
			pass(at)
			if d := took(func() { want(t, r, nil, []string{"x", "y", "z"}) }); d != 0 {
				t.Errorf("after %v: it took %v", at, d)
			}
		}
		p.wantFetches(t, 2)
		pass(1)
		want(t, r, []string{"y"}, nil)
		p.wantFetches(t, 3)
	})
	bubble(t, "a flood of them causes a fetch each 30 s", func(t *testing.T) {
		p := publish(t, "a")
		o := p.options()
		o.Refresh = 24 * time.Hour
		r := remote(t, o)
		want(t, r, []string{"a"}, nil)
		for i := range 5 * 60 * 5 { // 5 a second for 5 minutes
			if _, decoy, _ := r.Find(t.Context(), "HS256", fmt.Sprint("x", i)); !decoy {
				t.Fatal("it is no decoy")
			}
			pass(200 * time.Millisecond)
		}
		p.wantFetches(t, 1+10)
	})
	bubble(t, "a kid of a key for another algorithm is unknown", func(t *testing.T) {
		p := publish(t, "a")
		r := remote(t, p.options())
		want(t, r, []string{"a"}, nil)
		p.replace("a/EdDSA")
		want(t, r, []string{"a/EdDSA"}, []string{"a"})
		p.wantFetches(t, 2)
	})
	bubble(t, "a set that has a key with no kid may yet get one with it", func(t *testing.T) {
		p := publish(t, "")
		r := remote(t, p.options())
		want(t, r, []string{""}, nil)
		p.replace("", "b")
		want(t, r, []string{"b", ""}, nil)
		p.wantFetches(t, 2)
	})
}

func TestNoKid(t *testing.T) {
	bubble(t, "it fits the keys of its algorithm", func(t *testing.T) {
		p := publish(t, "a", "b", "h/EdDSA")
		r := remote(t, p.options())
		keys, decoy, _ := r.Find(t.Context(), "HS256", "")
		if len(keys) != 2 || decoy {
			t.Errorf("found %v, decoy %v", keys, decoy)
		}
		p.wantFetches(t, 1)
	})
	bubble(t, "it causes no fetch once there is a set, whatever that has, so that it takes none from a rotation", func(t *testing.T) {
		p := publish(t, "a", "b", "c", "d", "e")
		r := remote(t, p.options())
		want(t, r, []string{"a"}, []string{"", "/EdDSA"})
		p.wantFetches(t, 1)
		p.replace("f")
		want(t, r, []string{"f"}, nil)
	})
}

func TestDestruct(t *testing.T) {
	bubble(t, "it ends the fetch under way, and those who wait for that", func(t *testing.T) {
		p := publish(t)
		p.answers(hangs)
		r := remote(t, p.options())
		done := make(chan time.Duration)
		go func() { done <- took(func() { want(t, r, nil, []string{"a"}) }) }()
		pass(time.Second)
		if d := took(func() { r.Destruct() }); d != 0 {
			t.Errorf("it took %v", d)
		}
		if d := <-done; d != time.Second {
			t.Errorf("the request waited %v", d)
		}
		p.wantLog(t)
	})
	for _, stage := range []string{"dialing", "shaking hands"} {
		bubble(t, "it ends a connection that is only "+stage, func(t *testing.T) {
			p := publish(t)
			o := p.options()
			ended := make(chan struct{})
			o.dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
				if stage == "dialing" {
					defer close(ended)
					<-ctx.Done()
					return nil, ctx.Err()
				}
				client, server := pipe()
				go func() {
					defer close(ended)
					io.Copy(io.Discard, server) // until it is closed
				}()
				return client, nil
			}
			r := remote(t, o)
			go accepts(r, "a")
			pass(time.Second)
			r.Destruct()
			synctest.Wait()
			select {
			case <-ended:
			default:
				t.Error("it is still there")
			}
		})
	}
	bubble(t, "it waits for a set that is being read, so that nothing goes on behind it", func(t *testing.T) {
		p := publish(t, "a")
		o := p.options()
		read := make(chan struct{})
		o.Parse = func(b []byte) ([]*key.Key, error) {
			<-read
			return parse(b)
		}
		r := remote(t, o)
		go accepts(r, "a")
		synctest.Wait()
		var ended atomic.Bool
		go func() {
			r.Destruct()
			ended.Store(true)
		}()
		synctest.Wait()
		if ended.Load() {
			t.Error("it has not waited")
		}
		close(read)
		synctest.Wait()
		if !ended.Load() {
			t.Error("it waits still")
		}
	})
	bubble(t, "it leaves no timer behind", func(t *testing.T) {
		p := publish(t, "a")
		r := remote(t, p.options())
		want(t, r, []string{"a"}, nil)
		r.Destruct()
		if r.timer.Stop() {
			t.Error("there is one")
		}
	})
	bubble(t, "requests of the old configuration are served the last set, until that expires, with no fetch", func(t *testing.T) {
		p := publish(t, "a")
		r := remote(t, p.options())
		want(t, r, []string{"a"}, nil)
		r.Destruct()
		if d := took(func() { want(t, r, []string{"a"}, []string{"x"}) }); d != 0 {
			t.Errorf("it took %v", d)
		}
		pass(70*time.Minute - 1)
		want(t, r, []string{"a"}, []string{"x"})
		pass(1)
		want(t, r, nil, []string{"a"})
		p.wantFetches(t, 1)
	})
	bubble(t, "it may come twice", func(t *testing.T) {
		p := publish(t, "a")
		r := remote(t, p.options())
		want(t, r, []string{"a"}, nil)
		r.Destruct()
		if err := r.Destruct(); err != nil {
			t.Error(err)
		}
	})
}
