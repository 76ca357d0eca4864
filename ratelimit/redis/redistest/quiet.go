package redistest

import (
	"context"

	goredis "github.com/redis/go-redis/v9"
)

// The tests kill servers, of which the client would write a line for each try.
func init() { goredis.SetLogger(silence{}) }

type silence struct{}

// Printf implements the client's idea of a logger.
func (silence) Printf(context.Context, string, ...any) {}
