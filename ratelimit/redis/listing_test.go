package redis

import (
	"context"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/gateway18789/caddy-ollama/ratelimit/limit"
	"github.com/gateway18789/caddy-ollama/ratelimit/redis/redistest"
)

// slowList makes the list of blocks take its time, as that of a flood of blocks does.
type slowList struct{ takes time.Duration }

func (s slowList) DialHook(next goredis.DialHook) goredis.DialHook { return next }

func (s slowList) ProcessPipelineHook(next goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return next
}

func (s slowList) ProcessHook(next goredis.ProcessHook) goredis.ProcessHook {
	return func(ctx context.Context, cmd goredis.Cmder) error {
		if args := cmd.Args(); len(args) > 1 && args[1] == blocksScript.Hash() {
			select {
			case <-time.After(s.takes):
			case <-ctx.Done():
				cmd.SetErr(ctx.Err())
				return ctx.Err()
			}
		}
		return next(ctx, cmd)
	}
}

// Who lists blocks, as the console does every few seconds, may wait longer than a request.
// That Redis is slow at it must not cost the gateways their common store.
func TestAListOfBlocksMayTakeLongerThanARequest(t *testing.T) {
	const timeout = 100 * time.Millisecond
	client := goredis.NewClient(&goredis.Options{
		Addr: redistest.Start(t).Address, MaxRetries: -1, DialerRetries: 1, ContextTimeoutEnabled: true, DisableIdentity: true,
	})
	defer client.Close()
	client.AddHook(slowList{3 * timeout})
	z := New(Config{Client: client, Prefix: "test", Name: t.Name(), Timeout: timeout, OnFailure: Local, Clock: time.Now})
	stopped := make(chan struct{})
	defer func() { <-stopped }()
	defer z.Stop(func() { close(stopped) })

	z.Block(limit.Client{Key: limit.NameKey("anna"), Name: "anna"}, time.Hour)
	if blocks := z.Blocks(); len(blocks) != 1 || blocks[0].Client.Name != "anna" {
		t.Errorf("they are %v", blocks)
	}
	if z.Down() {
		t.Error("Redis is taken for lost")
	}
}
