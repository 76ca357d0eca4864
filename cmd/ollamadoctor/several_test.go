package ollamadoctor

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gateway18789/caddy-ollama/cmd/ollamadoctor/checkup"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
)

// network is what answers at the addresses of Ollamas.
type network map[string]http.HandlerFunc

// Kinds of those that are none.
var (
	nobody http.HandlerFunc // listens there
	silent http.HandlerFunc = func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	nginx  http.HandlerFunc = http.NotFound
)

// RoundTrip implements http.RoundTripper.
func (n network) RoundTrip(r *http.Request) (*http.Response, error) {
	handler := n[r.URL.Host]
	if handler == nil {
		return nil, fmt.Errorf("dial: %w", syscall.ECONNREFUSED)
	}
	w := httptest.NewRecorder()
	handler(w, r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return w.Result(), nil
}

// with is a scripted Ollama with these models, each of which can be loaded.
func with(models ...string) http.HandlerFunc {
	var all []ollamatest.Model
	for _, name := range models {
		model := ollamatest.Says(name, "Hello")
		model.LoadTime, model.ContextLength = time.Millisecond, 4096
		all = append(all, model)
	}
	return ollamatest.NewHandler(all...).ServeHTTP
}

// warm is one that has the first of its models loaded.
func warm(models ...string) http.HandlerFunc {
	handler := with(models...)
	load := httptest.NewRequest(http.MethodPost, "http://localhost/api/chat", strings.NewReader(fmt.Sprintf(`{"model":%q}`, models[0])))
	handler(httptest.NewRecorder(), load)
	return handler
}

// but has one answer a path otherwise.
func but(handler http.HandlerFunc, path, answer string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != path {
			handler(w, r)
			return
		}
		fmt.Fprint(w, answer)
	}
}

// threeOllamas is a gateway before three Ollamas, with a policy and models.
const threeOllamas = `http://localhost:18789 {
	ollama_adapter {
		default_model hello
		%s
		defaults {
			num_ctx 4096
		}
	}
	reverse_proxy 10.0.2.2:11434 10.0.2.3:11434 10.0.2.4:11434 {
		lb_policy %s
	}
}`

// examined is what is printed of the Ollamas, how each step ended, and how long that took.
func examined(t *testing.T, caddyfile string, n network) (printed string, status map[string]checkup.Status, took time.Duration) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "Caddyfile")
	if err := os.WriteFile(file, []byte(caddyfile), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := options{config: file}.patient(strings.NewReader(""))
	if err != nil {
		t.Fatal(err)
	}
	p.Gateway = nil
	for _, o := range p.Ollamas {
		o.API = &liveOllama{"http://" + o.Address, &http.Client{Transport: n}}
	}
	var b bytes.Buffer
	table := newTable(&b)
	status = make(map[string]checkup.Status)
	began := time.Now()
	checkup.Examine(context.Background(), p, func(s checkup.Step) {
		if s.Status == checkup.Skipped && s.Ollama == "" || s.Name == "exposure" {
			return // what is not of Ollama
		}
		table.row(s)
		status[strings.TrimSpace(s.Name+" "+s.Ollama)] = s.Status
	})
	return b.String(), status, time.Since(began)
}

