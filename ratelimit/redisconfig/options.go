// Package redisconfig has the options of `store redis`, which are the same wherever
// gateways share something.
package redisconfig

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
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
	// which are resolved for each new connection, and shown nowhere: so a file that
	// changes counts without a reload. A password that stands here itself is shown by the
	// admin API.
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
	// Who we are to the sentinels, as Username and Password are to the master.
	Username string `json:"username,omitempty"`
	Password string `json:"password,omitempty"`
}

// TLS says whom to trust, and who we are. The files are read for each new connection.
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
		if o.Sentinel.Username != "" && o.Sentinel.Password == "" {
			return errors.New("store redis: sentinel: username without password")
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

// Identity is the same for options that mean the same. It has placeholders in it, not
// what they stand for, because that may change while a client is in use; but for the
// sentinels' password, which cannot.
func (o *Options) Identity() string {
	text, _ := json.Marshal(o) // strings and numbers only
	if o.Sentinel != nil {
		username, password, _ := resolve(o.Sentinel.Username, o.Sentinel.Password)
		text = fmt.Appendf(text, "%x", sha256.Sum256([]byte(username+"\x00"+password)))
	}
	return string(text)
}

// Literal reports whether a password stands in the options itself, where whoever may
// read the configuration can read it.
func (o *Options) Literal() bool {
	return literal(o.Password) || o.Sentinel != nil && literal(o.Sentinel.Password)
}

// LiteralWarning is what to tell then.
const LiteralWarning = "the password of store redis stands in the configuration, which the admin API shows: " +
	"put it into a file, and that as a placeholder here, such as {file./etc/caddy-ollama/redis.password}"

func literal(secret string) bool { return secret != "" && !strings.Contains(secret, "{") }
