package jwks

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"
)

func TestRequest(t *testing.T) {
	bubble(t, "it says what it wants, and nothing of whom it is for", func(t *testing.T) {
		p := publish(t)
		var asked []*http.Request
		p.answers(func(w http.ResponseWriter, r *http.Request) {
			asked = append(asked, r)
			http.SetCookie(w, &http.Cookie{Name: "session", Value: "1"})
			w.Header().Set("ETag", `"1"`)
			sends("a")(w, r)
		})
		o := p.options()
		o.URL += "?p=policy"
		r := remote(t, o)
		want(t, r, []string{"a"}, []string{"x"})
		for _, r := range asked {
			if r.Method != http.MethodGet || r.Host != "example.com" || r.RequestURI != "/jwks.json?p=policy" || r.ContentLength != 0 {
				t.Errorf("asked for %s %s%s", r.Method, r.Host, r.RequestURI)
			}
			for name, values := range r.Header {
				known := map[string]string{"Accept": "application/json", "User-Agent": "caddy-ollama", "Connection": "close"}
				if !slices.Equal(values, []string{known[name]}) {
					t.Errorf("asked with %s: %q", name, values)
				}
			}
			if len(r.Header) != 3 {
				t.Errorf("asked with %v", r.Header)
			}
		}
		p.wantFetches(t, 2)
	})
}

func TestTLS(t *testing.T) {
	for _, test := range []struct {
		name   string
		server *tls.Config
		change func(*Options)
		class  string // of the failure; empty if it is to work
	}{
		{"TLS 1.3", &tls.Config{MinVersion: tls.VersionTLS13}, nil, ""},
		{"TLS 1.2", &tls.Config{MaxVersion: tls.VersionTLS12}, nil, ""},
		{"TLS 1.1 is refused", &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, nil, "no connection"},
		{"a certificate that the system does not trust is refused", new(tls.Config), func(o *Options) { o.RootCAs = nil }, "certificate not trusted"},
		{"a certificate of somebody else's authority is refused", new(tls.Config), func(o *Options) { o.RootCAs = x509.NewCertPool() }, "certificate not trusted"},
		{"a certificate of another host is refused", new(tls.Config), func(o *Options) { o.URL = "https://stranger.example/jwks.json" }, "certificate not trusted"},
	} {
		bubble(t, test.name, func(t *testing.T) {
			p := publishWith(t, test.server, "a")
			o := p.options()
			if test.change != nil {
				test.change(&o)
			}
			r := remote(t, o)
			if test.class == "" {
				want(t, r, []string{"a"}, nil)
				p.wantLog(t)
				return
			}
			want(t, r, nil, []string{"a"})
			p.wantLog(t, "error: "+test.class)
			p.wantFetches(t, 0)
		})
	}
}

func TestProxy(t *testing.T) {
	bubble(t, "the environment's proxy is asked for a tunnel, and sees no more than the host", func(t *testing.T) {
		proxy := newNetwork()
		asked := make(chan string, 1)
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			select {
			case asked <- r.Method + " " + r.RequestURI:
			default:
			}
			w.WriteHeader(http.StatusForbidden)
		})}
		go server.Serve(proxy)
		defer server.Close()
		p := publish(t)
		o := p.options()
		o.URL = "https://behind.example/jwks.json"
		o.dial = proxy.dial
		want(t, remote(t, o), nil, []string{"a"})
		if len(proxy.dialed) == 0 || proxy.dialed[0] != "proxy.example:3128" {
			t.Fatalf("it dials %q", proxy.dialed)
		}
		if got := <-asked; got != "CONNECT behind.example:443" {
			t.Errorf("the proxy is asked for %q", got)
		}
		p.wantLog(t, "error: no connection")
	})
}

// The other tests have no network. This one has: with sockets, as in production.
func TestSockets(t *testing.T) {
	server := httptest.NewTLSServer(sends("a"))
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	r := remote(t, Options{URL: server.URL, Parse: parse, RootCAs: roots})
	want(t, r, []string{"a"}, nil)

	// nobody accepts, so the connection hangs; Destruct does not wait for that
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	r = remote(t, Options{URL: "https://" + silent.Addr().String(), Parse: parse, RootCAs: roots})
	released := make(chan bool)
	go func() { released <- accepts(r, "a") }()
	if conn, err := silent.Accept(); err != nil {
		t.Error(err)
	} else {
		defer conn.Close()
	}
	start := time.Now()
	r.Destruct()
	if <-released || time.Since(start) > patience/2 {
		t.Error("it has waited")
	}
}
