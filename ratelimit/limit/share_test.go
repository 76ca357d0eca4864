package limit

import (
	"testing"
	"time"
)

func TestShare(t *testing.T) {
	for _, test := range []struct {
		name     string
		whole    Policy
		gateways int
		want     Policy
	}{
		{
			"one gateway has all of it",
			Policy{Interval: time.Second, Burst: 10, Concurrency: 7, PerClient: 3}, 1,
			Policy{Interval: time.Second, Burst: 10, Concurrency: 7, PerClient: 3},
		},
		{
			"three gateways have a third each, rounded down",
			Policy{Interval: time.Second, Burst: 10, Concurrency: 200, PerClient: 20}, 3,
			Policy{Interval: 3 * time.Second, Burst: 3, Concurrency: 66, PerClient: 6},
		},
		{
			"nobody is closed",
			Policy{Interval: time.Second, Burst: 1, Concurrency: 2, PerClient: 1}, 5,
			Policy{Interval: 5 * time.Second, Burst: 1, Concurrency: 1, PerClient: 1},
		},
		{"what is unlimited stays so", Policy{Burst: 1}, 3, Policy{Burst: 1}},
		{"when no gateway is known there is this one", Policy{Interval: 1, Burst: 4}, 0, Policy{Interval: 1, Burst: 4}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := test.whole.Share(test.gateways)
			if got.Interval != test.want.Interval || got.Burst != test.want.Burst ||
				got.Concurrency != test.want.Concurrency || got.PerClient != test.want.PerClient {
				t.Errorf("%+v, want %+v", *got, test.want)
			}
		})
	}
}
