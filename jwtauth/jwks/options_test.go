package jwks

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"
)

func TestNewTakes(t *testing.T) {
	for _, test := range []struct {
		name string
		o    Options
	}{
		{"an https URL is enough", Options{URL: "https://idp.example.com/jwks.json"}},
		{"a port", Options{URL: "https://idp.example.com:8443/jwks.json"}},
		{"a query, which some providers need", Options{URL: "https://idp.example.com/keys?p=policy"}},
		{"an IP address", Options{URL: "https://[2001:db8::1]/jwks.json"}},
		{"a scheme in capitals, which means the same", Options{URL: "HTTPS://idp.example.com/"}},
		{"the shortest durations", Options{URL: "https://idp.example.com/", Refresh: time.Second, StaleFor: time.Second}},
		{"the longest durations", Options{URL: "https://idp.example.com/", Refresh: 24 * time.Hour, StaleFor: 24 * time.Hour}},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.o.Parse = parse
			remote(t, test.o)
		})
	}
}

func TestNewRefuses(t *testing.T) {
	const good = "https://canary.example/jwks.json"
	for _, test := range []struct {
		name string
		o    Options
		want string
	}{
		{"http, where anyone on the way can add a key", Options{URL: "http://canary.example/jwks.json"}, "https"},
		{"a file", Options{URL: "file:///etc/canary.json"}, "https"},
		{"no scheme", Options{URL: "canary.example/jwks.json"}, "https"},
		{"nothing", Options{}, "https"},
		{"no host", Options{URL: "https:///canary.json"}, "host"},
		{"a port without a host", Options{URL: "https://:443/canary.json"}, "host"},
		{"an opaque URL", Options{URL: "https:canary.example"}, "host"},
		{"a user name", Options{URL: "https://canary@idp.example/"}, "user name"},
		{"a password", Options{URL: "https://u:canary@idp.example/"}, "user name"},
		{"what is no URL", Options{URL: "https://canary.example/%zz"}, "https"},
		{"a control character", Options{URL: "https://canary.example/\n"}, "https"},
		{"a placeholder of requests for the host", Options{URL: "https://{http.request.host}/canary"}, "braces"},
		{"a placeholder of requests in the path", Options{URL: "https://idp.example/{canary}"}, "braces"},
		{"a placeholder that was left over", Options{URL: "{env.CANARY}"}, "braces"},
		{"a refresh of less than a second", Options{URL: good, Refresh: 999 * time.Millisecond}, "refresh 999ms"},
		{"a negative refresh", Options{URL: good, Refresh: -time.Minute}, "refresh -1m0s"},
		{"a refresh of more than a day", Options{URL: good, Refresh: 24*time.Hour + 1}, "refresh 24h"},
		{"stale keys for a negative time", Options{URL: good, StaleFor: -time.Hour}, "-1h0m0s"},
		{"stale keys for more than a day", Options{URL: good, StaleFor: 24*time.Hour + 1}, "24h"},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.o.Parse = parse
			r, err := New(test.o)
			if err == nil || r != nil {
				t.Fatal("it is accepted")
			}
			if text := err.Error(); !strings.Contains(text, test.want) {
				t.Errorf("the error does not say %q: %v", test.want, err)
			}
			if strings.Contains(strings.ToLower(err.Error()), "canary") {
				t.Errorf("the error repeats the URL: %v", err)
			}
		})
	}
	t.Run("nothing to read a set with", func(t *testing.T) {
		if _, err := New(Options{URL: good}); err == nil {
			t.Fatal("it is accepted")
		}
	})
}

func TestPoolKey(t *testing.T) {
	base := Options{URL: "https://idp.example.com/jwks.json"}
	for _, test := range []struct {
		name  string
		other Options
		same  bool
	}{
		{"the defaults written out share a Remote with the defaults", Options{URL: base.URL, Refresh: 10 * time.Minute, StaleFor: time.Hour}, true},
		{"how a set is read is not part of it", Options{URL: base.URL, Parse: parse}, true},
		{"another URL is another Remote", Options{URL: base.URL + "?"}, false},
		{"another refresh is another Remote, so that a reload changes no live one", Options{URL: base.URL, Refresh: time.Minute}, false},
		{"another time without provider is another Remote", Options{URL: base.URL, StaleFor: time.Minute}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if (base.PoolKey() == test.other.PoolKey()) != test.same {
				t.Errorf("keys are %q and %q", base.PoolKey(), test.other.PoolKey())
			}
		})
	}
}

func TestReloads(t *testing.T) {
	bubble(t, "a new configuration goes on with the set of the old one, and the last one ends the fetches", func(t *testing.T) {
		p := publish(t, "a")
		pool := caddy.NewUsagePool()
		load := func() *Remote {
			v, _, err := pool.LoadOrNew(p.options().PoolKey(), func() (caddy.Destructor, error) { return New(p.options()) })
			if err != nil {
				t.Fatal(err)
			}
			return v.(*Remote)
		}
		unload := func() {
			if _, err := pool.Delete(p.options().PoolKey()); err != nil {
				t.Fatal(err)
			}
		}
		first := load()
		want(t, first, []string{"a"}, nil)
		second := load()
		unload()
		want(t, second, []string{"a"}, nil)
		p.wantFetches(t, 1)
		pass(10 * time.Minute)
		p.wantFetches(t, 2)
		unload()
		pass(time.Hour)
		p.wantFetches(t, 2)
	})
}

func TestValidatingFetchesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := publish(t, "a")
		r, err := New(p.options())
		if err != nil {
			t.Fatal(err)
		}
		pass(24 * time.Hour)
		if err := r.Destruct(); err != nil {
			t.Fatal(err)
		}
		pass(24 * time.Hour)
		if len(p.network.dialed) != 0 {
			t.Errorf("it has dialed %q", p.network.dialed)
		}
		p.wantLog(t)
	})
}
