package webhook

import (
	"fmt"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/gateway18789/caddy-ollama/auditlog/webhook/courier"
)

// receivers are those that any configuration has, by their URLs. So a queue outlives its
// configuration if the next has the same receiver.
var receivers = caddy.NewUsagePool()

// newClient makes the client of a receiver. Tests put their own in place.
var newClient = courier.NewClient

// receiver is one that alarms are sent to.
type receiver struct {
	courier *courier.Courier
	full    atomic.Bool // an alarm was dropped, and that has been told

	mu sync.Mutex
	// holders are handlers of configurations, the oldest first. Its options are in force: a
	// configuration that comes counts when the one before is gone.
	holders []*Webhook
	last    *Webhook // of which the options stay when all are gone
}

// join makes the handler one of the receiver's.
func (w *Webhook) join() error {
	joined, _, err := receivers.LoadOrNew(w.options.url, func() (caddy.Destructor, error) {
		r := &receiver{last: w}
		r.courier = courier.New(w.options.url, newClient(), r.options, r)
		return r, nil
	})
	if err != nil {
		return err
	}
	w.joined = joined.(*receiver)
	return w.joined.add(w)
}

func (r *receiver) add(w *Webhook) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, other := range r.holders {
		if other.options.configuration == w.options.configuration && !reflect.DeepEqual(other.options.Options, w.options.Options) {
			return fmt.Errorf("webhook%s: it sends to the same URL of %s as another%s, with different options: give both the same header, timeout, queue and retry",
				w.at(), w.options.host, other.at())
		}
	}
	r.holders = append(r.holders, w)
	r.last = r.holders[0]
	return nil
}

func (r *receiver) leave(w *Webhook) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.holders = slices.DeleteFunc(r.holders, func(other *Webhook) bool { return other == w })
	if len(r.holders) > 0 {
		r.last = r.holders[0]
	}
}

// inForce is the handler whose options and logger count.
func (r *receiver) inForce() *Webhook {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}

func (r *receiver) options() courier.Options { return r.inForce().options.Options }

// Destruct implements caddy.Destructor.
func (r *receiver) Destruct() error {
	r.courier.Stop(farewell)
	return nil
}

// Delivered implements courier.Report, as do the methods below.
func (r *receiver) Delivered() {
	deliveriesTotal.WithLabelValues(resultDelivered).Inc()
	r.full.Store(false)
}

// Failed is told with an alarm's name only: what it says has been told by the log already.
func (r *receiver) Failed(event string, err error) {
	deliveriesTotal.WithLabelValues(resultFailed).Inc()
	w := r.inForce()
	w.logger.Error("an alarm is given up", zap.String("event", event), zap.String("receiver", w.options.host), zap.Error(err))
}

// Dropped is told once, until one is delivered again.
func (r *receiver) Dropped(event string) {
	deliveriesTotal.WithLabelValues(resultDropped).Inc()
	if w := r.inForce(); !r.full.Swap(true) {
		w.logger.Error("alarms are dropped: too many wait", zap.String("event", event),
			zap.String("receiver", w.options.host), zap.Int("queue", w.options.Queue))
	}
}

func (r *receiver) Trouble(err error) {
	w := r.inForce()
	if err == nil {
		w.logger.Info("alarms are delivered again", zap.String("receiver", w.options.host))
	} else {
		w.logger.Warn("alarms cannot be delivered", zap.String("receiver", w.options.host), zap.Error(err))
	}
}

// Interface guards
var (
	_ caddy.Destructor = (*receiver)(nil)
	_ courier.Report   = (*receiver)(nil)
)
