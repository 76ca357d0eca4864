package integration

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/openai/openai-go/v3"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
)

// beforeEach is how many heartbeats come before each line of an answer.
const beforeEach = 3

// heartbeating is a gateway with heartbeats every 30 ms, for whole answers too, in
// front of a scripted Ollama with these models.
func heartbeating(t *testing.T, models ...ollamatest.Model) *gateway {
	t.Helper()
	upstream := ollamatest.NewServer(models...)
	t.Cleanup(upstream.Close)
	g := prepareGateway(t, upstream.Address())
	g.caddyfile = strings.Replace(unlimited(g.caddyfile), "default_model", "heartbeat 30ms\n\t\t\theartbeat_json on\n\t\t\tdefault_model", 1)
	g.writeConfig(g.caddyfile)
	g.process = startProcess(t, g.dir, "run", "--config", g.configFile(), "--adapter", "caddyfile")
	g.awaitListening(t, g.address())
	return g
}

// scriptedAs is a model that gives one answer to all.
func scriptedAs(name string, answer ollamatest.Answer) ollamatest.Model {
	return ollamatest.Model{Name: name, Answer: func(ollama.ChatRequest) ollamatest.Answer { return answer }}
}

// versions are the ways in which OpenAI's official client reaches the gateway.
var versions = map[string]func(*http.Client){
	"over HTTP/1.1": func(c *http.Client) { c.Transport.(*http.Transport).ForceAttemptHTTP2 = false },
	"over HTTP/2":   func(*http.Client) {},
}

func TestOpenAIGoReadsAStreamWithHeartbeats(t *testing.T) {
	for name, speak := range versions {
		for _, test := range []struct {
			name   string
			answer ollamatest.Answer
			text   string
			fails  bool
		}{
			{"to its end", ollamatest.Answer{Content: []string{"Hel", "lo"}}, "Hello", false},
			{"to an error in its midst", ollamatest.Answer{Content: []string{"Hel", "lo"}, Fault: ollamatest.ErrorLine, FaultAt: 1}, "Hel", true},
			{"to an error before its first word", ollamatest.Answer{Fault: ollamatest.ErrorLine}, "", true},
		} {
			t.Run(name+", "+test.name, func(t *testing.T) {
				tick := make(chan struct{})
				test.answer.Pace = tick
				g := heartbeating(t, scriptedAs("hello", test.answer))
				source := g.from("127.0.0.2")
				speak(source)
				client := g.sdkOver(source, "bot")
				stream := client.Chat.Completions.NewStreaming(t.Context(), ask("hello"))
				var sum openai.ChatCompletionAccumulator
				beats := 0
				for stream.Next() {
					chunk := stream.Current()
					if !sum.AddChunk(chunk) || len(chunk.Choices) != 1 {
						t.Fatalf("the chunks do not fit together: %s", chunk.RawJSON())
					}
					choice := chunk.Choices[0]
					switch {
					case choice.Delta.Content != "":
						beats = 0
					case choice.Delta.Role == "" && choice.FinishReason == "":
						if beats++; beats == beforeEach {
							give(t, tick)
						}
					}
				}
				if failed := stream.Err() != nil; failed != test.fails || failed && !strings.Contains(stream.Err().Error(), "upstream_error") {
					t.Errorf("the stream ends with %v", stream.Err())
				}
				if got := sum.Choices[0]; got.Message.Content != test.text || (got.FinishReason == "stop") == test.fails {
					t.Errorf("says %q, finish reason %q", got.Message.Content, got.FinishReason)
				}
			})
		}
	}
}

// What is behind heartbeats must be an answer. If there will be none, the connection
// is cut: whatever came instead, some SDK would take it for one.
func TestOpenAIGoReadsAWholeAnswerBehindHeartbeats(t *testing.T) {
	for name, speak := range versions {
		for _, test := range []struct {
			name   string
			answer ollamatest.Answer
			fails  bool
		}{
			{"that comes", ollamatest.Answer{Content: []string{"Hel", "lo"}}, false},
			{"that fails in its midst", ollamatest.Answer{Content: []string{"Hel", "lo"}, Fault: ollamatest.ErrorLine, FaultAt: 1}, true},
			{"that fails before its first word", ollamatest.Answer{Fault: ollamatest.Cut}, true},
		} {
			t.Run(name+", "+test.name, func(t *testing.T) {
				tick := make(chan struct{})
				test.answer.Pace = tick
				g := heartbeating(t, scriptedAs("hello", test.answer))
				source := g.from("127.0.0.2")
				speak(source)
				body := &kept{tick: tick}
				inner := source.Transport
				source.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
					resp, err := inner.RoundTrip(r)
					if err == nil {
						body.ReadCloser, resp.Body = resp.Body, body
					}
					return resp, err
				})
				client := g.sdkOver(source, "bot")
				completion, err := client.Chat.Completions.New(t.Context(), ask("hello"))
				want := record{"http.response.status_code": 200, "event.reason": "ok", "event.outcome": "success"}
				if test.fails {
					want["event.reason"], want["event.outcome"] = "upstream_error", "failure"
					if err == nil || body.said || body.end == nil || body.end == io.EOF {
						t.Errorf("the connection is not cut, but ends with %v: %v, %+v", body.end, err, completion)
					}
				} else if err != nil || len(completion.Choices) != 1 || completion.Choices[0].Message.Content != "Hello" {
					t.Errorf("says %+v, %v", completion, err)
				}
				if body.beats < beforeEach {
					t.Errorf("%d heartbeats", body.beats)
				}
				checkRecord(t, g.recordWith("user.id", "bot"), want)
			})
		}
	}
}

// kept is a body that heartbeats keep alive. At every few of them Ollama goes on by
// a line.
type kept struct {
	io.ReadCloser
	tick  chan<- struct{}
	beats int
	said  bool // something else came
	end   error
}

func (k *kept) Read(p []byte) (int, error) {
	n, err := k.ReadCloser.Read(p)
	for _, c := range p[:n] {
		if c != '\n' {
			k.said = true
			continue
		}
		if k.beats++; k.beats%beforeEach == 0 {
			select {
			case k.tick <- struct{}{}:
			default: // Ollama has said all it has to say
			}
		}
	}
	k.end = err
	return n, err
}

func TestSDKsOfTheNPMWorldReadHeartbeats(t *testing.T) {
	packages := npmPackages(t, "clients/sdks")
	// a line takes as long as eight heartbeats
	slowly := func(answer ollamatest.Answer) ollamatest.Answer {
		answer.Interval = 250 * time.Millisecond
		return answer
	}
	g := heartbeating(t,
		scriptedAs("hello", slowly(ollamatest.Answer{Content: []string{"Hel", "lo"}})),
		scriptedAs("thinker", slowly(ollamatest.Answer{Thinking: []string{"h", "m"}, Content: []string{"so"}, ToolCalls: []ollama.ToolCall{
			{Function: ollama.FunctionCall{Name: "get_weather", Arguments: []byte(`{"city":"Paris"}`)}},
		}})),
		scriptedAs("failing", slowly(ollamatest.Answer{Content: []string{"Hel", "lo"}, Fault: ollamatest.ErrorLine, FaultAt: 1})),
		scriptedAs("silent", slowly(ollamatest.Answer{Fault: ollamatest.ErrorLine})),
	)
	g.runNode(packages, "heartbeats.mjs", map[string]string{"hello": "Hello", "thinking": "hm", "thinker": "so", "failing": "Hel"})
}
