package auditfile_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gateway18789/caddy-ollama/auditlog/auditfile"
)

func TestOneChainGoesOnOverReloads(t *testing.T) {
	path := newPath(t)
	before := load(t, config(path))
	before.serve(t, "1")
	stream := before.begin(t, "2")
	after := load(t, config(path, `"fsync":"each"`))
	before.serve(t, "3")
	after.serve(t, "4")
	before.end()
	after.serve(t, "5")
	stream()
	after.end()
	expectStory(t, path, "created 1 3 4 5 2")
}

func TestAFileIsOneByWhateverNameItIsCalled(t *testing.T) {
	path := newPath(t)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(filepath.Dir(path), link); err != nil {
		t.Fatal(err)
	}
	t.Chdir(filepath.Dir(path))
	first := load(t, config(path))
	others := []configuration{
		load(t, config(filepath.Join(filepath.Dir(path), "x", "..", "audit.log"))),
		load(t, config(filepath.Join(link, "audit.log"))),
		load(t, config("audit.log")),
	}
	first.serve(t, "0")
	for _, other := range others {
		other.serve(t, "1")
		other.end()
	}
	first.end()
	expectStory(t, path, "created 0 1 1 1")
}

func TestARequestIsRecordedInTheFileThatItBeganIn(t *testing.T) {
	old, fresh := newPath(t), newPath(t)
	before := load(t, config(old))
	stream := before.begin(t, "1")
	after := load(t, config(fresh))
	before.end()
	if !auditfile.Open(old) {
		t.Error("the old file was closed under a request")
	}
	after.serve(t, "2")
	stream()
	if auditfile.Open(old) {
		t.Error("the old file is open though nobody needs it")
	}
	after.end()
	expectStory(t, old, "created 1")
	expectStory(t, fresh, "created 2")
}

// Caddy answers what comes by an old connection with the old configuration, even when its
// modules have been cleaned up.
func TestARequestThatComesLateIsRecorded(t *testing.T) {
	path := newPath(t)
	before := load(t, config(path))
	before.serve(t, "1")
	before.end()
	before.serve(t, "2")
	if auditfile.Open(path) {
		t.Error("the file is open though nobody needs it")
	}
	expectStory(t, path, "created 1 restarted 2")
}

func TestTheOptionsAreThoseOfTheConfigurationInForce(t *testing.T) {
	path := newPath(t)
	key := filepath.Join(t.TempDir(), "audit.pem")
	before := load(t, config(path))
	before.serve(t, "1")
	rejected := load(t, config(path, `"sign_key":"`+key+`"`)) // so far all was well with it
	before.serve(t, "2")
	rejected.end()
	before.serve(t, "3")
	after := load(t, config(path, `"sign_key":"`+key+`"`))
	before.end()
	after.serve(t, "4")
	after.end()
	expectStory(t, path, "created 1 2 3 audit-head-key-changed 4")
	audit(t, path, key+".pub")
}

func TestOptionsCountForAFileThatARequestKeptOpen(t *testing.T) {
	path := newPath(t)
	key := filepath.Join(t.TempDir(), "audit.pem")
	before := load(t, config(path))
	stream := before.begin(t, "1")
	before.end()
	after := load(t, config(path, `"sign_key":"`+key+`"`))
	stream()
	after.end()
	expectStory(t, path, "created audit-head-key-changed 1")
	audit(t, path, key+".pub")
}

func TestTwoLogsOfOneConfigurationMustAgree(t *testing.T) {
	path := newPath(t)
	c := load(t, config(path))
	defer c.end()
	if _, err := c.ctx.LoadModuleByID("caddy.logging.writers.audit_file", []byte(config(path))); err != nil {
		t.Error("with the same options:", err)
	}
	_, err := c.ctx.LoadModuleByID("caddy.logging.writers.audit_file", []byte(config(path, `"gzip":false`)))
	if err == nil || !strings.Contains(err.Error(), "two logs of this configuration write this file, with different options") {
		t.Errorf("with different options: %v", err)
	}
}

func TestWithoutAnAuditFileARequestCostsNothing(t *testing.T) {
	var none auditfile.Files
	if allocs := testing.AllocsPerRun(100, func() {
		begun, err := none.Begin(auditfile.Request{})
		if err != nil {
			t.Error(err)
		}
		_ = begun.Field()
		begun.End()
	}); allocs > 0 {
		t.Errorf("%v allocations", allocs)
	}
}

func TestTheSignKeyIsMadeOnceAndReadable(t *testing.T) {
	path := newPath(t)
	key := filepath.Join(t.TempDir(), "audit.pem")
	for range 2 {
		c := load(t, config(path, `"sign_key":"`+key+`"`))
		c.serve(t, "1")
		c.end()
	}
	audit(t, path, key+".pub")
	for name, mode := range map[string]os.FileMode{key: 0o600, key + ".pub": 0o644} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	expectStory(t, path, "created 1 restarted 1")
}

func TestABadSignKeyIsAnErrorAtLoad(t *testing.T) {
	const rsa = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg3pwGmdJn7XYxNu92\nbRZQIoBwkUaq+JVRThKhYyWkFA6hRANCAATwOSz0SNnUJ3MvqvMVGHCs+vVQjFTe\n-----END PRIVATE KEY-----\n"
	for name, content := range map[string]string{"no PEM": "x", "a damaged key": rsa} {
		path := newPath(t)
		key := filepath.Join(t.TempDir(), "audit.pem")
		if err := os.WriteFile(key, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := tryLoad(config(path, `"sign_key":"`+key+`"`)); err == nil || !strings.Contains(err.Error(), "sign_key") {
			t.Errorf("%s: %v", name, err)
		}
		if auditfile.Open(path) {
			t.Error("the log was left open")
		}
	}
}
