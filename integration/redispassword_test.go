package integration

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gateway18789/caddy-ollama/ratelimit/redis/redistest"
)

// README, "Keys": password of Redis. No request is refused for it: were Redis lost, all of
// them would be, as on_store_failure says here.
func TestThePasswordOfRedisIsRotated(t *testing.T) {
	acl := filepath.Join(t.TempDir(), "users.acl")
	writeFile(t, acl, []byte("user gateway on >the-first resetkeys ~{caddy-ollama:* ~caddy-ollama:jti:* resetchannels -@all +@read +@write +@scripting +@connection +time -@dangerous\n"+
		"user default on nopass ~* &* +@all\n"))
	redis := redistest.Start(t, "--aclfile", acl)
	admin := redis.Client()
	t.Cleanup(func() { admin.Close() })
	do := func(args ...any) string {
		t.Helper()
		text, err := admin.Do(t.Context(), args...).Text()
		if err != nil && !strings.Contains(err.Error(), "unexpected type=int64") {
			t.Fatalf("%v: %v", args, err)
		}
		return text
	}
	connected := func() bool { return strings.Contains(do("CLIENT", "LIST"), "user=gateway") }

	g := prepareGateway(t, scripted(t).Address())
	password := g.file("redis.password")
	writeFile(t, password, []byte("the-first\n"))
	g.change("concurrency 200", "concurrency 200\n on_store_failure refuse\n store redis {\n address "+redis.Address+
		"\n username gateway\n password {file."+password+"}\n timeout 1s\n }")
	g.process = startProcess(t, g.dir, "run", "--config", g.configFile(), "--adapter", "caddyfile")
	g.awaitListening(t, g.address())
	r := g.serveRegulars(g.client, func() string { return tokenFor(t, "bot") })
	r.await()

	do("ACL", "SETUSER", "gateway", ">the-second")
	if err := os.WriteFile(password, []byte("the-second\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.await()
	do("ACL", "SETUSER", "gateway", "<the-first")
	r.await() // over the connections that there are
	// and over new ones, as soon as those are gone; none of them may be in use
	client := g.from("127.0.0.120")
	r.pause(func() {
		do("CLIENT", "KILL", "USER", "gateway")
		await(t, "a connection with the new password", func() error {
			_, err := g.post(client, tokenFor(t, "bot"), chatBody("hello", false))
			if err == nil && !connected() {
				err = errors.New("there is none")
			}
			return err
		})
	})
	r.await()
}
