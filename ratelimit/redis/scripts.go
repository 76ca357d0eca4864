package redis

import (
	_ "embed"

	goredis "github.com/redis/go-redis/v9"
)

//go:embed lua/begin.lua
var beginLua string

//go:embed lua/write.lua
var writeLua string

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
	admitScript   = goredis.NewScript(beginLua + admitLua)
	refundScript  = goredis.NewScript(beginLua + refundLua)
	releaseScript = goredis.NewScript(beginLua + writeLua + releaseLua)
	blockScript   = goredis.NewScript(beginLua + writeLua + blockLua)
	unblockScript = goredis.NewScript(beginLua + unblockLua)
	blocksScript  = goredis.NewScript(beginLua + blocksLua)
	beatScript    = goredis.NewScript(beginLua + beatLua)
	mergeScript   = goredis.NewScript(beginLua + mergeLua)
)
