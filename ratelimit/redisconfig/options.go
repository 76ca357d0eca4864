// Package redisconfig has the options of `store redis`, which are the same wherever
// gateways share something.
package redisconfig

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	goredis "github.com/redis/go-redis/v9"
)

// Options say where Redis (or Valkey) is, and how to speak to it.
type Options struct {
	// Where it listens, as `<host>:<port>`. Either this,
	Address string `json:"address,omitempty"`
	// or the sentinels that know the master of this name,
	Sentinel *Sentinel `json:"sentinel,omitempty"`
	// or some nodes of a cluster.
	Cluster []string `json:"cluster,omitempty"`
	// Who we are. May be placeholders such as `{file./etc/caddy-ollama/redis.password}`,
	// which are resolved when the configuration is loaded, and shown nowhere.
	Username string `json:"username,omitempty"`
	Password string `json:"password,omitempty"`
	// Encrypts the connection. Not set: it is not encrypted.
	TLS *TLS `json:"tls,omitempty"`
	// What all keys begin with, in braces and followed by what they are for. Gateways
	// with the same prefix share. Default: `caddy-ollama`.
	Prefix string `json:"prefix,omitempty"`
	// How long one decision may take before Redis is taken for lost. Default: 50ms.
	Timeout caddy.Duration `json:"timeout,omitempty"`
}

// Sentinel says who knows where the master is.
type Sentinel struct {
	Master  string   `json:"master"`
	Address []string `json:"address"`
}

// TLS says whom to trust, and who we are.
type TLS struct {
	// Certificates of who may have signed the server's. Not set: the system's.
	CA string `json:"ca,omitempty"`
	// Our certificate and its key.
	Certificate string `json:"certificate,omitempty"`
	Key         string `json:"key,omitempty"`
	// The name in the server's certificate. Not set: that of its address.
	ServerName string `json:"server_name,omitempty"`
}

// DefaultPrefix and DefaultTimeout count where the options are silent.
const (
	DefaultPrefix  = "caddy-ollama"
	DefaultTimeout = 50 * time.Millisecond
	longestTimeout = 10 * time.Second
)

// Check reports what is wrong with the options, as far as they tell by themselves.
func (o *Options) Check() error {
	var addresses []string
	ways := 0
	if o.Address != "" {
		addresses, ways = append(addresses, o.Address), ways+1
	}
	if o.Sentinel != nil {
		addresses, ways = append(addresses, o.Sentinel.Address...), ways+1
		if o.Sentinel.Master == "" || len(o.Sentinel.Address) == 0 {
			return errors.New("store redis: sentinel needs the master's name, and an address")
		}
	}
	if o.Cluster != nil {
		addresses, ways = append(addresses, o.Cluster...), ways+1
	}
	if ways != 1 || len(addresses) == 0 {
		return errors.New("store redis: give one of address, sentinel and cluster")
	}
	for _, address := range addresses {
		if host, port, err := net.SplitHostPort(address); err != nil || host == "" || port == "" {
			return fmt.Errorf("store redis: %q is no address such as 10.0.0.7:6379", address)
		}
	}
	switch {
	case strings.ContainsAny(o.Prefix, "{}: "):
		return errors.New("store redis: the prefix must not have braces, colons or blanks")
	case o.Timeout < 0 || time.Duration(o.Timeout) > longestTimeout:
		return fmt.Errorf("store redis: timeout %s: give one up to %s", time.Duration(o.Timeout), longestTimeout)
	case o.Username != "" && o.Password == "":
		return errors.New("store redis: username without password")
	case o.TLS != nil && (o.TLS.Certificate == "") != (o.TLS.Key == ""):
		return errors.New("store redis: tls needs both certificate and key, or none")
	}
	return nil
}

// KeyPrefix is Prefix or its default.
func (o *Options) KeyPrefix() string {
	if o.Prefix == "" {
		return DefaultPrefix
	}
	return o.Prefix
}

// DecisionTimeout is Timeout or its default.
func (o *Options) DecisionTimeout() time.Duration {
	if o.Timeout == 0 {
		return DefaultTimeout
	}
	return time.Duration(o.Timeout)
}

// Identity is the same for options that mean the same. It has placeholders in it,
// not what they stand for.
func (o *Options) Identity() string {
	text, _ := json.Marshal(o) // strings and numbers only
	return string(text)
}

// Connect returns a client. It does not wait for Redis.
func (o *Options) Connect() (goredis.UniversalClient, error) {
	quiet()
	options := &goredis.UniversalOptions{
		// One try: the next request, or who looks in the background, makes another.
		MaxRetries: -1, DialerRetries: 1,
		DialTimeout: 4 * o.DecisionTimeout(), ContextTimeoutEnabled: true,
		ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, // the context's end earlier
		PoolSize: 64, MinIdleConns: 2, DisableIdentity: true,
	}
	switch {
	case o.Sentinel != nil:
		options.Addrs, options.MasterName = o.Sentinel.Address, o.Sentinel.Master
	case o.Cluster != nil:
		options.Addrs, options.IsClusterMode = o.Cluster, true
	default:
		options.Addrs = []string{o.Address}
	}
	replacer := caddy.NewReplacer()
	var err error
	if options.Username, err = replacer.ReplaceOrErr(o.Username, true, true); err != nil {
		return nil, fmt.Errorf("store redis: username: %w", err)
	}
	if options.Password, err = replacer.ReplaceOrErr(o.Password, true, true); err != nil {
		return nil, fmt.Errorf("store redis: password: %w", err)
	}
	if o.TLS != nil {
		if options.TLSConfig, err = o.TLS.config(); err != nil {
			return nil, fmt.Errorf("store redis: tls: %w", err)
		}
	}
	return goredis.NewUniversalClient(options), nil
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
