package redisconfig

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/gateway18789/caddy-ollama/ratelimit/redis/redistest"
)

func connect(t *testing.T, o *Options) goredis.UniversalClient {
	t.Helper()
	client, err := o.Connect()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// answers waits until Redis answers the client.
func answers(t *testing.T, client goredis.UniversalClient) {
	t.Helper()
	var err error
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if err = client.Ping(t.Context()).Err(); err == nil {
			return
		}
	}
	t.Fatalf("in vain: %v", err)
}

// hangUp ends all connections to the server but the client's.
func hangUp(t *testing.T, client *goredis.Client) {
	t.Helper()
	if err := client.ClientKillByFilter(t.Context(), "TYPE", "normal").Err(); err != nil {
		t.Fatal(err)
	}
}

func TestAPasswordThatIsRotatedCounts(t *testing.T) {
	server := redistest.Start(t, "--requirepass", "first")
	file := filepath.Join(t.TempDir(), "password")
	write(t, file, "first\n")
	client := connect(t, &Options{Address: server.Address, Password: "{file." + file + "}"})
	answers(t, client)

	operator := goredis.NewClient(&goredis.Options{Addr: server.Address, Password: "first", DisableIdentity: true, PoolSize: 1})
	defer operator.Close()
	if err := operator.ConfigSet(t.Context(), "requirepass", "second").Err(); err != nil {
		t.Fatal(err)
	}
	write(t, file, "second\n")
	hangUp(t, operator)
	answers(t, client)

	// a file that is gone changes nothing
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	hangUp(t, operator)
	answers(t, client)
}

func TestACertificateAuthorityThatIsRotatedCounts(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	redistest.Issue(t, file("ca1"), file("crt1"), file("key1"))
	redistest.Issue(t, file("ca2"), file("crt2"), file("key2"))
	address := redistest.FreeAddress(t)
	_, port, _ := net.SplitHostPort(address)
	server := redistest.Start(t, "--tls-port", port, "--tls-cert-file", file("crt1"), "--tls-key-file", file("key1"),
		"--tls-ca-cert-file", file("ca1"), "--tls-auth-clients", "no")
	trusted, err := os.ReadFile(file("ca1"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, file("ca"), string(trusted))
	client := connect(t, &Options{Address: address, TLS: &TLS{CA: file("ca")}})
	answers(t, client)

	stranger := connect(t, &Options{Address: address, TLS: &TLS{CA: file("ca2")}})
	if err := stranger.Ping(t.Context()).Err(); err == nil || !strings.Contains(err.Error(), "unknown authority") {
		t.Errorf("a server of another authority is trusted: %v", err)
	}
	operator := server.Client()
	defer operator.Close()
	if err := operator.Do(t.Context(), "config", "set", "tls-cert-file", file("crt2"), "tls-key-file", file("key2")).Err(); err != nil {
		t.Fatal(err)
	}
	if trusted, err = os.ReadFile(file("ca2")); err != nil {
		t.Fatal(err)
	}
	write(t, file("ca"), string(trusted))
	hangUp(t, operator)
	answers(t, client)

	write(t, file("ca"), "half a fi")
	hangUp(t, operator)
	answers(t, client)
	if _, err := (&Options{Address: address, TLS: &TLS{CA: file("ca")}}).Connect(); err == nil || !strings.Contains(err.Error(), "no certificate") {
		t.Errorf("who begins with such a file gets %v", err)
	}
}

func TestASentinelWithAPasswordKnowsTheMaster(t *testing.T) {
	master := redistest.Start(t)
	_, port, _ := net.SplitHostPort(master.Address)
	replica := redistest.Start(t, "--replicaof", "127.0.0.1 "+port)
	sentinel := redistest.Sentinel(t, "main", master, "user gateway on >watch ~* &* +@all", "requirepass guard")
	file := filepath.Join(t.TempDir(), "password")
	write(t, file, "watch\n")
	o := &Options{Sentinel: &Sentinel{
		Master: "main", Address: []string{sentinel.Address}, Username: "gateway", Password: "{file." + file + "}",
	}}
	before := o.Identity()
	client := connect(t, o)
	answers(t, client)
	if err := client.Set(t.Context(), "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	own := replica.Client()
	defer own.Close()
	for end := time.Now().Add(10 * time.Second); own.Get(t.Context(), "k").Val() != "v"; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the replica has nothing of the master")
		}
	}
	watcher := goredis.NewSentinelClient(&goredis.Options{Addr: sentinel.Address, Username: "gateway", Password: "watch", DisableIdentity: true})
	defer watcher.Close()
	for end := time.Now().Add(20 * time.Second); len(watcher.Replicas(t.Context(), "main").Val()) == 0; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the sentinel does not see the replica")
		}
	}
	master.Kill()
	killed := time.Now()
	for end := time.Now().Add(30 * time.Second); client.Set(t.Context(), "k", "w", 0).Err() != nil; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("nobody has become the master")
		}
	}
	t.Logf("the replica is the master %v after the master was killed", time.Since(killed))
	if got := own.Get(t.Context(), "k").Val(); got != "w" {
		t.Errorf("the replica has %q, want what was written last", got)
	}

	write(t, file, "wrong\n")
	if o.Identity() == before {
		t.Error("another password for the sentinels makes no other client")
	}
	stranger := connect(t, o)
	if err := stranger.Ping(t.Context()).Err(); err == nil {
		t.Error("a sentinel answers to a wrong password")
	}
}