func TestEachOfSeveralOllamasIsLookedAt(t *testing.T) {
	const a, b, c = "10.0.2.2:11434", "10.0.2.3:11434", "10.0.2.4:11434"
	type ends map[string]checkup.Status // of steps that are not ok
	until := func(o, step string, first checkup.Status) ends {
		all := ends{step + " " + o: first}
		steps := []string{"ollama", "model", "loaded", "context"}
		for _, later := range steps[slices.Index(steps, step)+1:] {
			all[later+" "+o] = checkup.Skipped
		}
		return all
	}
	for _, test := range []struct {
		name    string
		policy  string   // default: ollama_model
		adapter string   // more options
		others  []string // models of the two others; default: hello
		third   http.HandlerFunc
		ends    ends
		says    []string
		within  time.Duration
	}{
		{name: "all are well", third: warm("hello"),
			says: []string{"Ollama 0.17.4 at " + c, c + ": hello is there", "all have 0.17.4", "all have the same models"}},
		{name: "one is down", third: nobody, ends: until(c, "ollama", checkup.Failed),
			says: []string{"nothing listens at " + c, "Start it", "unless others take them over", c + `: until "ollama" is mended`, "those that answer have 0.17.4", "those that list them have the same models"}},
		{name: "one hangs, for which nobody waits longer than for one", third: silent, ends: until(c, "ollama", checkup.Failed),
			says: []string{"no answer from " + c + " in time", "restart it"}, within: 10 * time.Second},
		{name: "one is no Ollama", third: nginx, ends: until(c, "ollama", checkup.Failed),
			says: []string{"what answers at " + c + " is not Ollama: 404", "ss -ltnp"}},
		{name: "one lacks the model, and the policy goes around it", third: with("other"),
			ends: merged(until(c, "model", checkup.Warning), ends{"same models": checkup.Warning}),
			says: []string{c + ": hello is not there; there are other", "the others get all requests for it", "`ollama pull hello` there", "hello:latest not at " + c + "; other:latest only at " + c}},
		{name: "one lacks the model, and gets requests for it all the same", policy: "round_robin", third: with("other"),
			ends: merged(until(c, "model", checkup.Failed), ends{"same models": checkup.Warning}),
			says: []string{c + ": hello is not there", "get a 404", "`lb_policy ollama_model`"}},
		{name: "one has no model at all", third: with(),
			ends: merged(until(c, "model", checkup.Failed), ends{"same models": checkup.Warning}),
			says: []string{c + ": Ollama has no model", "OLLAMA_MODELS"}},
		{name: "one lacks a model that the others have", third: warm("hello"), others: []string{"hello", "b", "a"},
			ends: ends{"same models": checkup.Warning}, says: []string{"a:latest, b:latest not at " + c}},
		{name: "one does not list its models", third: but(with("hello"), "/api/tags", "no JSON"), ends: until(c, "model", checkup.Failed),
			says: []string{c + ": Ollama does not list its models", "those that list them have the same models"}},
		{name: "one is of another version, which understands the same", third: but(warm("hello"), "/api/version", `{"version":"0.17.3"}`),
			ends: ends{"same version": checkup.Warning}, says: []string{"0.17.3 at " + c + "; 0.17.4 at " + a + ", " + b, "may hang on which", "Update Ollama"}},
		{name: "one is of a version with a trap", third: but(warm("hello"), "/api/version", `{"version":"0.12.5"}`),
			ends: ends{"ollama " + c: checkup.Warning, "same version": checkup.Warning}, says: []string{"Ollama 0.12.5 at " + c, "before 0.12.6", "do not understand the same"}},
		{name: "one has another model of the same name", third: but(warm("hello"), "/api/tags", `{"models":[{"name":"hello","digest":"another"}]}`),
			ends: ends{"same models": checkup.Warning}, says: []string{"hello:latest another at " + c + " than at " + a}},
		{name: "one has a model more, which clients may ask for", third: warm("hello", "other"),
			ends: ends{"same models": checkup.Warning}, says: []string{"other:latest only at " + c}},
		{name: "one has a model more, which clients may not ask for", adapter: "models hello", third: warm("hello", "other"),
			says: []string{"all have the same models"}},
		{name: "one has a model more, for which clients have another name", adapter: "models hello\nalias gpt-4o other", third: warm("hello", "other"),
			ends: ends{"same models": checkup.Warning}, says: []string{"other:latest only at " + c}},
		{name: "one lacks what an alias means, and the policy goes around it", adapter: "alias gpt-4o other", others: []string{"hello", "other"}, third: warm("hello"),
			ends: ends{"same models": checkup.Warning}},
		{name: "one lacks what an alias means, and gets requests for it all the same", adapter: "alias gpt-4o other", others: []string{"hello", "other"}, third: warm("hello"),
			policy: "round_robin", ends: ends{"model " + c: checkup.Warning, "same models": checkup.Warning}, says: []string{c + ": hello is there, but not what these aliases mean: gpt-4o (other)"}},
		{name: "one has many models more", third: warm("hello", "d", "c", "b", "a", "e"),
			ends: ends{"same models": checkup.Warning}, says: []string{"a:latest, b:latest, c:latest and 2 more only at " + c}},
		{name: "one has not loaded the model, and the policy goes to one that has", third: with("hello"),
			says: []string{c + ": hello is not loaded; requests go to " + a + ", where it is"}},
		{name: "one has not loaded the model, and gets requests for it all the same", policy: "least_conn", third: with("hello"),
			ends: ends{"loaded " + c: checkup.Warning}, says: []string{c + ": hello is not loaded", "keep_alive -1"}},
		{name: "one has the model loaded with another context", third: but(warm("hello"), "/api/ps", `{"models":[{"name":"hello","context_length":2048}]}`),
			ends: ends{"context " + c: checkup.Warning}, says: []string{c + ": num_ctx is 4096, but hello is loaded with 2048"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				policy := test.policy
				if policy == "" {
					policy = "ollama_model"
				}
				others := test.others
				if others == nil {
					others = []string{"hello"}
				}
				printed, status, took := examined(t, fmt.Sprintf(threeOllamas, test.adapter, policy), network{a: warm(others...), b: warm(others...), c: test.third})
				want := make(ends)
				for _, step := range []string{"ollama", "model", "loaded", "context"} {
					for _, o := range []string{a, b, c} {
						want[step+" "+o] = checkup.OK
					}
				}
				want["same version"], want["same models"] = checkup.OK, checkup.OK
				maps.Copy(want, test.ends)
				if !maps.Equal(status, want) {
					t.Errorf("ends so: %v, want %v", status, want)
				}
				for _, words := range test.says {
					if !strings.Contains(printed, words) {
						t.Errorf("does not say %q", words)
					}
				}
				if took != test.within {
					t.Errorf("takes %s, want %s", took, test.within)
				}
				if t.Failed() {
					t.Log("\n" + printed)
				}
			})
		})
	}
}

func merged(all ...map[string]checkup.Status) map[string]checkup.Status {
	one := make(map[string]checkup.Status)
	for _, m := range all {
		maps.Copy(one, m)
	}
	return one
}

// However many hang, it takes as long as for one.
func TestAllOllamasAreAskedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		printed, status, took := examined(t, fmt.Sprintf(threeOllamas, "", "ollama_model"), network{"10.0.2.2:11434": silent, "10.0.2.3:11434": silent, "10.0.2.4:11434": silent})
		if took != 10*time.Second || status["ollama 10.0.2.4:11434"] != checkup.Failed {
			t.Errorf("takes %s:\n%s", took, printed)
		}
		if strings.Contains(printed, "others take") {
			t.Errorf("says that another could take over:\n%s", printed)
		}
		if n := strings.Count(printed, "remedy:"); n != 1 {
			t.Errorf("says %d times what to do, of the same fault:\n%s", n, printed)
		}
	})
}
