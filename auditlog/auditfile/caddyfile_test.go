package auditfile_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/gateway18789/caddy-ollama/auditlog/auditfile"
)

func TestEveryOptionHasItsTwinInJSON(t *testing.T) {
	for _, test := range []struct{ name, caddyfile, want string }{
		{"nothing but a file", "audit_file /var/log/audit.log", `{"filename":"/var/log/audit.log"}`},
		{"all options", `audit_file audit.log {
			roll_size 10MiB
			roll_daily off
			gzip off
			retention 200d
			min_retention 190d
			fsync each
			sign_key /etc/audit.pem
			on_failure continue
		}`, `{"filename":"audit.log","roll_size":10485760,"roll_daily":false,"gzip":false,` +
			`"retention":17280000000000000,"min_retention":16416000000000000,"fsync":"each",` +
			`"sign_key":"/etc/audit.pem","on_failure":"continue"}`},
		{"shipped by TLS", `audit_file a {
			ship logstash.example.com:5044 {
				ca /etc/ca.crt
				certificate /etc/gw.crt /etc/gw.key
			}
			gzip off
		}`, `{"filename":"a","gzip":false,"ship":{"address":"logstash.example.com:5044","ca":"/etc/ca.crt",` +
			`"certificate":"/etc/gw.crt","key":"/etc/gw.key"}}`},
		{"shipped with the system's authorities", "audit_file a {\n ship {env.LOGSTASH}\n}", `{"filename":"a","ship":{"address":"{env.LOGSTASH}"}}`},
		{"shipped in the clear on this host", "audit_file a {\n ship [::1]:5044 {\n plaintext\n }\n}",
			`{"filename":"a","ship":{"address":"[::1]:5044","plaintext":"loopback"}}`},
		{"shipped in the clear anywhere", "audit_file a {\n ship logstash:5044 {\n plaintext anywhere\n }\n}",
			`{"filename":"a","ship":{"address":"logstash:5044","plaintext":"anywhere"}}`},
		{"switched on", "audit_file a {\n roll_daily on\n gzip on\n on_failure refuse\n fsync off\n}",
			`{"filename":"a","roll_daily":true,"gzip":true,"fsync":"off","on_failure":"refuse"}`},
		{"a shorter minimum", "audit_file a {\n min_retention 1d\n retention 2d\n}",
			`{"filename":"a","retention":172800000000000,"min_retention":86400000000000}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			var a auditfile.AuditFile
			if err := a.UnmarshalCaddyfile(caddyfile.NewTestDispenser(test.caddyfile)); err != nil {
				t.Fatal(err)
			}
			got, err := json.Marshal(a)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestWhatMakesNoSenseIsAnErrorWithFileAndLine(t *testing.T) {
	for _, test := range []struct{ name, caddyfile, want string }{
		{"no file", "audit_file", "wrong argument count"},
		{"an empty file", `audit_file ""`, "name a file"},
		{"two files", "audit_file a b", "wrong argument count"},
		{"an option that is none", "audit_file a {\n roll_keep 10\n}", `unrecognized option "roll_keep"`},
		{"an option twice", "audit_file a {\n gzip on\n gzip on\n}", `option "gzip" is given twice`},
		{"an option without a value", "audit_file a {\n gzip\n}", "wrong argument count"},
		{"an option with two", "audit_file a {\n gzip on off\n}", "wrong argument count"},
		{"an empty value", "audit_file a {\n sign_key \"\"\n}", "sign_key is empty"},
		{"no switch", "audit_file a {\n gzip yes\n}", "it must be on or off"},
		{"no size", "audit_file a {\n roll_size big\n}", "give a size"},
		{"too small a size", "audit_file a {\n roll_size 1KiB\n}", "from 64KiB to 4GiB"},
		{"too large a size", "audit_file a {\n roll_size 5GiB\n}", "from 64KiB to 4GiB"},
		{"no time", "audit_file a {\n retention long\n}", "no time to keep a file for"},
		{"a time that is over", "audit_file a {\n retention -1d\n}", "no time to keep a file for"},
		{"shorter than the law allows", "audit_file a {\n retention 179d\n}", "retention 4296h0m0s is shorter than min_retention, 4320h0m0s"},
		{"shorter than the minimum", "audit_file a {\n min_retention 2d\n retention 1d\n}", "is shorter than min_retention"},
		{"no interval", "audit_file a {\n fsync often\n}", "it must be each, off, or an interval"},
		{"too short an interval", "audit_file a {\n fsync 1us\n}", "it must be each, off, or an interval"},
		{"too long an interval", "audit_file a {\n fsync 1h\n}", "it must be each, off, or an interval"},
		{"another failure", "audit_file a {\n on_failure panic\n}", "it must be refuse or continue"},
		{"options where there are none", "audit_file a {\n gzip on {\n x\n }\n}", "Testfile:2"},
		{"shipped to nowhere", "audit_file a {\n ship\n}", "wrong argument count"},
		{"shipped to two", "audit_file a {\n ship a:1 b:1\n}", "wrong argument count"},
		{"shipped to one after the other", "audit_file a {\n ship a:1\n ship b:1\n}", `option "ship" is given twice`},
		{"shipped to no port", "audit_file a {\n ship logstash\n}", "is no host:port"},
		{"shipped to port 0", "audit_file a {\n ship logstash:0\n}", "is no host:port"},
		{"shipped to a port that is none", "audit_file a {\n ship logstash:70000\n}", "is no host:port"},
		{"shipped to no host", "audit_file a {\n ship :5044\n}", "is no host:port"},
		{"an option of ship that is none", "audit_file a {\n ship a:1 {\n tls\n }\n}", `unrecognized option "tls" of ship`},
		{"an option of ship twice", "audit_file a {\n ship a:1 {\n ca b\n ca c\n }\n}", `option "ca" of ship is given twice`},
		{"a certificate without a key", "audit_file a {\n ship a:1 {\n certificate b\n }\n}", "wrong argument count"},
		{"authorities without a file", "audit_file a {\n ship a:1 {\n ca\n }\n}", "wrong argument count"},
		{"shipped in the clear elsewhere", "audit_file a {\n ship 192.0.2.1:5044 {\n plaintext\n }\n}", "in the clear"},
		{"shipped in the clear somehow", "audit_file a {\n ship a:1 {\n plaintext yes\n }\n}", "wrong argument count"},
		{"shipped in the clear with a certificate", "audit_file a {\n ship [::1]:1 {\n plaintext\n ca b\n }\n}", "plaintext has no use for ca"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var a auditfile.AuditFile
			err := a.UnmarshalCaddyfile(caddyfile.NewTestDispenser(test.caddyfile))
			if err == nil {
				t.Fatal("it was accepted")
			}
			if text := err.Error(); !strings.Contains(text, test.want) || !strings.Contains(text, "Testfile:") {
				t.Errorf("got %q, want file, line, and %q", text, test.want)
			}
		})
	}
}

func TestWhatMakesNoSenseIsAnErrorInJSONToo(t *testing.T) {
	for name, options := range map[string]string{
		"a negative size":           `"roll_size":-1`,
		"a negative retention":      `"retention":-1`,
		"a negative minimum":        `"min_retention":-1`,
		"too short a retention":     `"retention":"1d"`,
		"no interval":               `"fsync":"x"`,
		"another failure":           `"on_failure":"x"`,
		"shipped to nowhere":        `"ship":{}`,
		"a key without certificate": `"ship":{"address":"a:1","key":"b"}`,
		"in the clear somehow":      `"ship":{"address":"[::1]:1","plaintext":"yes"}`,
		"authorities of nowhere":    `"ship":{"address":"a:1","ca":"/no/such/file"}`,
		"shipped to a placeholder":  `"ship":{"address":"{env.NO_SUCH_VARIABLE_ANYWHERE}"}`,
		"a placeholder of nowhere":  `"sign_key":"{env.NO_SUCH_VARIABLE_ANYWHERE}"`,
	} {
		path := newPath(t)
		if c, err := tryLoad(config(path, options)); err == nil {
			c.end()
			t.Errorf("%s was accepted", name)
		}
		if auditfile.Open(path) {
			t.Errorf("%s left the log open", name)
		}
	}
	if c, err := tryLoad(`{}`); err == nil {
		c.end()
		t.Error("no file was accepted")
	}
}
