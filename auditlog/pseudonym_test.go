package auditlog

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
)

// key is long enough to be one.
var key = strings.Repeat("k", 32)

// userOf is what the record of a user's request says of him.
func userOf(t *testing.T, a *audit, user string) any {
	t.Helper()
	return a.serve(t, newRequest("GET", "/"), func(w http.ResponseWriter, r *http.Request) error {
		record.From(r.Context()).UserID = user
		return nil
	}).fields["user.id"]
}

func TestAUserIsPseudonymized(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte(key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	a := newAuditWith(t, Handler{Pseudonymize: map[string]string{"user.id": "{file." + file + "}"}})
	ann, _ := userOf(t, a, "ann").(string)
	if !regexp.MustCompile(`^pseudonym_[0-9a-f]{32}$`).MatchString(ann) {
		t.Errorf("the record names %q", ann)
	}
	if again := userOf(t, a, "ann"); again != ann {
		t.Errorf("the same user is %v and %v", ann, again)
	}
	if restarted := userOf(t, newAuditWith(t, Handler{Pseudonymize: map[string]string{"user.id": key}}), "ann"); restarted != ann {
		t.Errorf("with the same key, after a restart, the same user is %v and %v", ann, restarted)
	}
	if bob := userOf(t, a, "bob"); bob == ann {
		t.Errorf("two users are %v", bob)
	}
	if other := userOf(t, newAuditWith(t, Handler{Pseudonymize: map[string]string{"user.id": key + "2"}}), "ann"); other == ann {
		t.Errorf("with another key the user is still %v", other)
	}
	if nobody := userOf(t, a, ""); nobody != nil {
		t.Errorf("nobody is %v", nobody)
	}
	if plain := userOf(t, newAudit(t), "ann"); plain != "ann" {
		t.Errorf("where nothing is pseudonymized the user is %v", plain)
	}
}

func TestACertificateIsPseudonymizedOnlyIfAsked(t *testing.T) {
	subject := func(a *audit) any {
		r := newRequest("GET", "/")
		r.TLS = verified(t, "ann")
		return a.serve(t, r, write(200)).fields["tls.client.subject"]
	}
	if got := subject(newAuditWith(t, Handler{Pseudonymize: map[string]string{"user.id": key}})); got != "CN=ann" {
		t.Errorf("the certificate is of %v", got)
	}
	both := newAuditWith(t, Handler{Pseudonymize: map[string]string{"user.id": key, "tls.client.subject": key}})
	got, _ := subject(both).(string)
	if !strings.HasPrefix(got, "pseudonym_") {
		t.Errorf("the certificate is of %v", got)
	}
	if user := userOf(t, both, "CN=ann"); user == got {
		t.Error("a user and a certificate of the same name have the same pseudonym")
	}
}

func TestKeysOfPseudonymsAreSound(t *testing.T) {
	for _, test := range []struct{ name, field, key, want string }{
		{"a short key", "user.id", strings.Repeat("k", 31), "31 bytes"},
		{"no key", "user.id", "", "0 bytes"},
		{"a file that is not there", "user.id", "{file./not/there}", "pseudonymize user.id: the key cannot be read"},
		{"a variable that is not set", "user.id", "{env.NOT_SET_AT_ALL}", "pseudonymize user.id: the key cannot be read"},
		{"another field", "url.path", key, "only user.id and tls.client.subject"},
	} {
		h := Handler{Pseudonymize: map[string]string{test.field: test.key}}
		err := h.Provision(newContext(t))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want it to say %q", test.name, err, test.want)
		}
		if err != nil && test.key != "" && strings.Contains(err.Error(), test.key) && !strings.Contains(test.key, "{") {
			t.Errorf("%s: the error has the key in it: %v", test.name, err)
		}
	}
}
