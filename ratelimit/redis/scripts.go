package redis

import (
	_ "embed"

	goredis "github.com/redis/go-redis/v9"
)

//go:embed lua/admit.lua
var admitLua string

//go:embed lua/refund.lua
var refundLua string

//go:embed lua/release.lua
var releaseLua string

//go:embed lua/block.lua
var blockLua string

//go:embed lua/unblock.lua
var unblockLua string

//go:embed lua/blocks.lua
var blocksLua string

//go:embed lua/beat.lua
var beatLua string

//go:embed lua/merge.lua
var mergeLua string

// The scripts, each of which is one round trip and happens as a whole.
var (
	admitScript   = goredis.NewScript(admitLua)
	refundScript  = goredis.NewScript(refundLua)
	releaseScript = goredis.NewScript(releaseLua)
	blockScript   = goredis.NewScript(blockLua)
	unblockScript = goredis.NewScript(unblockLua)
	blocksScript  = goredis.NewScript(blocksLua)
	beatScript    = goredis.NewScript(beatLua)
	mergeScript   = goredis.NewScript(mergeLua)
)
