package ollamadoctor

import (
	"os"
	"strings"
	"testing"
)

// Where only other gateways may come, nobody need ask for a token. Who is wrong about that
// would leave an open gateway untold.
func TestAGatewayBehindOthersIsKnown(t *testing.T) {
	example, err := os.ReadFile("../../caddyfile-examples/adapter-node.Caddyfile")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name     string
		old, new string
		inner    bool
	}{
		{"the example", "", "", true},
		{"it takes a whole network, which is trusted", "trusted_proxies static 10.0.1.1", "trusted_proxies static 10.0.1.0/24", true},
		{"strangers get another answer", `error @stranger "not gateway-node" 403`, "respond @stranger 403", true},
		{"it takes an address that is not trusted", "not remote_ip 10.0.1.1", "not remote_ip 10.0.1.1 10.0.1.7", false},
		{"it takes a whole network of which one part is trusted", "not remote_ip 10.0.1.1", "not remote_ip 10.0.1.1/24", false},
		{"nobody is named", "not remote_ip 10.0.1.1", "not remote_ip nowhere", false},
		{"it takes the network of one that is trusted", "not remote_ip 10.0.1.1", "not remote_ip 10.0.1.0/24", false},
		{"it trusts nobody", "trusted_proxies static 10.0.1.1\n\t\ttrusted_proxies_strict", "", false},
		{"it takes everybody", `error @stranger "not gateway-node" 403`, "", false},
		{"only some of the strangers are refused", "@stranger not remote_ip 10.0.1.1", "@stranger {\n\t\tnot remote_ip 10.0.1.1\n\t\tpath /v1/models\n\t}", false},
		{"those who are not strangers are refused", "@stranger not remote_ip 10.0.1.1", "@stranger remote_ip 10.0.1.1", false},
		{"a certificate is not needed", "mode require_and_verify", "mode verify_if_given", false},
		{"it asks for tokens itself", "\t\taudit_log\n", "\t\taudit_log\n\t\tjwt_auth {\n\t\t\tsecret {env.KEY}\n\t\t}\n", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			text := string(example)
			if !strings.Contains(text, test.old) {
				t.Fatalf("the example does not say %q", test.old)
			}
			c, s, _ := read(t, strings.Replace(text, test.old, test.new, 1))
			facts, _, err := c.configured(s)
			if err != nil || facts.Inner != test.inner {
				t.Errorf("got %t, %v", facts.Inner, err)
			}
		})
	}
	for _, name := range []string{"gateway", "gateway-node"} {
		example, err := os.ReadFile("../../caddyfile-examples/" + name + ".Caddyfile")
		if err != nil {
			t.Fatal(err)
		}
		if _, s, _ := read(t, string(example)); s.inner() {
			t.Errorf("%s is taken for one", name)
		}
	}
}
