package redisconfig

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	goredis "github.com/redis/go-redis/v9"
)

// Connect returns a client. It does not wait for Redis. What is in the files of
// passwords and certificates counts for each new connection; if they are no good
// by then, what was in them before.
func (o *Options) Connect() (goredis.UniversalClient, error) {
	quiet()
	if err := o.CheckFiles(); err != nil {
		return nil, err
	}
	c := &connector{options: o}
	options := &goredis.UniversalOptions{
		// One try: the next request, or who looks in the background, makes another.
		MaxRetries: -1, DialerRetries: 1,
		DialTimeout: 4 * o.DecisionTimeout(), ContextTimeoutEnabled: true,
		ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, // the context's end earlier
		PoolSize: 64, MinIdleConns: 2, DisableIdentity: true,
		Dialer: c.dial, CredentialsProviderContext: c.credentials,
	}
	switch {
	case o.Sentinel != nil:
		options.Addrs, options.MasterName = o.Sentinel.Address, o.Sentinel.Master
		var err error
		if options.SentinelUsername, options.SentinelPassword, err = resolve(o.Sentinel.Username, o.Sentinel.Password); err != nil {
			return nil, fmt.Errorf("store redis: sentinel: %w", err)
		}
	case o.Cluster != nil:
		options.Addrs, options.IsClusterMode = o.Cluster, true
	default:
		options.Addrs = []string{o.Address}
	}
	return goredis.NewUniversalClient(options), nil
}

// CheckFiles reports what is wrong with the files of passwords and certificates.
func (o *Options) CheckFiles() error {
	if _, _, err := resolve(o.Username, o.Password); err != nil {
		return fmt.Errorf("store redis: %w", err)
	}
	if s := o.Sentinel; s != nil {
		if _, _, err := resolve(s.Username, s.Password); err != nil {
			return fmt.Errorf("store redis: sentinel: %w", err)
		}
	}
	if o.TLS != nil {
		if _, err := o.TLS.config(); err != nil {
			return fmt.Errorf("store redis: tls: %w", err)
		}
	}
	return nil
}

// connector makes the connections of one client.
type connector struct {
	options *Options
	// what was good the last time
	login  atomic.Pointer[login]
	config atomic.Pointer[tls.Config]
}

type login struct{ username, password string }

func (c *connector) credentials(context.Context) (username, password string, err error) {
	username, password, err = resolve(c.options.Username, c.options.Password)
	if err == nil {
		c.login.Store(&login{username, password})
	} else if last := c.login.Load(); last != nil {
		return last.username, last.password, nil
	}
	return username, password, err
}

func (c *connector) dial(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := &net.Dialer{Timeout: 4 * c.options.DecisionTimeout()}
	if c.options.TLS == nil {
		return dialer.DialContext(ctx, network, address)
	}
	config, err := c.options.TLS.config()
	if err == nil {
		c.config.Store(config)
	} else if config = c.config.Load(); config == nil {
		return nil, err
	}
	return (&tls.Dialer{NetDialer: dialer, Config: config}).DialContext(ctx, network, address)
}

// resolve puts in what placeholders stand for.
func resolve(username, password string) (string, string, error) {
	replacer := caddy.NewReplacer()
	u, err := replacer.ReplaceOrErr(username, true, true)
	if err != nil {
		return "", "", fmt.Errorf("username: %w", err)
	}
	p, err := replacer.ReplaceOrErr(password, true, true)
	if err != nil {
		return "", "", fmt.Errorf("password: %w", err)
	}
	return u, p, nil
}

func (t *TLS) config() (*tls.Config, error) {
	config := &tls.Config{ServerName: t.ServerName, MinVersion: tls.VersionTLS12}
	if t.CA != "" {
		text, err := os.ReadFile(t.CA)
		if err != nil {
			return nil, err
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("%s has no certificate", t.CA)
		}
	}
	if t.Certificate != "" {
		certificate, err := tls.LoadX509KeyPair(t.Certificate, t.Key)
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{certificate}
	}
	return config, nil
}
