package jwks

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/gateway18789/caddy-ollama/jwtauth/key"
)

// outages are all that can be wrong with a provider, and what the log says of it.
var outages = []struct {
	name   string
	answer http.HandlerFunc
	class  string
}{
	{"an internal error", status(500), "status 500"},
	{"a page that is gone, with a set in it", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(404)
		sends("evil")(w, r)
	}, "status 404"},
	{"success with no content", status(204), "status 204"},
	{"a part of the set", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(206)
		sends("evil")(w, r)
	}, "status 206"},
	{"no answer", hangs, "timeout"},
	{"a header and no end", func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		hangs(w, r)
	}, "timeout"},
	{"a byte each second", drips, "timeout"},
	{"a connection that breaks", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "no connection"},
	{"a body that breaks off where it would be a set", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		w.Write(document("evil"))
	}, "no connection"},
	{"a header of a megabyte", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Large", strings.Repeat("x", 1<<20))
		sends("evil")(w, r)
	}, "no connection"},
	{"a body of 8 MiB", func(w http.ResponseWriter, _ *http.Request) {
		w.Write(append(document("evil"), make([]byte, 8<<20)...))
	}, "larger than 256 KiB"},
	{"a set one byte too large", padded(256<<10+1, "evil"), "larger than 256 KiB"},
	{"10000 keys", many(10_000), "more than 64 keys in the set"},
	{"65 keys", many(65), "more than 64 keys in the set"},
	{"a kid twice", sends("evil", "evil"), "not a sound JWK Set"},
	{"HTML", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<!doctype html><title>Log in</title>") }, "not a sound JWK Set"},
	{"nothing", status(200), "not a sound JWK Set"},
	{"a set that is cut", func(w http.ResponseWriter, _ *http.Request) { w.Write(document("evil")[:8]) }, "not a sound JWK Set"},
	{"an empty set", sends(), "no keys in the set"},
	{"a set compressed unasked", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		fmt.Fprint(w, "\x1f\x8b\x08")
	}, "not a sound JWK Set"},
	{"a redirect to http", redirects("http://example.com/"), "status 302"},
	{"a redirect to another host", redirects("https://stranger.example/"), "status 302"},
	{"a redirect to itself", redirects("/elsewhere"), "status 302"},
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// redirects sends elsewhere, with a set, and serves one there.
func redirects(location string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/jwks.json" {
			w.Header().Set("Location", location)
			w.WriteHeader(302)
		}
		sends("evil")(w, r)
	}
}

func drips(w http.ResponseWriter, r *http.Request) {
	for _, b := range document("evil") {
		w.Write([]byte{b})
		w.(http.Flusher).Flush()
		select {
		case <-r.Context().Done():
			return
		case <-time.After(time.Second):
		}
	}
}

// padded answers with a set of so many bytes.
func padded(size int, kids ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		set := document(kids...)
		w.Write(append(set, strings.Repeat(" ", size-len(set))...))
	}
}

func many(n int) http.HandlerFunc {
	kids := []string{"evil"}
	for i := range n - 1 {
		kids = append(kids, fmt.Sprint(i))
	}
	return sends(kids...)
}

func TestOutage(t *testing.T) {
	for _, test := range outages {
		bubble(t, test.name+": the old set serves, and the log says so once", func(t *testing.T) {
			p := publish(t, "a")
			r := remote(t, p.options())
			want(t, r, []string{"a"}, nil)
			p.answers(test.answer)
			want(t, r, []string{"a"}, []string{"evil"})
			pass(2 * time.Minute)
			if p.fetches.Load() < 5 {
				t.Error("it does not try again")
			}
			want(t, r, []string{"a"}, []string{"evil"})
			p.wantLog(t, "warn: "+test.class)

			p.replace("b")
			pass(35 * time.Second) // half a minute between two tries, 5 s for the last
			want(t, r, []string{"b"}, []string{"a"})
			p.wantLog(t, "info")
			for _, address := range p.network.dialed {
				if address != "example.com:443" {
					t.Errorf("it dials %s", address)
				}
			}
		})
		bubble(t, test.name+": if there never was a set, there is no key", func(t *testing.T) {
			p := publish(t)
			p.answers(test.answer)
			r := remote(t, p.options())
			want(t, r, nil, []string{"evil", "a", ""})
			pass(0)
			p.wantLog(t, "error: "+test.class)
		})
	}
}

func TestTheLargestSet(t *testing.T) {
	bubble(t, "64 keys", func(t *testing.T) {
		p := publish(t)
		p.answers(many(64))
		want(t, remote(t, p.options()), []string{"0", "62"}, nil)
	})
	bubble(t, "256 KiB", func(t *testing.T) {
		p := publish(t)
		p.answers(padded(256<<10, "a"))
		want(t, remote(t, p.options()), []string{"a"}, nil)
	})
}

