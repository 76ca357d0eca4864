package redis

import (
	"context"
	"fmt"
	"strconv"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/gateway18789/caddy-ollama/ratelimit/limit"
)

// answer is what Redis says of a request.
type answer struct {
	reason limit.Reason
	wait   time.Duration
	due    time.Duration
	place  limit.Key // under which the request counts
	now    int64     // of Redis, in microseconds
}

var reasons = [...]limit.Reason{0, limit.RateLimited, limit.Blocked, limit.OverCapacity, limit.ClientOverCapacity}

// ask asks Redis to admit a request. See admit.lua for what.
func (z *Zone) ask(who limit.Client, p *limit.Policy, lease, what string) (answer, error) {
	candidates := [...]limit.Key{who.Key, who.Key.Neighbours(), limit.Everyone()}
	var aliases [3]string
	for i, key := range candidates {
		aliases[i] = z.keys.alias(key)
	}
	ctx, cancel := z.deadline()
	defer cancel()
	reply, err := numbers(admitScript.Run(ctx, z.config.Client,
		[]string{
			z.keys.blocks, z.keys.rates, z.keys.leases,
			z.keys.leasesOf(aliases[0]), z.keys.leasesOf(aliases[1]), z.keys.leasesOf(aliases[2]),
		},
		string(who.Key[:]), aliases[0], aliases[1], aliases[2], micros(p.Interval), p.Burst, p.Concurrency, p.PerClient,
		places(p), lease, micros(z.config.Lease), what,
	), 5)
	if err != nil {
		return answer{}, err
	}
	if reply[0] < 0 || reply[0] >= int64(len(reasons)) || reply[3] < 1 || reply[3] > 3 {
		return answer{}, fmt.Errorf("redis gave no verdict: %v", reply)
	}
	return answer{
		reason: reasons[reply[0]],
		wait:   time.Duration(reply[1]) * time.Microsecond,
		due:    time.Duration(reply[2]) * time.Microsecond,
		place:  candidates[reply[3]-1],
		now:    reply[4],
	}, nil
}

func (z *Zone) deadline() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), z.config.Timeout)
}

// numbers reads the n whole numbers that a script returns.
func numbers(cmd *goredis.Cmd, n int) ([]int64, error) {
	values, err := cmd.Slice()
	if err != nil {
		return nil, err
	}
	if len(values) != n {
		return nil, fmt.Errorf("redis returned %d values, want %d", len(values), n)
	}
	all := make([]int64, n)
	for i, value := range values {
		switch v := value.(type) {
		case int64:
			all[i] = v
		case string:
			if all[i], err = strconv.ParseInt(v, 10, 64); err != nil {
				return nil, fmt.Errorf("redis returned %q where a number belongs", v)
			}
		default:
			return nil, fmt.Errorf("redis returned %T where a number belongs", value)
		}
	}
	return all, nil
}
