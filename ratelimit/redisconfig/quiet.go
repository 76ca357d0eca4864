package redisconfig

import (
	"context"
	"sync"

	goredis "github.com/redis/go-redis/v9"
)

// quiet keeps the client from writing to standard error, past Caddy's logs: whoever
// uses it tells of what fails.
var quiet = sync.OnceFunc(func() { goredis.SetLogger(silence{}) })

type silence struct{}

// Printf implements the client's idea of a logger.
func (silence) Printf(context.Context, string, ...any) {}
