package redis

import (
	"context"
	"maps"
	"math/rand/v2"
	"time"
)

const (
	// beatEvery is how often a gateway says that it lives, and learns of blocks.
	beatEvery = 500 * time.Millisecond
	// probeEvery is how often it looks whether Redis is back.
	probeEvery = 250 * time.Millisecond
	// backgroundTimeout is how long Redis may take where no request waits for it.
	backgroundTimeout = 2 * time.Second
	// renewals is how often a lease is renewed in its time: two may be lost.
	renewals = 4
	// renewAtOnce is how many leases are renewed in one script.
	renewAtOnce = 200
)

// run does what goes on in the background.
func (z *Zone) run() {
	defer close(z.stopped)
	var renewed time.Time
	stopping := z.stopping
	for {
		renew := time.Since(renewed) > z.config.Lease/renewals
		if err := z.tick(renew); err == nil && renew {
			renewed = time.Now()
		}
		pause := beatEvery
		if z.down.Load() {
			pause = probeEvery/2 + rand.N(probeEvery)
		}
		timer := time.NewTimer(pause)
		select {
		case <-stopping:
			stopping = nil // and on, while requests are in flight
		case <-timer.C:
		}
		timer.Stop()
		if stopping == nil && z.leases.len() == 0 {
			z.leave()
			return
		}
	}
}

// tick says that this gateway lives, and looks for what has changed.
func (z *Zone) tick(renew bool) error {
	if z.down.Load() {
		return z.probe()
	}
	ctx, cancel := context.WithTimeout(context.Background(), max(backgroundTimeout, z.config.Timeout))
	defer cancel()
	var held map[string]string
	if renew {
		held = z.leases.all()
	}
	b, err := z.beat(ctx, held)
	if err == nil && z.joined && !b.known {
		err = errForgotten // and come back between two beats
		z.forgotten = true
	}
	if err == nil {
		if !z.joined && !z.down.Load() && z.config.Met != nil {
			z.config.Met()
		}
		z.joined = true
		z.gateways.Store(b.gateways)
		if b.version != z.version {
			if err = z.syncBlocks(); err == nil {
				z.version = b.version
			}
		}
	}
	if err == nil {
		err = z.tellLate(ctx)
	}
	if err != nil {
		z.fail(err)
	}
	return err
}

// probe looks whether Redis answers as fast as a request needs it to.
func (z *Zone) probe() error {
	ctx, cancel := z.deadline()
	err := z.config.Client.Ping(ctx).Err()
	cancel()
	if err != nil {
		return err
	}
	ctx, cancel = context.WithTimeout(context.Background(), backgroundTimeout)
	defer cancel()
	return z.merge(ctx)
}

// beaten is what Redis answers to a beat.
type beaten struct {
	gateways int64 // that live
	version  int64 // of the blocks
	known    bool  // Redis had heard of this gateway
}

// beat says that this gateway lives, and renews the leases given.
func (z *Zone) beat(ctx context.Context, held map[string]string) (b beaten, err error) {
	keys := []string{z.keys.gateways, z.keys.version, z.keys.leases}
	arguments := []any{string(z.gateway[:]), micros(z.config.Lease)}
	first := true
	send := func() error {
		reply, err := numbers(beatScript.Run(ctx, z.config.Client, keys, arguments...), 3)
		if err == nil {
			b = beaten{reply[0], reply[1], b.known || first && reply[2] == 1}
			first = false
		}
		keys, arguments = keys[:3], arguments[:2]
		return err
	}
	for lease, alias := range held {
		keys, arguments = append(keys, z.keys.leasesOf(alias)), append(arguments, lease)
		if len(arguments) >= renewAtOnce {
			if err := send(); err != nil {
				return b, err
			}
		}
	}
	err = send()
	if len(held) > 0 {
		z.unrenew(held)
	}
	return b, err
}

// unrenew ends the leases whose requests ended while they were renewed.
func (z *Zone) unrenew(renewed map[string]string) {
	held := z.leases.all()
	for lease, alias := range renewed {
		if _, still := held[lease]; !still {
			z.outage.endings.add(&ending{alias: alias, lease: lease, policy: nobody})
		}
	}
	_ = z.outage.endings.tell(z.tellEnding) // or the next time
}

// leave takes this gateway off the list.
func (z *Zone) leave() {
	ctx, cancel := z.deadline()
	defer cancel()
	_ = z.config.Client.ZRem(ctx, z.keys.gateways, string(z.gateway[:])).Err() // else it lapses
}

func (l *leases) all() map[string]string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.held)
}