func TestNoMoreIsReadThanMayBe(t *testing.T) {
	bubble(t, "of 8 MiB", func(t *testing.T) {
		p := publish(t)
		sent := 0
		p.answers(func(w http.ResponseWriter, _ *http.Request) {
			for range 8 << 10 {
				if _, err := w.Write(make([]byte, 1<<10)); err != nil {
					return
				}
				sent++
			}
		})
		r := remote(t, p.options())
		want(t, r, nil, []string{"a"})
		r.Destruct()
		pass(time.Second)
		if sent > 512 {
			t.Errorf("%d KiB were sent", sent)
		}
	})
}

func TestStale(t *testing.T) {
	bubble(t, "the old set serves until it is old by refresh and stale time, then no key does", func(t *testing.T) {
		p := publish(t, "a")
		o := p.options()
		o.StaleFor = 20 * time.Minute
		r := remote(t, o)
		began := time.Now()
		want(t, r, []string{"a"}, nil)
		p.fails(503)
		pass(30*time.Minute - 1)
		want(t, r, []string{"a"}, nil)
		p.wantLog(t, "warn: status 503")
		pass(1)
		want(t, r, nil, []string{"a"})
		if d := time.Since(began); d != 30*time.Minute {
			t.Errorf("%v have passed", d)
		}
		pass(30 * time.Second)
		p.wantLog(t, "error: status 503")
		pass(15 * time.Minute)
		want(t, r, nil, []string{"a"})
		p.wantLog(t)

		p.replace("a")
		pass(30 * time.Second)
		want(t, r, []string{"a"}, nil)
		p.wantLog(t, "info")
	})
	bubble(t, "the stale time begins where the provider's max-age ends", func(t *testing.T) {
		p := publish(t)
		p.answers(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			sends("a")(w, r)
		})
		r := remote(t, p.options())
		want(t, r, []string{"a"}, nil)
		p.fails(503)
		pass(61*time.Minute - 1)
		want(t, r, []string{"a"}, nil)
		pass(1)
		want(t, r, nil, []string{"a"})
	})
	bubble(t, "each good set has its own time", func(t *testing.T) {
		p := publish(t, "a")
		r := remote(t, p.options())
		want(t, r, []string{"a"}, nil)
		p.awaitFetch(2)
		p.fails(503)
		pass(70*time.Minute - time.Second)
		want(t, r, []string{"a"}, nil)
		pass(time.Second)
		want(t, r, nil, []string{"a"})
	})
	bubble(t, "a key that has expired is a decoy still", func(t *testing.T) {
		p := publish(t, "a", "b")
		r := remote(t, p.options())
		want(t, r, []string{"a"}, nil)
		p.fails(503)
		pass(75 * time.Minute)
		for _, kid := range []string{"a", "b", "x", ""} {
			keys, decoy, _ := r.Find(t.Context(), "HS256", kid)
			if len(keys) != 1 || !decoy {
				t.Errorf("kid %q: found %v, decoy %v", kid, keys, decoy)
			}
		}
		if keys, decoy, _ := r.Find(t.Context(), "RS256", "a"); keys != nil || decoy {
			t.Errorf("found %v, decoy %v", keys, decoy)
		}
	})
	bubble(t, "a token with no kid asks for a set when there is none", func(t *testing.T) {
		p := publish(t, "a")
		r := remote(t, p.options())
		want(t, r, []string{"a"}, nil)
		p.fails(503)
		p.awaitFetch(2)
		pass(70 * time.Minute)
		p.replace("")
		if d := took(func() { want(t, r, []string{""}, nil) }); d != 0 {
			t.Errorf("it took %v", d)
		}
	})
	bubble(t, "each outage is told of", func(t *testing.T) {
		p := publish(t, "a")
		r := remote(t, p.options())
		want(t, r, []string{"a"}, nil)
		for range 3 {
			p.fails(503)
			pass(10 * time.Minute)
			p.replace("a")
			pass(10 * time.Minute)
			p.wantLog(t, "warn: status 503", "info")
		}
	})
}

// Who is told that keys are missing does not take the tokens for forged; so while a set
// serves none may be, or forged ones would go unnoticed.
func TestKeysAreMissingWhileNoSetServes(t *testing.T) {
	missing := func(t *testing.T, r *Remote, algorithm, kid string) bool {
		_, _, missing := r.Find(t.Context(), algorithm, kid)
		return missing
	}
	all := func(t *testing.T, r *Remote, want bool) {
		t.Helper()
		for _, token := range [][2]string{{"HS256", "a"}, {"HS256", "x"}, {"HS256", ""}, {"RS256", "a"}} {
			if got := missing(t, r, token[0], token[1]); got != want {
				t.Errorf("%q: missing %v, want %v", token, got, want)
			}
		}
	}
	bubble(t, "until there is a first set, all are", func(t *testing.T) {
		p := publish(t)
		p.fails(503)
		r := remote(t, p.options())
		all(t, r, true)
		p.replace("a")
		pass(30 * time.Second)
		all(t, r, false)
	})
	bubble(t, "in an outage none are as long as the last set serves, then all", func(t *testing.T) {
		p := publish(t, "a")
		r := remote(t, p.options())
		all(t, r, false)
		p.fails(503)
		pass(70*time.Minute - time.Second)
		all(t, r, false)
		pass(time.Second)
		all(t, r, true)
		p.replace("a")
		pass(30 * time.Second)
		all(t, r, false)
	})
	bubble(t, "they are for a client who has not waited for the first set", func(t *testing.T) {
		p := publish(t)
		p.answers(after(time.Second, "a"))
		r := remote(t, p.options())
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, _, missing := r.Find(ctx, "HS256", "a"); !missing {
			t.Error("they are not")
		}
	})
}

