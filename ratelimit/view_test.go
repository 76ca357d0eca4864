package ratelimit

import (
	"errors"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
)

func TestZonesAreListedWithTheirLimits(t *testing.T) {
	ctx := newContext(t)
	load(t, ctx, `{"rate":"5/s","burst":10,"concurrency":200,"queue":{"places":7,"wait":"5s"},"zone":"b"}`)
	other := load(t, ctx, `{"rate":"1/m","zone":"a"}`)
	other.zone.Block(addressClient("192.0.2.1"), time.Hour)
	want := []ListedZone{
		{Zone: "a", Blocked: 1, Clients: other.zone.Clients(), Rate: "1/m", Burst: 1, PerClient: 20},
		{Zone: "b", Concurrency: 200, Places: 7, Rate: "5/s", Burst: 10, PerClient: 20},
	}
	got := Zones()
	if len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestUnblockWithoutTheAdminAPI(t *testing.T) {
	throttle := load(t, newContext(t), usual)
	throttle.zone.Block(addressClient("192.0.2.1"), time.Hour)
	if err := Unblock("", "192.0.2.1"); err != nil {
		t.Error(err)
	}
	for _, test := range []struct {
		name, zone, client string
		status             int
	}{
		{"who is not blocked", "", "192.0.2.1", 404},
		{"a zone that is not there", "elsewhere", "192.0.2.1", 404},
		{"who cannot be a client", "", "anna", 400},
	} {
		api, _ := errors.AsType[caddy.APIError](Unblock(test.zone, test.client))
		if api.HTTPStatus != test.status {
			t.Errorf("%s: %+v", test.name, api)
		}
	}
	if blocks := Blocks(""); len(blocks) != 0 {
		t.Errorf("%+v", blocks)
	}
}
