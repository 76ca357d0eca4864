package ollamaadapter_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/gateway18789/caddy-ollama/ollamaadapter"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
)

// final is a model that says a word and ends with these timings.
func final(timings string) ollamatest.Model {
	return answers(ollamatest.Answer{Raw: []string{
		`{"model":"m","message":{"content":"hi"},"done":false}` + "\n",
		`{"model":"m","message":{"content":""},"done":true,"prompt_eval_count":7,"eval_count":1` + timings + `}` + "\n",
	}})
}

func TestRecordOfWhatTookHowLong(t *testing.T) {
	warm := false // so that nothing is waited for but what Ollama tells
	for _, test := range []struct {
		name, timings      string
		load, prompt, eval time.Duration
	}{
		{"as Ollama tells", `,"load_duration":10,"prompt_eval_duration":20,"eval_duration":30`, 10, 20, 30},
		{"a prompt that was in the cache takes no time", `,"load_duration":10,"eval_duration":30`, 10, 0, 30},
		{"not told", ``, 0, 0, 0},
		{"no answer is worth less for times that cannot be", `,"load_duration":-1,"prompt_eval_duration":1.5,"eval_duration":"2s"`, 0, 0, 0},
		{"nor for one that is too long", `,"eval_duration":12345678901234567890`, 0, 0, 0},
	} {
		for kind, body := range both {
			t.Run(test.name+", "+kind, func(t *testing.T) {
				g, _ := start(t, ollamaadapter.Handler{CoalesceLoads: &warm}, final(test.timings))
				resp := g.post(t, body)
				read(t, resp)
				end := g.ended(t)
				if resp.StatusCode != 200 || end.Provider != "ollama" {
					t.Errorf("%s, provider %q", resp.Status, end.Provider)
				}
				if end.LoadDuration != test.load || end.PromptDuration != test.prompt || end.GenerationDuration != test.eval {
					t.Errorf("load %d, prompt %d, generation %d; want %d, %d, %d",
						end.LoadDuration, end.PromptDuration, end.GenerationDuration, test.load, test.prompt, test.eval)
				}
			})
		}
	}
	t.Run("of all choices together", func(t *testing.T) {
		g, _ := start(t, ollamaadapter.Handler{CoalesceLoads: &warm}, final(`,"load_duration":10,"prompt_eval_duration":20,"eval_duration":30`))
		read(t, g.post(t, saying(`"n":3`)))
		if end := g.ended(t); end.LoadDuration != 30 || end.PromptDuration != 60 || end.GenerationDuration != 90 {
			t.Errorf("%+v", end.Record)
		}
	})
	t.Run("in Ollama's own dialect", func(t *testing.T) {
		g, _ := start(t, ollamaadapter.Handler{CoalesceLoads: &warm, Native: true}, final(`,"load_duration":10,"eval_duration":30`))
		read(t, g.do(t, t.Context(), "POST", "/api/chat", saying("")))
		if end := g.ended(t); end.LoadDuration != 10 || end.GenerationDuration != 30 || end.Provider != "ollama" {
			t.Errorf("%+v", end.Record)
		}
	})
}

// longEnough is more than a model takes that was there.
const longEnough = 350 * time.Millisecond

// What a client waits for a load that it shares with others is told to each of them.
func TestRecordOfAWaitForALoad(t *testing.T) {
	model := ollamatest.Says("m", "hi")
	loaded := make(chan struct{})
	model.Load = loaded
	g, server := start(t, ollamaadapter.Handler{}, model)
	begun := time.Now()
	clients := g.chats(t, saying(""), saying(""))
	server.WaitForLoad(1)
	awaitWaiting(t, len(clients))
	waiting := time.Now() // both of them wait from here on
	<-time.After(longEnough)
	loaded <- struct{}{}
	least := time.Since(waiting)
	for _, client := range clients {
		client.served(t)
		end := g.ended(t)
		if end.LoadDuration < least || end.LoadDuration > time.Since(begun) {
			t.Errorf("it waited %v for the load, want at least %v", end.LoadDuration, least)
		}
	}
	// and now it is loaded
	read(t, g.post(t, saying("")))
	if end := g.ended(t); end.LoadDuration != 0 {
		t.Errorf("it waited %v for a model that was loaded", end.LoadDuration)
	}
}

// What looks like a long load to who reads the log has to be one.
func TestNoLoadIsRecordedWhereNothingWasLoaded(t *testing.T) {
	none := func(t *testing.T, g *gateway) {
		t.Helper()
		if end := g.ended(t); end.LoadDuration != 0 {
			t.Errorf("it waited %v for a load (status %d)", end.LoadDuration, end.status)
		}
	}
	t.Run("nobody listens", func(t *testing.T) {
		g, server := start(t, ollamaadapter.Handler{}, ollamatest.Says("m", "hi"))
		server.Close()
		read(t, g.post(t, saying("")))
		none(t, g)
	})
	t.Run("the model was there", func(t *testing.T) {
		const tries = 3 // for the machine may be busy with something else
		for range tries {
			g, _ := start(t, ollamaadapter.Handler{}, ollamatest.Says("m", "hi"))
			begun := time.Now()
			read(t, g.post(t, saying("")))
			if time.Since(begun) < longEnough/2 {
				none(t, g)
				return
			}
		}
		t.Errorf("a request to a scripted model takes more than %v", longEnough/2)
	})
	t.Run("the model cannot be loaded", func(t *testing.T) {
		g, _ := tapped(t, ollamaadapter.Handler{}, loadingBy(func(w http.ResponseWriter, _ *http.Request) {
			<-time.After(longEnough)
			w.WriteHeader(http.StatusInternalServerError)
		}))
		read(t, g.post(t, saying("")))
		none(t, g)
	})
	t.Run("the client does not wait for its end", func(t *testing.T) {
		g, server := start(t, ollamaadapter.Handler{}, toLoad(make(chan struct{})))
		client := g.chats(t, saying(""))[0]
		begun(t, server, 1)
		client.leave()
		none(t, g)
	})
	t.Run("it takes too long", func(t *testing.T) {
		g, _ := start(t, ollamaadapter.Handler{FirstByteTimeout: lasting(brief)}, toLoad(make(chan struct{})))
		read(t, g.post(t, saying("")))
		none(t, g)
	})
}
