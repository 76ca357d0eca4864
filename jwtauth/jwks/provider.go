package jwks

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/gateway18789/caddy-ollama/jwtauth/key"
)

const (
	// patience is how long a fetch may take in all, and how long a request waits
	// for one.
	patience = 5 * time.Second

	maxBody = 256 << 10
	maxKeys = 64
)

// failure is why a set could not be fetched. It holds nothing that the provider sent:
// it goes to the log.
type failure string

func (f failure) Error() string { return string(f) }

const (
	timedOut       failure = "timeout"
	noConnection   failure = "no connection"
	badCertificate failure = "certificate not trusted"
	tooLarge       failure = "larger than 256 KiB"
	malformed      failure = "not a sound JWK Set"
	noKeys         failure = "no keys in the set"
	tooManyKeys    failure = "more than 64 keys in the set"
)

// provider is where a set is fetched.
type provider struct {
	request   *http.Request
	transport *http.Transport
	parse     func([]byte) ([]*key.Key, error)
}

// newProvider makes the way to the provider. A proxy of the environment (HTTPS_PROXY)
// is used, as it may be the only way out: it sees the host's name, and the TLS
// within it ends at the provider.
func newProvider(address *url.URL, o Options) *provider {
	return &provider{
		request: &http.Request{Method: http.MethodGet, URL: address, Header: http.Header{
			"Accept":     {"application/json"},
			"User-Agent": {"caddy-ollama"},
		}},
		transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            o.dial,
			TLSClientConfig:        &tls.Config{RootCAs: o.RootCAs, MinVersion: tls.VersionTLS12},
			DisableKeepAlives:      true, // the next fetch is minutes away
			DisableCompression:     true,
			MaxResponseHeaderBytes: 64 << 10,
		},
		parse: o.Parse,
	}
}

// fetch returns the keys published now, and the header that they came with. All
// errors are failures. It follows no redirect and keeps no cookie: those are a
// Client's business, and there is none.
func (p *provider) fetch(ctx context.Context) (key.Set, http.Header, error) {
	// a connection that is being made goes on without the request, else
	defer p.transport.CloseIdleConnections()
	response, err := p.transport.RoundTrip(p.request.Clone(ctx))
	if err != nil {
		return nil, nil, classify(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, nil, failure(fmt.Sprintf("status %d", response.StatusCode))
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBody+1))
	switch {
	case err != nil:
		return nil, nil, classify(err)
	case ctx.Err() != nil: // the body may have come to an end because we have given up
		return nil, nil, classify(ctx.Err())
	case len(body) > maxBody:
		return nil, nil, tooLarge
	}
	keys, err := p.parse(body)
	switch {
	case err != nil:
		return nil, nil, malformed
	case len(keys) == 0:
		return nil, nil, noKeys
	case len(keys) > maxKeys:
		return nil, nil, tooManyKeys
	}
	return keys, response.Header, nil
}

func classify(err error) failure {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return badCertificate
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return timedOut
	}
	return noConnection
}
