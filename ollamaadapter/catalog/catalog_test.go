package catalog_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/catalog"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
)

// upstream answers a catalogue's questions and remembers them.
type upstream struct {
	mu    sync.Mutex
	asked []string
	fault error
	tags  string
	// version is 0.33.0 if it is empty.
	version string
	now     time.Time
}

func (u *upstream) ask(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.asked = append(u.asked, path+string(body))
	if u.fault != nil {
		return nil, u.fault
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	switch path {
	case "/api/version":
		return fmt.Appendf(nil, `{"version":%q}`, cmp.Or(u.version, "0.33.0")), nil
	case "/api/tags":
		return []byte(u.tags), nil
	default:
		return []byte(`{"capabilities":["completion","tools"],"model_info":{"general.architecture":"qwen3","qwen3.context_length":40960}}`), nil
	}
}

// questions are what was asked since the last time.
func (u *upstream) questions() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	asked := strings.Join(u.asked, " ")
	u.asked = nil
	return asked
}

func tag(name, digest string) string {
	return fmt.Sprintf(`{"name":%q,"digest":%q,"modified_at":"2023-11-14T22:13:20Z"}`, name, digest)
}

func newCatalog() (*catalog.Catalog, *upstream) {
	u := &upstream{tags: `{"models":[` + tag("qwen3:32b", "d1") + `]}`, now: time.Unix(1_700_000_000, 0)}
	return &catalog.Catalog{Now: func() time.Time { return u.now }}, u
}

const both = "/api/version /api/tags"

func TestEachThingIsAskedOnce(t *testing.T) {
	c, u := newCatalog()
	for range 3 {
		m := c.Model(t.Context(), u.ask, "QWEN3:32B")
		tools, known := m.Can("tools")
		thinks, _ := m.Can("thinking")
		if !m.Known || !known || !tools || thinks || m.ContextLength != 40960 || m.Digest != "d1" {
			t.Fatalf("known of it: %+v", m)
		}
		if v := c.Server(t.Context(), u.ask).Version; v != "0.33.0" {
			t.Fatalf("version %q", v)
		}
	}
	if got, want := u.questions(), both+` /api/show{"model":"qwen3:32b"}`; got != want {
		t.Errorf("asked %q, want %q", got, want)
	}
}

func TestModelsAreAskedForAgainWhenTheyMayHaveChanged(t *testing.T) {
	c, u := newCatalog()
	c.Model(t.Context(), u.ask, "qwen3:32b")
	u.questions()

	u.now = u.now.Add(29 * time.Second)
	c.Model(t.Context(), u.ask, "qwen3:32b")
	if got := u.questions(); got != "" {
		t.Errorf("after 29 s asked %q", got)
	}
	u.now = u.now.Add(time.Second)
	c.Model(t.Context(), u.ask, "qwen3:32b")
	if got := u.questions(); got != both {
		t.Errorf("after 30 s asked %q; what a digest stands for does not change", got)
	}
	u.tags = `{"models":[` + tag("qwen3:32b", "d2") + `]}`
	u.now = u.now.Add(30 * time.Second)
	if m := c.Model(t.Context(), u.ask, "qwen3:32b"); m.Digest != "d2" {
		t.Errorf("digest %q", m.Digest)
	}
	if got, want := u.questions(), both+` /api/show{"model":"qwen3:32b"}`; got != want {
		t.Errorf("after the model was pulled anew asked %q, want %q", got, want)
	}
}

// Before 0.7.0 an Ollama does not know that llava sees images; the digest stays the same.
func TestWhatAModelCanDoIsAskedForAgainAfterAnUpgrade(t *testing.T) {
	c, u := newCatalog()
	u.version = "0.6.8"
	c.Model(t.Context(), u.ask, "qwen3:32b")
	u.questions()
	u.version, u.now = "0.7.0", u.now.Add(30*time.Second)
	c.Model(t.Context(), u.ask, "qwen3:32b")
	if got, want := u.questions(), both+` /api/show{"model":"qwen3:32b"}`; got != want {
		t.Errorf("asked %q, want %q", got, want)
	}
}

func TestAModelThatIsNotThereIsNotAskedFor(t *testing.T) {
	c, u := newCatalog()
	if m := c.Model(t.Context(), u.ask, "llama3.2"); m.Known || m.Name != "" {
		t.Errorf("known of it: %+v", m)
	}
	if got := u.questions(); got != both {
		t.Errorf("asked %q", got)
	}
}

func TestAFaultIsNotAskedAtAgainAtOnce(t *testing.T) {
	c, u := newCatalog()
	u.fault = errors.New("refused")
	for range 3 {
		if _, err := c.Models(t.Context(), u.ask); !errors.Is(err, u.fault) {
			t.Errorf("error is %v", err)
		}
	}
	if got := u.questions(); got != both {
		t.Errorf("asked %q", got)
	}
	u.fault = nil
	u.now = u.now.Add(5 * time.Second)
	if models, err := c.Models(t.Context(), u.ask); err != nil || len(models) != 1 {
		t.Errorf("5 s later: %v, %v", models, err)
	}
}

