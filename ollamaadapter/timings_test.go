package ollamaadapter_test

import (
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
