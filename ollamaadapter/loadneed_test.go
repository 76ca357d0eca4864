package ollamaadapter_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gateway18789/caddy-ollama/ollamaadapter"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
)

func TestTheRequestThatLoadsAModel(t *testing.T) {
	const chat = "/v1/chat/completions"
	for _, test := range []struct{ name, options, path, body, want string }{
		{"has no messages", ``, chat, saying(`"stream":true`), `{"model":"m","stream":false,"messages":[]}`},
		{"has the context that the client wants", ``, chat, saying(`"num_ctx":2048,"temperature":1`),
			`{"model":"m","stream":false,"messages":[],"options":{"num_ctx":2048}}`},
		{"has the context that the server pins", "defaults {\nnum_ctx 8192\ntop_k 3\n}", chat, saying(`"num_ctx":2048`),
			`{"model":"m","stream":false,"messages":[],"options":{"num_ctx":8192}}`},
		{"has the server's keep_alive", "keep_alive 10m", chat, saying(`"keep_alive":60`),
			`{"model":"m","stream":false,"messages":[],"keep_alive":600}`},
		{"has no keep_alive of 0, which would unload", "keep_alive 0s", chat, saying(``), `{"model":"m","stream":false,"messages":[]}`},
		{"has the model's real name", "alias gpt-4o m", chat, strings.Replace(saying(``), `"m"`, `"gpt-4o"`, 1), `{"model":"m","stream":false,"messages":[]}`},
		{"for a text has no prompt", ``, "/v1/completions", `{"model":"m","prompt":"say"}`, `{"model":"m","stream":false,"prompt":""}`},
		{"for embeddings has no input", ``, "/v1/embeddings", `{"model":"m","input":"say"}`, `{"model":"m","stream":false,"input":[]}`},
		{"for a chat of Ollama's own", ``, "/api/chat", nativeChat, `{"model":"m","stream":false,"messages":[]}`},
		{"for a text of Ollama's own", ``, "/api/generate", `{"model":"m","prompt":"say"}`, `{"model":"m","stream":false,"prompt":""}`},
		{"for embeddings of Ollama's own", ``, "/api/embed", `{"model":"m","input":["say"]}`, `{"model":"m","stream":false,"input":[]}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			g, tap := tapped(t, parsed(t, "native on\n"+test.options), ollamatest.NewHandler(ollamatest.Says("m", "hi")))
			for range 2 { // the second time, the model is loaded
				if resp := g.do(t, t.Context(), http.MethodPost, test.path, test.body, "Authorization", "Bearer CANARY"); resp.StatusCode != 200 {
					t.Fatalf("%s: %s", resp.Status, read(t, resp))
				}
			}
			got := tap.heard()
			if tap.bodies[0] != test.want || onlyLoads(tap.bodies[1]) || !strings.HasPrefix(got[0], "load ") || got[0] != "load "+got[1] {
				t.Errorf("Ollama was asked %q: %s", got, tap.bodies[0])
			}
			if again := slices.Contains(got[1:], got[0]); again != strings.Contains(test.options, "keep_alive 0s") {
				t.Errorf("a load was asked for again: %v", again)
			}
		})
	}
}

func TestRequestsThatNeedNoLoad(t *testing.T) {
	remote := ollamatest.Says("jo/remote:latest", "hi")
	remote.RemoteHost = "https://ollama.com"
	cloud := ollamatest.Says("big:cloud", "hi")
	for _, test := range []struct{ name, options, path, body, want string }{
		{"where loads are not shared", "coalesce_loads off", "/v1/chat/completions", saying(``), `"content":"hi"`},
		{"of a model that runs elsewhere", "models jo/remote:latest", "/v1/chat/completions",
			strings.Replace(saying(`"stream":true`), `"m"`, `"jo/remote:latest"`, 1), "[DONE]"},
		{"of one that runs elsewhere by another name", "alias r jo/remote:latest", "/v1/completions", `{"model":"r","prompt":"say"}`, `"text":"hi"`},
		{"of one that runs elsewhere by its very name", "models big:cloud", "/v1/chat/completions",
			strings.Replace(saying(``), `"m"`, `"big:cloud"`, 1), `"content":"hi"`},
		{"that are themselves to load", "native on", "/api/chat", `{"model":"m","messages":[]}`, `"done_reason":"load"`},
		{"that are themselves to load, without a field for that", "native on", "/api/generate", `{"model":"m"}`, `"done_reason":"load"`},
		{"that unload", "native on", "/api/chat", `{"model":"m","messages":[],"keep_alive":0}`, `"done_reason":"unload"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			g, tap := tapped(t, parsed(t, test.options), ollamatest.NewHandler(ollamatest.Says("m", "hi"), remote, cloud))
			resp := g.do(t, t.Context(), http.MethodPost, test.path, test.body)
			if body := read(t, resp); resp.StatusCode != 200 || !strings.Contains(body, test.want) {
				t.Errorf("%s: %s", resp.Status, body)
			}
			if got := tap.heard(); len(got) != 1 {
				t.Errorf("Ollama was asked %q", got)
			}
		})
	}
}

