package redis

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/gateway18789/caddy-ollama/ratelimit/limit"
)

// Blocks are in Redis, and each gateway knows them as well: so they hold when Redis
// is gone, and nobody needs to ask for them to count them.

// Block implements limit.Store.
func (z *Zone) Block(who limit.Client, length time.Duration) limit.Block {
	if !z.down.Load() {
		block, err := z.writeBlock(limit.Block{Client: who, Cause: limit.ByHand, Repeats: -1}, 0, length, false)
		if err == nil && block != nil {
			z.mirror(*block)
			return *block
		}
		z.fail(err)
	}
	return z.local.Block(who, length)
}

// writeBlock writes a block down in Redis. It returns nil if one that ends later
// is kept.
func (z *Zone) writeBlock(b limit.Block, since, until time.Duration, keepLater bool) (*limit.Block, error) {
	ctx, cancel := z.deadline()
	defer cancel()
	keep := 0
	if keepLater {
		keep = 1
	}
	reply, err := blockScript.Run(ctx, z.config.Client, z.blockKeys(b.Client.Key),
		string(b.Client.Key[:]), b.Client.Name, micros(since), micros(until), string(b.Cause), b.Repeats,
		micros(limit.RepeatedWithin), keep).Slice()
	if err != nil || len(reply) == 0 {
		return nil, err
	}
	return z.blockOf(b.Client, reply)
}

func (z *Zone) blockKeys(key limit.Key) []string {
	return []string{z.keys.blocks, z.keys.ends, z.keys.version, z.keys.errorsOf(z.keys.alias(key))}
}

// Unblock implements limit.Store.
func (z *Zone) Unblock(key limit.Key) bool {
	lifted := z.local.Unblock(key)
	if !z.down.Load() {
		blocked, err := z.lift(key)
		if err == nil {
			return blocked
		}
		z.fail(err)
	}
	z.outage.lifts.add(key)
	return lifted
}

func (z *Zone) lift(key limit.Key) (bool, error) {
	ctx, cancel := z.deadline()
	defer cancel()
	n, err := unblockScript.Run(ctx, z.config.Client, z.blockKeys(key), string(key[:])).Int()
	return n == 1, err
}

// Blocks implements limit.Store. No request waits for it, and in a flood of blocks it takes
// its time: that it does not come says nothing of how fast Redis decides.
func (z *Zone) Blocks() []limit.Block {
	if !z.down.Load() {
		ctx, cancel := context.WithTimeout(context.Background(), backgroundTimeout)
		defer cancel()
		if blocks, err := z.readBlocks(ctx); err == nil {
			return blocks
		}
	}
	return z.local.Blocks()
}

// BlocksInForce implements limit.Store.
func (z *Zone) BlocksInForce() int { return z.local.BlocksInForce() }

func (z *Zone) readBlocks(ctx context.Context) ([]limit.Block, error) {
	reply, err := blocksScript.Run(ctx, z.config.Client, []string{z.keys.blocks}).StringSlice()
	if err != nil {
		return nil, err
	}
	if len(reply)%2 != 1 {
		return nil, fmt.Errorf("redis returned %d values for blocks", len(reply))
	}
	var blocks []limit.Block
	for i := 1; i < len(reply); i += 2 {
		fields := strings.SplitN(reply[i+1], " ", 5) // as the scripts write it
		if len(reply[i]) != len(limit.Key{}) || len(fields) != 5 {
			return nil, fmt.Errorf("redis has a block that this version cannot read: %q", reply[i+1])
		}
		who := limit.Client{Key: limit.Key([]byte(reply[i])), Name: fields[4]}
		block, err := z.blockOf(who, []any{fields[0], fields[1], fields[3], fields[2], reply[0]})
		if err != nil {
			return nil, err
		}
		if z.config.Clock().Sub(block.Until) < limit.RepeatedWithin {
			blocks = append(blocks, *block)
		}
	}
	return blocks, nil
}

// blockOf reads a block as the scripts return it: beginning, end, cause, repeats and
// the time of Redis. By that its times are told on this gateway's clock.
func (z *Zone) blockOf(who limit.Client, reply []any) (*limit.Block, error) {
	if len(reply) != 5 {
		return nil, fmt.Errorf("redis returned %d values for a block", len(reply))
	}
	var times [5]int64
	for _, i := range []int{0, 1, 3, 4} {
		var err error
		if times[i], err = strconv.ParseInt(fmt.Sprint(reply[i]), 10, 64); err != nil {
			return nil, fmt.Errorf("redis has a block that this version cannot read: %w", err)
		}
	}
	wall := z.config.Clock()
	at := func(t int64) time.Time { return wall.Add(time.Duration(t-times[4]) * time.Microsecond) }
	return &limit.Block{
		Client: who, Since: at(times[0]), Until: at(times[1]),
		Cause: limit.Cause(fmt.Sprint(reply[2])), Repeats: int(times[3]),
	}, nil
}

// mirror notes a block that Redis has.
func (z *Zone) mirror(b limit.Block) {
	z.local.Unblock(b.Client.Key)
	z.local.Restore([]limit.Block{b})
}

// syncBlocks makes what this gateway knows of blocks what Redis has.
func (z *Zone) syncBlocks() error {
	ctx, cancel := context.WithTimeout(context.Background(), backgroundTimeout)
	defer cancel()
	shared, err := z.readBlocks(ctx)
	if err != nil {
		return err
	}
	known := make(map[limit.Key]limit.Block)
	for _, b := range z.local.Blocks() {
		known[b.Client.Key] = b
	}
	for _, b := range shared {
		old, ok := known[b.Client.Key]
		if !ok || b.Until.Sub(old.Until).Abs() > time.Second {
			z.mirror(b)
		}
		delete(known, b.Client.Key)
	}
	for key := range known {
		z.local.Unblock(key)
	}
	return nil
}