func TestTriesInAnOutage(t *testing.T) {
	bubble(t, "a short one at the start costs a second", func(t *testing.T) {
		p := publish(t)
		p.fails(503)
		r := remote(t, p.options())
		want(t, r, nil, []string{"a"})
		p.replace("a")
		pass(time.Second)
		p.wantFetches(t, 2)
		want(t, r, []string{"a"}, nil)
		p.wantFetches(t, 2)
	})
	bubble(t, "a long one, and a flood of tokens: four a minute", func(t *testing.T) {
		p := publish(t)
		p.fails(503)
		r := remote(t, p.options())
		want(t, r, nil, []string{"a"})
		pass(5 * time.Minute)
		before := p.fetches.Load()
		for i := range 10 * 60 {
			r.Find(t.Context(), "HS256", fmt.Sprint("x", i))
			pass(time.Second)
		}
		if n := p.fetches.Load() - before; n > 45 {
			t.Errorf("%d fetches in 10 minutes", n)
		}
	})
	bubble(t, "the provider's return is seen within half a minute, however long it was away and many tokens came", func(t *testing.T) {
		p := publish(t)
		o := p.options()
		o.Refresh, o.StaleFor = time.Minute, time.Second
		r := remote(t, o)
		for away := range 40 {
			p.fails(503)
			pass(2 * time.Minute) // the set has expired
			for range away {      // more each time, so that it returns at any time between two tries
				r.Find(t.Context(), "HS256", "x")
				pass(time.Second)
			}
			p.replace("a")
			pass(30 * time.Second)
			want(t, r, []string{"a"}, nil)
		}
	})
	bubble(t, "after one, the intervals are as before", func(t *testing.T) {
		p := publish(t, "a")
		r := remote(t, p.options())
		want(t, r, []string{"a"}, nil)
		p.fails(503)
		pass(30 * time.Minute)
		p.replace("a")
		pass(30 * time.Second)
		before := p.fetches.Load()
		pass(7 * time.Minute)
		p.wantFetches(t, before)
		p.fails(503)
		p.awaitFetch(before + 1)
		pass(time.Second) // the second try comes after one second again, the third after two
		p.wantFetches(t, before+2)
	})
}

func TestLog(t *testing.T) {
	for _, test := range outages {
		bubble(t, test.name+": of the URL and the provider's words the log tells the host only", func(t *testing.T) {
			p := publish(t)
			p.answers(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("X-Canary", "canary")
				r.URL.Path = "/jwks.json"
				test.answer(w, r)
			})
			o := p.options()
			o.URL = "https://example.com/canary/jwks.json?canary=canary"
			o.Parse = func(b []byte) ([]*key.Key, error) {
				keys, err := parse(b)
				if err != nil {
					err = fmt.Errorf("canary %q: %w", b, err)
				}
				return keys, err
			}
			r := remote(t, o)
			want(t, r, nil, []string{"evil"})
			pass(0)
			lines := p.log.All()
			if len(lines) != 1 {
				t.Fatalf("%d lines", len(lines))
			}
			entry, err := zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()).EncodeEntry(lines[0].Entry, lines[0].Context)
			if err != nil {
				t.Fatal(err)
			}
			text := entry.String()
			for _, no := range []string{"canary", "evil", "jwks.json"} {
				if strings.Contains(text, no) {
					t.Errorf("the log tells of %q: %s", no, text)
				}
			}
			for _, yes := range []string{`"host":"example.com"`, test.class} {
				if !strings.Contains(text, yes) {
					t.Errorf("the log tells not of %s: %s", yes, text)
				}
			}
		})
	}
	bubble(t, "it goes to the logger of the configuration that is loaded", func(t *testing.T) {
		p, other := publish(t, "a"), publish(t)
		r := remote(t, p.options())
		want(t, r, []string{"a"}, nil)
		p.fails(503)
		pass(10 * time.Minute)
		p.wantLog(t, "warn: status 503")
		p.logger = other.logger
		p.replace("a")
		pass(time.Minute)
		p.wantLog(t)
		other.wantLog(t, "info")
	})
	bubble(t, "no logger is needed", func(t *testing.T) {
		p := publish(t)
		p.fails(503)
		o := p.options()
		o.Logger = nil
		want(t, remote(t, o), nil, []string{"a"})
	})
}