// What Ollama is asked for when clients ask one after the other.
func TestWhenAModelCountsAsLoaded(t *testing.T) {
	chat := func(model, fields string) string { return strings.Replace(saying(fields), `"m"`, `"`+model+`"`, 1) }
	const loads, serves = "load /api/chat", "/api/chat"
	for _, test := range []struct {
		name   string
		bodies []string
		want   []string
	}{
		{"it is not loaded again for the next request", []string{chat("m", ``), chat("m", `"stream":true`)}, []string{loads, serves, serves}},
		{"nor for the next choice", []string{chat("m", `"n":3`)}, []string{loads, serves, serves, serves}},
		{"nor for other options of sampling", []string{chat("m", `"top_k":1`), chat("m", `"temperature":0`)}, []string{loads, serves, serves}},
		{"another context is another load", []string{chat("m", `"num_ctx":2048`), chat("m", `"num_ctx":8192`)}, []string{loads, serves, loads, serves}},
		{"another model is another load", []string{chat("m", ``), chat("quick", ``)}, []string{loads, serves, loads, serves}},
		{"a load that took its time may have driven it out", []string{chat("m", ``), chat("slow", ``), chat("m", ``), chat("slow", ``)},
			[]string{loads, serves, loads, serves, loads, serves, serves}},
		{"a client that does not keep it leaves it unloaded", []string{chat("m", `"keep_alive":0`), chat("m", ``)}, []string{loads, serves, loads, serves}},
		{"one that keeps it for ever does not", []string{chat("m", `"keep_alive":-1`), chat("m", ``)}, []string{loads, serves, serves}},
		{"one that keeps it for long does not", []string{chat("m", `"keep_alive":"1000h"`), chat("m", ``)}, []string{loads, serves, serves}},
		{"an answer that fails does not unload it", []string{chat("m", `"seed":500`), chat("m", ``)}, []string{loads, serves, serves}},
	} {
		t.Run(test.name, func(t *testing.T) {
			slow := ollamatest.Says("slow", "hi")
			slow.LoadTime = 350 * time.Millisecond // more than that of a model that was there
			g, tap := tapped(t, ollamaadapter.Handler{}, ollamatest.NewHandler(fails500("m"), ollamatest.Says("quick", "hi"), slow))
			for _, body := range test.bodies {
				read(t, g.post(t, body))
			}
			if got := tap.heard(); !slices.Equal(got, test.want) {
				t.Errorf("Ollama was asked %q, want %q", got, test.want)
			}
		})
	}
}

// fails500 is a model that fails with the seed 500.
func fails500(name string) ollamatest.Model {
	return ollamatest.Model{Name: name, Answer: func(r ollama.ChatRequest) ollamatest.Answer {
		if r.Options["seed"] == 500.0 {
			return ollamatest.Answer{Status: 500}
		}
		return ollamatest.Answer{Content: []string{"hi"}}
	}}
}

func TestAModelThatIsKeptShortlyIsLoadedAgain(t *testing.T) {
	g, tap := tapped(t, ollamaadapter.Handler{}, ollamatest.NewHandler(ollamatest.Says("m", "hi")))
	read(t, g.post(t, saying(`"keep_alive":"50ms"`)))
	<-time.After(60 * time.Millisecond) // Ollama has unloaded it by now
	read(t, g.post(t, saying(``)))
	if got, want := tap.heard(), []string{"load /api/chat", "/api/chat", "load /api/chat", "/api/chat"}; !slices.Equal(got, want) {
		t.Errorf("Ollama was asked %q, want %q", got, want)
	}
}

// A model that Ollama had at hand tells nothing of the others.
func TestALoadThatTookNoTimeDroveNothingOut(t *testing.T) {
	const noTime, tries = 250 * time.Millisecond, 3 // for the machine may be busy with something else
	for range tries {
		g, tap := tapped(t, ollamaadapter.Handler{}, ollamatest.NewHandler(ollamatest.Says("m", "hi"), ollamatest.Says("quick", "hi")))
		read(t, g.post(t, saying(``)))
		begun := time.Now()
		read(t, g.post(t, strings.Replace(saying(``), `"m"`, `"quick"`, 1)))
		if time.Since(begun) > noTime {
			continue
		}
		read(t, g.post(t, saying(``)))
		if got := tap.heard(); len(got) != 5 {
			t.Errorf("Ollama was asked %q", got)
		}
		return
	}
	t.Errorf("a request to a scripted model takes more than %v", noTime)
}

// To Ollama it is one model with one queue, by whatever name or endpoint it is asked for.
func TestALoadIsTheModelsWhateverAsksForIt(t *testing.T) {
	for _, test := range []struct{ name, path, body string }{
		{"by another endpoint", "/v1/completions", `{"model":"m:latest","prompt":"say"}`},
		{"by its short name", "/v1/chat/completions", saying(``)},
	} {
		t.Run(test.name, func(t *testing.T) {
			load := make(chan struct{})
			m := toLoad(load)
			m.Name = "m:latest"
			g, server := start(t, ollamaadapter.Handler{}, m)
			first := g.chats(t, strings.Replace(saying(``), `"m"`, `"m:latest"`, 1))[0]
			one := begun(t, server, 1)
			second := g.asker(t, test.path, test.body)
			awaitWaiting(t, 2)
			first.leave()
			g.ended(t)
			select {
			case <-one.Ended():
				t.Error("the load is lost with the one that began it")
			case <-time.After(200 * time.Millisecond): // more than Ollama needs to notice
			}
			close(load)
			if resp := second.answered(t); resp.StatusCode != 200 {
				t.Errorf("%s: %s", resp.Status, read(t, resp))
			}
		})
	}
}
