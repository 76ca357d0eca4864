package ratelimit

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	goredis "github.com/redis/go-redis/v9"

	"github.com/gateway18789/caddy-ollama/ratelimit/redis/redistest"
)

// asJSON is what a Caddyfile says in JSON.
func asJSON(t *testing.T, options string) string {
	t.Helper()
	throttle := new(Throttle)
	if err := throttle.UnmarshalCaddyfile(caddyfile.NewTestDispenser("ip_throttle {\n" + options + "\n}")); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(throttle)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// gatewayACL is what the README tells an operator to allow the gateways.
const gatewayACL = "user gateway on >hunter2 resetkeys ~{caddy-ollama:* ~caddy-ollama:jti:* resetchannels -@all +@read +@write +@scripting +@connection +time -@dangerous"

func TestWaysToRedisOnRedis(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	if err := os.WriteFile(file("password"), []byte("hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for n, test := range []struct {
		name  string
		start func(t *testing.T) (store string, own goredis.UniversalClient)
	}{
		{"an address", func(t *testing.T) (string, goredis.UniversalClient) {
			server := redistest.Start(t)
			return "address " + server.Address, server.Client()
		}},
		{"a user with a password, who may do nothing else", func(t *testing.T) (string, goredis.UniversalClient) {
			acl := file("users.acl")
			if err := os.WriteFile(acl, []byte(gatewayACL+"\nuser default on nopass ~* &* +@all\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			server := redistest.Start(t, "--aclfile", acl)
			return fmt.Sprintf("address %s\n username gateway\n password {file.%s}", server.Address, file("password")), server.Client()
		}},
		{"TLS, with certificates of both sides", func(t *testing.T) (string, goredis.UniversalClient) {
			redistest.Issue(t, file("ca"), file("crt"), file("key"))
			address := redistest.FreeAddress(t)
			_, port, _ := net.SplitHostPort(address)
			server := redistest.Start(t, "--tls-port", port, "--tls-cert-file", file("crt"), "--tls-key-file", file("key"),
				"--tls-ca-cert-file", file("ca"), "--tls-auth-clients", "yes")
			return fmt.Sprintf("address %s\n tls {\n ca %s\n certificate %s\n key %s\n}", address, file("ca"), file("crt"), file("key")), server.Client()
		}},
		{"a cluster, with a user", func(t *testing.T) (string, goredis.UniversalClient) {
			addresses := redistest.Cluster(t)
			cluster := goredis.NewClusterClient(&goredis.ClusterOptions{Addrs: addresses, DisableIdentity: true})
			err := cluster.ForEachShard(t.Context(), func(ctx context.Context, node *goredis.Client) error {
				arguments := []any{"acl", "setuser"}
				for word := range strings.FieldsSeq(strings.TrimPrefix(gatewayACL, "user ") + " +cluster|slots") {
					arguments = append(arguments, word)
				}
				return node.Do(ctx, arguments...).Err()
			})
			if err != nil {
				t.Fatal(err)
			}
			return fmt.Sprintf("cluster %s\n username gateway\n password {file.%s}", strings.Join(addresses, " "), file("password")), cluster
		}},
		{"a sentinel", func(t *testing.T) (string, goredis.UniversalClient) {
			server := redistest.Start(t)
			sentinel := redistest.Sentinel(t, "main", server, "requirepass hunter2")
			return fmt.Sprintf("sentinel main %s {\n password {file.%s}\n}", sentinel.Address, file("password")), server.Client()
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			store, own := test.start(t)
			defer own.Close()
			ctx := newContext(t)
			// of its own, for its metrics count through all: the one before may see its server end
			zone := fmt.Sprintf("way%d", n)
			throttle := load(t, ctx, asJSON(t, "rate 1/h\n burst 2\n penalty 1 1h\n zone "+zone+"\n store redis {\n"+store+"\n timeout 5s\n}"))
			for i, want := range []int{200, 200, 429} {
				if a := ask(throttle, "192.0.2.1", with(200)); a.status != want {
					t.Errorf("request %d: %d, want %d", i, a.status, want)
				}
			}
			ask(throttle, "192.0.2.2", with(401))
			if a := ask(throttle, "192.0.2.2", with(200)); a.status != 403 {
				t.Errorf("a client that is blocked gets %d", a.status)
			}
			if blocks := throttle.zone.Blocks(); len(blocks) != 1 {
				t.Errorf("blocked: %v", blocks)
			}
			if n := own.ZCard(t.Context(), "{caddy-ollama:"+zone+"}r").Val(); n != 2 {
				t.Errorf("Redis knows of %d clients, want 2", n)
			}
			if told := metricsTold(t, ctx, zone); told["store_outages_total"] != 0 {
				t.Errorf("Redis was lost: %v", told)
			}
		})
	}
}

func TestWhatTheUserOfTheGatewaysMayNotDoOnRedis(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if _, rights, _ := strings.Cut(gatewayACL, ">hunter2 "); !strings.Contains(string(readme), rights+"\n") {
		t.Errorf("the README does not say: %s", rights)
	}
	acl := filepath.Join(t.TempDir(), "users.acl")
	if err := os.WriteFile(acl, []byte(gatewayACL+"\nuser default on nopass ~* &* +@all\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	client := goredis.NewClient(&goredis.Options{
		Addr: redistest.Start(t, "--aclfile", acl).Address, Username: "gateway", Password: "hunter2", DisableIdentity: true,
	})
	defer client.Close()
	if err := client.SetNX(t.Context(), "caddy-ollama:jti:1", "", time.Minute).Err(); err != nil {
		t.Errorf("a token cannot be remembered: %v", err)
	}
	for _, command := range []string{"FLUSHALL", "KEYS *", "CONFIG GET *", "GET other", "ACL LIST", "SHUTDOWN"} {
		var arguments []any
		for word := range strings.FieldsSeq(command) {
			arguments = append(arguments, word)
		}
		if err := client.Do(t.Context(), arguments...).Err(); err == nil || !strings.HasPrefix(err.Error(), "NOPERM") {
			t.Errorf("%s: %v, want it not permitted", command, err)
		}
	}
}

// blackHole is an address where a connection is never made nor refused.
func blackHole(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", name.(*syscall.SockaddrInet4).Port)
	for range 10 { // until nobody more gets into its queue
		conn, err := net.DialTimeout("tcp", address, 200*time.Millisecond)
		if err != nil {
			return address
		}
		t.Cleanup(func() { _ = conn.Close() })
	}
	t.Fatal("it is no black hole")
	return ""
}

func TestARedisInABlackHole(t *testing.T) {
	address := blackHole(t)
	began := time.Now()
	throttle := load(t, newContext(t), asJSON(t, "rate 1/h\n burst 3\n zone hole\n store redis {\n address "+address+"\n timeout 200ms\n}"))
	if took := time.Since(began); took > 500*time.Millisecond {
		t.Errorf("loading took %v", took)
	}
	for i, most := range []time.Duration{450 * time.Millisecond, 100 * time.Millisecond, 100 * time.Millisecond} {
		began := time.Now()
		a := ask(throttle, "192.0.2.1", with(200))
		if took := time.Since(began); a.status != 200 || took > most {
			t.Errorf("request %d: %d after %v, want it served within %v", i, a.status, took, most)
		}
	}
}
