package ratelimit

import (
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

func parse(input string) (*Throttle, error) {
	throttle := new(Throttle)
	return throttle, throttle.UnmarshalCaddyfile(caddyfile.NewTestDispenser(input))
}

func TestCaddyfile(t *testing.T) {
	for _, test := range []struct{ name, input, want string }{
		{"no option is needed", "ip_throttle", `{}`},
		{"an empty block is no options", "ip_throttle {\n}", `{}`},
		{"every option has a JSON twin of its name", `ip_throttle {
			rate           5/s
			burst          10
			penalty        3 10m
			penalty_window 15 20m
			penalty_status 401 403
			concurrency    200
			per_client     7
			queue          50 5s
			key            {http.auth.user.id}
			ipv4_prefix    24
			ipv6_prefix    56
			exempt         10.0.0.0/8 2001:db8::1
			max_clients    5000
			zone           chat
			store redis {
				address 127.0.0.1:6379
			}
			on_store_failure refuse
			gateways        3
		}`, `{"rate":"5/s","burst":10,"penalty":{"errors":3,"duration":600000000000},` +
			`"penalty_window":{"errors":15,"duration":1200000000000},"penalty_status":[401,403],` +
			`"concurrency":200,"per_client":7,"queue":{"places":50,"wait":5000000000},"key":"{http.auth.user.id}","ipv4_prefix":24,"ipv6_prefix":56,"exempt":["10.0.0.0/8","2001:db8::1"],` +
			`"max_clients":5000,"zone":"chat","redis":{"address":"127.0.0.1:6379"},"on_store_failure":"refuse","gateways":3}`},
		{"days are a duration", "ip_throttle {\n penalty 1 1d\n}", `{"penalty":{"errors":1,"duration":86400000000000}}`},
		{"the widest and the narrowest prefixes", "ip_throttle {\n ipv4_prefix 8\n ipv6_prefix 128\n}",
			`{"ipv4_prefix":8,"ipv6_prefix":128}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			throttle, err := parse(test.input)
			if err != nil {
				t.Fatal(err)
			}
			got, err := json.Marshal(throttle)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != test.want {
				t.Errorf("JSON is\n%s, want\n%s", got, test.want)
			}
		})
	}
}

func TestCaddyfileRefuses(t *testing.T) {
	for _, test := range []struct{ name, options, want string }{
		{"an unknown option", "bursts 10", "bursts"},
		{"an option in capitals", "Rate 5/s", "Rate"},
		{"an option twice", "rate 5/s\nrate 6/s", "twice"},
		{"an option twice with the same value", "zone a\nzone a", "twice"},

		{"rate without value", "rate", ""},
		{"rate with an empty value, which would be no limit", `rate ""`, "rate"},
		{"rate with two values", "rate 5 s", ""},
		{"rate zero", "rate 0/s", "0/s"},
		{"rate negative", "rate -1/s", "-1/s"},
		{"rate absurd", "rate 1000001/s", "1000001/s"},
		{"rate in an unknown unit", "rate 5/d", "5/d"},

		{"burst without rate", "burst 10", "rate"},
		{"burst without value", "rate 5/s\nburst", ""},
		{"burst zero", "rate 5/s\nburst 0", "burst"},
		{"burst negative", "rate 5/s\nburst -1", "burst"},
		{"burst a fraction", "rate 5/s\nburst 1.5", "burst"},
		{"burst absurd", "rate 5/s\nburst 1000001", "burst"},
		{"burst overflowing", "rate 5/s\nburst 99999999999999999999", "burst"},

		{"penalty without values", "penalty", ""},
		{"penalty without duration", "penalty 3", ""},
		{"penalty with a value too many", "penalty 3 10m 5m", ""},
		{"penalty in the wrong order", "penalty 10m 3", "10m"},
		{"penalty after no error", "penalty 0 10m", "penalty"},
		{"penalty after a negative number of errors", "penalty -3 10m", "penalty"},
		{"penalty for no time", "penalty 3 0s", "penalty"},
		{"penalty for negative time", "penalty 3 -10m", "penalty"},
		{"penalty for a bare number", "penalty 3 10", "duration"},
		{"penalty so long that the clock overflows", "penalty 3 2562047h", "penalty"},
		{"penalty after so many errors that it never comes", "penalty 2147483648 10m", "penalty"},

		{"penalty_window without values", "penalty_window", ""},
		{"penalty_window without time", "penalty_window 15", ""},
		{"penalty_window for no error", "penalty_window 0 10m", "penalty_window"},
		{"penalty_window for more errors than are remembered", "penalty_window 101 10m", "100"},
		{"penalty_window for no time", "penalty_window 15 0s", "penalty_window"},
		{"penalty_window for more than a day", "penalty_window 15 25h", "24h"},
		{"penalty_window twice", "penalty_window 15 10m\npenalty_window 15 10m", "twice"},

		{"queue without values", "queue", ""},
		{"queue without time", "queue 100", ""},
		{"queue with a value too many", "queue 100 5s 6s", ""},
		{"queue of no places", "queue 0 5s", "queue"},
		{"queue of negative places", "queue -1 5s", "queue"},
		{"queue of absurdly many places", "queue 1000001 5s", "queue"},
		{"queue in words", "queue many 5s", "many"},
		{"queue for no time", "queue 100 0s", "queue"},
		{"queue for negative time", "queue 100 -5s", "queue"},
		{"queue for longer than anybody waits", "queue 100 301s", "5m"},
		{"queue for a bare number", "queue 100 5", "duration"},
		{"queue twice", "queue 100 5s\nqueue 100 5s", "twice"},

		{"key without value", "key", ""},
		{"key empty", `key ""`, "key"},
		{"key that is the same for everybody", "key user", "placeholder"},
		{"key of two values", "key {http.auth.user.id} {http.request.host}", ""},
		{"key with something after it", "key {http.auth.user.id}x", "placeholder"},
		{"key that is no placeholder but looks like one", "key {}", "placeholder"},
		{"key of two placeholders", "key {http.auth.user.id}{http.request.host}", "placeholder"},

		{"penalty_status without value", "penalty_status", ""},
		{"penalty_status in words", "penalty_status 4xx", "4xx"},
		{"penalty_status for a success", "penalty_status 200", "200"},
		{"penalty_status below 4xx", "penalty_status 399", "399"},
		{"penalty_status for the refusal of speed", "penalty_status 401 429", "429"},
		{"penalty_status for clients that left", "penalty_status 499", "499"},
		{"penalty_status for our own faults", "penalty_status 500", "500"},

		{"concurrency without value", "concurrency", ""},
		{"concurrency zero", "concurrency 0", "concurrency"},
		{"concurrency negative", "concurrency -5", "concurrency"},
		{"concurrency absurd", "concurrency 9223372036854775807", "concurrency"},
		{"per_client zero", "per_client 0", "per_client"},
		{"per_client negative", "per_client -5", "per_client"},
		{"per_client absurd", "per_client 9223372036854775807", "per_client"},
		{"max_clients zero", "max_clients 0", "max_clients"},
		{"max_clients negative", "max_clients -5", "max_clients"},
		{"max_clients absurd, which bounds no memory", "max_clients 9223372036854775807", "max_clients"},

		{"ipv4_prefix zero, which makes one client of all", "ipv4_prefix 0", "ipv4_prefix"},
		{"ipv4_prefix too wide", "ipv4_prefix 7", "ipv4_prefix"},
		{"ipv4_prefix too narrow", "ipv4_prefix 33", "ipv4_prefix"},
		{"ipv6_prefix zero, which makes one client of all", "ipv6_prefix 0", "ipv6_prefix"},
		{"ipv6_prefix too wide", "ipv6_prefix 15", "ipv6_prefix"},
		{"ipv6_prefix too narrow", "ipv6_prefix 129", "ipv6_prefix"},

		{"exempt without value", "exempt", ""},
		{"exempt in words", "exempt localhost", "localhost"},
		{"exempt with too many bits", "exempt 10.0.0.0/33", "10.0.0.0/33"},
		{"exempt with one bad network among good ones", "exempt 10.0.0.0/8 10.0.0.256", "10.0.0.256"},
		{"zone without value", "zone", ""},
		{"zone with two names", "zone a b", ""},
		{"zone with an empty name", `zone ""`, "zone"},
		{"zone with a space", `zone "a b"`, "zone"},
		{"zone that is a path", "zone a/b", "a/b"},
		{"zone with a letter that is not plain", "zone ü", "zone"},
		{"zone with a control character", "zone \"a\x01\"", "zone"},
		{"zone with a line break at the end", "zone \"a\n\"", "zone"},
		{"zone with a name of 65 characters", "zone " + strings.Repeat("a", 65), "zone"},
		{"zone by a placeholder", "zone {http.request.host}", "zone"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := parse("ip_throttle {\n" + test.options + "\n}")
			if err == nil {
				t.Fatal("it is accepted")
			}
			if text := err.Error(); !strings.Contains(text, "Testfile:") || !strings.Contains(text, test.want) {
				t.Errorf("the error names not file, line and %q: %v", test.want, text)
			}
		})
	}
}

// Else an option could be added that a Caddyfile cannot say, or no test knows.
func TestEveryOptionIsInTheCaddyfile(t *testing.T) {
	source, err := os.ReadFile("caddyfile_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for field := range reflect.TypeFor[Throttle]().Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name != "" && !strings.Contains(string(source), `"`+name+`":`) {
			t.Errorf("no test says what %s is in a Caddyfile", name)
		}
	}
}

func TestLongestZoneName(t *testing.T) {
	name := "AZaz09._-" + strings.Repeat("x", 55)
	if throttle, err := parse("ip_throttle {\n zone " + name + "\n}"); err != nil || throttle.Zone != name {
		t.Errorf("a name of 64 characters gives %q, %v", throttle.Zone, err)
	}
}

func TestCaddyfileErrorsNameTheLine(t *testing.T) {
	for _, test := range []struct{ name, input, want string }{
		{"an argument of the directive", "ip_throttle 5/s", "Testfile:1"},
		{"an unknown option", "ip_throttle {\n rate 5/s\n speed 6\n}", "Testfile:3"},
		{"a duplicate", "ip_throttle {\n rate 5/s\n burst 2\n rate 6/s\n}", "Testfile:4"},
		{"a bad value", "ip_throttle {\n rate 5/s\n burst 0\n}", "Testfile:3"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := parse(test.input)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error is %v, want it to name %s", err, test.want)
			}
		})
	}
}

// What the Caddyfile cannot say, JSON can.
func TestJSONRefuses(t *testing.T) {
	for _, test := range []struct{ name, config, want string }{
		{"a negative burst", `{"rate":"5/s","burst":-1}`, "burst"},
		{"a negative concurrency", `{"concurrency":-1}`, "concurrency"},
		{"a negative per_client", `{"per_client":-1}`, "per_client"},
		{"a negative max_clients", `{"max_clients":-1}`, "max_clients"},
		{"a negative prefix", `{"ipv4_prefix":-1}`, "ipv4_prefix"},
		{"a penalty without its numbers", `{"penalty":{}}`, "penalty"},
		{"a penalty for negative time", `{"penalty":{"errors":3,"duration":-1}}`, "penalty"},
		{"a penalty for 429", `{"penalty_status":[429]}`, "429"},
		{"an exempt network that is none", `{"exempt":["10.0.0.0/8",""]}`, "exempt"},
		{"an unknown option", `{"bursts":1}`, "bursts"},
		{"a penalty_window without its numbers", `{"penalty_window":{}}`, "penalty_window"},
		{"a queue without its numbers", `{"queue":{}}`, "queue"},
		{"a queue with negative places", `{"queue":{"places":-1,"wait":1000000000}}`, "queue"},
		{"a key that is no placeholder", `{"key":"user"}`, "key"},
		{"a zone that is a path", `{"zone":"../x"}`, "zone"},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx := newContext(t)
			_, err := ctx.LoadModuleByID("http.handlers.ip_throttle", []byte(test.config))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error is %v, want it to name %q", err, test.want)
			}
			if uses, exists := zones.References("default"); exists {
				t.Errorf("the configuration was refused, and its zone is used %d times", uses)
			}
		})
	}
}