func TestAFaultDoesNotWipeOutWhatIsKnown(t *testing.T) {
	c, u := newCatalog()
	c.Model(t.Context(), u.ask, "qwen3:32b")
	u.fault = errors.New("refused")
	u.now = u.now.Add(time.Minute)
	if m := c.Model(t.Context(), u.ask, "qwen3:32b"); !m.Known {
		t.Error("what the model can do is forgotten")
	}
	if _, err := c.Models(t.Context(), u.ask); err == nil {
		t.Error("an old list passes for today's")
	}
}

func TestAClientThatLeavesTellsNothingOfTheUpstream(t *testing.T) {
	c, u := newCatalog()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	c.Server(gone, u.ask)
	u.questions()
	if v := c.Server(t.Context(), u.ask).Version; v != "0.33.0" {
		t.Errorf("the next client learns %q", v)
	}
}

func TestManyAtOnceAskOnce(t *testing.T) {
	c, u := newCatalog()
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			if v := c.Server(t.Context(), u.ask).Version; v != "0.33.0" {
				t.Errorf("version %q", v)
			}
		})
	}
	all.Wait()
	if got := u.questions(); got != both {
		t.Errorf("asked %q", got)
	}
}

func TestModelsAreTheCallersOwn(t *testing.T) {
	c, u := newCatalog()
	models, err := c.Models(t.Context(), u.ask)
	if err != nil {
		t.Fatal(err)
	}
	models[0].Name = "changed"
	again, _ := c.Models(t.Context(), u.ask)
	if again[0].Name == "changed" {
		t.Error("a caller has changed what the catalogue knows")
	}
}

// A model of which the upstream tells nothing must not cost every request the wait.
func TestAModelOfWhichNothingIsToldIsNotAskedForEachTime(t *testing.T) {
	c, u := newCatalog()
	mute := func(ctx context.Context, method, path string, body []byte) ([]byte, error) {
		answer, err := u.ask(ctx, method, path, body)
		if path == "/api/show" {
			return nil, context.DeadlineExceeded
		}
		return answer, err
	}
	for range 3 {
		if m := c.Model(t.Context(), mute, "qwen3:32b"); m.Known || m.Digest != "d1" {
			t.Errorf("known of it: %+v", m)
		}
	}
	if got, want := u.questions(), both+` /api/show{"model":"qwen3:32b"}`; got != want {
		t.Errorf("asked %q, want %q", got, want)
	}
	u.now = u.now.Add(30 * time.Second)
	if m := c.Model(t.Context(), u.ask, "qwen3:32b"); !m.Known {
		t.Error("it is never asked for again")
	}
}

func TestTheFingerprintIsOfModelAndServer(t *testing.T) {
	seen := make(map[string]bool)
	for _, known := range []struct{ version, digest string }{{"0.33.0", "d1"}, {"0.33.0", "d2"}, {"0.33.1", "d1"}} {
		ask := func(_ context.Context, _, path string, _ []byte) ([]byte, error) {
			if path == "/api/version" {
				return []byte(`{"version":"` + known.version + `"}`), nil
			}
			return []byte(`{"models":[` + tag("m:latest", known.digest) + `]}`), nil
		}
		first := new(catalog.Catalog).Model(t.Context(), ask, "m").Fingerprint
		if again := new(catalog.Catalog).Model(t.Context(), ask, "M:latest").Fingerprint; again != first || first == "" {
			t.Errorf("%v has %q and %q", known, first, again)
		}
		seen[first] = true
	}
	if len(seen) != 3 {
		t.Errorf("three have %v", seen)
	}
	c, u := newCatalog()
	u.tags = `{"models":[` + tag("m:latest", "") + `]}`
	if got := c.Model(t.Context(), u.ask, "m").Fingerprint; got != "" {
		t.Errorf("of a model without a digest %q", got)
	}
}

func TestOfTwoNamesThatAreOneTheFirstCounts(t *testing.T) {
	c, u := newCatalog()
	u.tags = `{"models":[` + tag("m:latest", "d1") + "," + tag("M", "d2") + `]}`
	if got := c.Model(t.Context(), u.ask, "m").Digest; got != "d1" {
		t.Errorf("digest %q", got)
	}
}

func TestAnUpstreamThatTellsNothingCountsAsTheNewest(t *testing.T) {
	c, u := newCatalog()
	u.fault = errors.New("refused")
	if got := c.Server(t.Context(), u.ask); got.Version != "" || got.Features != ollama.Newest {
		t.Errorf("%+v", got)
	}
}
