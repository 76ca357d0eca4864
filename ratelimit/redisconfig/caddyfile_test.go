package redisconfig

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

func parse(text string) (*Options, error) {
	d := caddyfile.NewTestDispenser(text)
	d.Next()
	return Unmarshal(d, d.RemainingArgs())
}

func TestUnmarshal(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"memory is no options", "store memory", `null`},
		{"an address", "store redis {\n address 10.0.0.7:6379\n}", `{"address":"10.0.0.7:6379"}`},
		{
			"everything", "store redis {\n sentinel main a:1 b:2\n username u\n password {file.p}\n tls {\n ca c\n server_name n\n}\n prefix p\n timeout 20ms\n}",
			`{"sentinel":{"master":"main","address":["a:1","b:2"]},"username":"u","password":"{file.p}","tls":{"ca":"c","server_name":"n"},"prefix":"p","timeout":20000000}`,
		},
		{
			"sentinels that ask who we are", "store redis {\n sentinel main a:1 {\n username u\n password p\n }\n}",
			`{"sentinel":{"master":"main","address":["a:1"],"username":"u","password":"p"}}`,
		},
		{"a cluster, encrypted", "store redis {\n cluster a:1 b:1\n tls\n}", `{"cluster":["a:1","b:1"],"tls":{}}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			o, err := parse(test.text)
			if err != nil {
				t.Fatal(err)
			}
			if got, _ := json.Marshal(o); string(got) != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}

func TestUnmarshalRefuses(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"another store", "store sqlite", "memory, or redis"},
		{"memory with options", "store memory {\n address a:1\n}", "takes no block"},
		{"no address", "store redis {\n prefix p\n}", "one of address, sentinel and cluster"},
		{"two ways", "store redis {\n address a:1\n cluster b:1\n}", "one of address, sentinel and cluster"},
		{"no port", "store redis {\n address a\n}", "is no address"},
		{"an option twice", "store redis {\n address a:1\n address b:1\n}", "given twice"},
		{"a sentinel's user without a password", "store redis {\n sentinel main a:1 {\n username u\n }\n}", "sentinel: username without password"},
		{"an unknown option of the sentinels", "store redis {\n sentinel main a:1 {\n pasword p\n }\n}", "unrecognized option"},
		{"a sentinel's option twice", "store redis {\n sentinel main a:1 {\n password p\n password q\n }\n}", "given twice"},
		{"an empty option of tls", "store redis {\n address a:1\n tls {\n ca \"\"\n }\n}", "takes one value"},
		{"an unknown option", "store redis {\n adress a:1\n}", "unrecognized option"},
		{"an unknown option of tls", "store redis {\n address a:1\n tls {\n insecure on\n}\n}", "unrecognized option"},
		{"a timeout of nothing", "store redis {\n address a:1\n timeout 0s\n}", "timeout"},
		{"a timeout beyond reason", "store redis {\n address a:1\n timeout 1h\n}", "timeout"},
		{"a prefix with braces", "store redis {\n address a:1\n prefix a}b\n}", "prefix"},
		{"a user without password", "store redis {\n address a:1\n username u\n}", "without password"},
		{"a certificate without key", "store redis {\n address a:1\n tls {\n certificate c\n}\n}", "both certificate and key"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := parse(test.text); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one about %q", err, test.want)
			} else if !strings.Contains(err.Error(), "Testfile:") {
				t.Errorf("error %q names no file and line", err)
			}
		})
	}
}

func TestASecretWithBlanksIsNotRepeated(t *testing.T) {
	for _, text := range []string{
		"store redis {\n address a:1\n password hunter2 hunter3\n}",
		"store redis {\n sentinel main a:1 {\n password hunter2 hunter3\n }\n}",
	} {
		if _, err := parse(text); err == nil || strings.Contains(err.Error(), "hunter") {
			t.Errorf("error %v", err)
		}
	}
}

func TestConnectNeedsItsSecretsAndNotRedis(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	o := Options{Address: "127.0.0.1:1", Password: "{file." + file + "}"}
	if _, err := o.Connect(); err == nil {
		t.Error("the password's file is missing, and nobody says so")
	}
	if err := os.WriteFile(file, []byte("hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	client, err := o.Connect()
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if took := time.Since(began); took > time.Second {
		t.Errorf("connecting took %v without Redis", took)
	}
	if strings.Contains(o.Identity(), "hunter") {
		t.Error("the password is told")
	}
}

func TestLiteral(t *testing.T) {
	for _, test := range []struct {
		name    string
		options Options
		want    bool
	}{
		{"no password", Options{}, false},
		{"a password", Options{Password: "hunter2"}, true},
		{"a file", Options{Password: "{file./etc/password}"}, false},
		{"a password for the sentinels", Options{Password: "{env.P}", Sentinel: &Sentinel{Password: "hunter2"}}, true},
		{"a file for the sentinels", Options{Sentinel: &Sentinel{Password: "{file./etc/password}"}}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := test.options.Literal(); got != test.want {
				t.Errorf("%v, want %v", got, test.want)
			}
		})
	}
}
