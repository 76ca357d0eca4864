package integration

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/go-json-experiment/json"
	"github.com/rs/zerolog"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
)

// network is a TCP proxy that does to connections what networks do.
type network struct {
	t     *testing.T
	proxy *toxiproxy.Proxy
}

// startNetwork puts a network in front of an address, until the test ends.
func startNetwork(t *testing.T, to string) *network {
	t.Helper()
	zerolog.SetGlobalLevel(zerolog.Disabled) // toxics write to the standard error
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	proxy := toxiproxy.NewProxy(server, "network", "127.0.0.1:0", to)
	if err := proxy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Stop)
	return &network{t, proxy}
}

func (n *network) address() string { return n.proxy.Listen }

// suffer makes connections suffer from one of toxiproxy's toxics, on the way back to
// who dialled: those that are open, and those to come, until relent. Toxicity 0 only
// makes those to come ready for it, which a reset needs.
func (n *network) suffer(kind, attributes string, toxicity int) (relent func()) {
	n.t.Helper()
	toxic, err := n.proxy.Toxics.AddToxicJson(strings.NewReader(fmt.Sprintf(
		`{"name":"%[1]s %[3]d","type":%[1]q,"attributes":%[2]s,"toxicity":%[3]d}`, kind, attributes, toxicity)))
	if err != nil {
		n.t.Fatal(err)
	}
	return func() {
		n.t.Helper()
		if err := n.proxy.Toxics.RemoveToxic(context.Background(), toxic.Name); err != nil {
			n.t.Fatal(err)
		}
	}
}

// startGatewayWith is startGateway with changes to the Caddyfile: old, new, old, new …
func startGatewayWith(t *testing.T, upstream string, changes ...string) *gateway {
	t.Helper()
	g := prepareGateway(t, upstream)
	g.change(changes...)
	g.process = startProcess(t, g.dir, "run", "--config", g.configFile(), "--adapter", "caddyfile")
	g.awaitListening(t, g.address())
	return g
}

// change changes the Caddyfile: old, new, old, new …
func (g *gateway) change(changes ...string) {
	g.t.Helper()
	for i := 0; i < len(changes); i += 2 {
		if !strings.Contains(g.caddyfile, changes[i]) {
			g.t.Fatalf("the Caddyfile does not say %q", changes[i])
		}
		g.caddyfile = strings.Replace(g.caddyfile, changes[i], changes[i+1], 1)
	}
	g.writeConfig(g.caddyfile)
}

// impatient are changes to the Caddyfile: one slot, and little patience with Ollama.
var impatient = []string{
	"concurrency 200", "concurrency 1",
	"default_model", "first_byte_timeout 500ms\n\t\t\tstall_timeout 500ms\n\t\t\tcoalesce_loads off\n\t\t\tdefault_model",
}

// said is the text of an answer that is complete, in either form.
func said(t *testing.T, a answer) string {
	t.Helper()
	if a.status != 200 {
		t.Fatalf("got %d %s", a.status, a.body)
	}
	pieces := []string{a.body}
	if strings.HasPrefix(a.body, "data: ") {
		events, done := strings.CutSuffix(a.body, "\n\ndata: [DONE]\n\n")
		if !done {
			t.Errorf("the stream ends with %q", a.body[max(0, len(a.body)-200):])
		}
		pieces = strings.Split(strings.TrimPrefix(events, "data: "), "\n\ndata: ")
	}
	var text, finish strings.Builder
	type message struct {
		Content string `json:"content"`
	}
	for _, piece := range pieces {
		var part struct {
			Choices []struct {
				Message      message `json:"message"`
				Delta        message `json:"delta"`
				FinishReason string  `json:"finish_reason"`
			} `json:"choices"`
		}
		if err := json.Unmarshal([]byte(piece), &part); err != nil || len(part.Choices) != 1 {
			t.Fatalf("%s: %v", piece, err)
		}
		choice := part.Choices[0]
		text.WriteString(choice.Message.Content + choice.Delta.Content)
		finish.WriteString(choice.FinishReason)
	}
	if finish.String() != "stop" {
		t.Errorf("finishes for %q", finish.String())
	}
	return text.String()
}

// What only slows an answer down, or cuts it into other pieces, changes nothing of it.
// Ollama sends every byte as a chunk of its own, for net/http puts together what the
// network has cut of a chunk.
func TestNetworkThatIsSlowLosesNothing(t *testing.T) {
	var pieces []string
	for i := range 4 {
		pieces = append(pieces, fmt.Sprintf("%d: \"Grüße\" 世界 👋\n", i))
	}
	upstream := ollamatest.NewServer(ollamatest.Model{Name: "hello", Answer: func(ollama.ChatRequest) ollamatest.Answer {
		return ollamatest.Answer{Content: pieces, Fault: ollamatest.Split}
	}})
	t.Cleanup(upstream.Close)
	net := startNetwork(t, upstream.Address())
	g := startGatewayWith(t, net.address(), "concurrency 200", "concurrency 1")
	for i, test := range []struct {
		name, toxic, attributes string
		atLeast                 time.Duration // that it takes
	}{
		{"latency", "latency", `{"latency":150}`, 150 * time.Millisecond},
		{"jitter", "latency", `{"latency":150,"jitter":100}`, 50 * time.Millisecond},
		{"bandwidth", "bandwidth", `{"rate":7}`, 150 * time.Millisecond},
		{"slices that cut every rune", "slicer", `{"average_size":3,"size_variation":1,"delay":100}`, 50 * time.Millisecond},
	} {
		for _, stream := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, stream %t", test.name, stream), func(t *testing.T) {
				relent := net.suffer(test.toxic, test.attributes, 1)
				defer relent()
				client, began := g.from(fmt.Sprintf("127.0.0.%d", 2+i)), time.Now()
				a := g.mustPost(client, tokenFor(t, "bot"), chatBody("hello", stream))
				took := time.Since(began)
				if got := said(t, a); got != strings.Join(pieces, "") {
					t.Errorf("says %q", got)
				}
				if took < test.atLeast {
					t.Errorf("took %s: the network did not slow it down", took)
				}
				checkRecord(t, g.recordOf(a), record{
					"http.response.status_code": 200, "event.reason": "ok", "gen_ai.usage.output_tokens": len(pieces),
				})
			})
		}
	}
}

// arrived waits for the request after so many others at Ollama.
func arrived(t *testing.T, upstream *ollamatest.Server, others int) *ollamatest.Request {
	t.Helper()
	await(t, "a request at Ollama", func() error {
		if n := len(upstream.Requests()); n <= others {
			return fmt.Errorf("it had %d", n)
		}
		return nil
	})
	return upstream.Requests()[others]
}

// cancelled waits until Ollama has stopped working for a request.
func cancelled(t *testing.T, request *ollamatest.Request) {
	t.Helper()
	select {
	case <-request.Ended():
		if !request.Cancelled() {
			t.Error("Ollama answered to the end")
		}
	case <-time.After(20 * time.Second):
		t.Fatal("Ollama works for nobody")
	}
}

// say lets a model say a line, unless its request has ended.
func say(tick chan<- struct{}, request *ollamatest.Request) {
	select {
	case tick <- struct{}{}:
	case <-request.Ended():
	}
}

// slotIsFree checks that the next client is answered.
func (g *gateway) slotIsFree(t *testing.T, client *http.Client) {
	t.Helper()
	if got := said(t, g.mustPost(client, tokenFor(t, "bot"), chatBody("healthy", true))); got != "I am well" {
		t.Errorf("the next client is told %q", got)
	}
}

func TestNetworkFaultOnTheWayToOllama(t *testing.T) {
	for _, fault := range []struct {
		name, toxic, attributes string
		status                  int // while nothing was sent yet
		code, reason            string
	}{
		{"the connection is reset", "reset_peer", `{}`, 502, "upstream_error", "upstream_error"},
		{"nothing comes any more", "timeout", `{}`, 504, "upstream_timeout", "upstream_stalled"},
		{"nothing comes any more, then the connection ends", "timeout", `{"timeout":100}`, 502, "upstream_error", "upstream_error"},
		{"the connection ends within a line", "limit_data", `{"bytes":9}`, 502, "upstream_error", "upstream_error"},
	} {
		t.Run(fault.name, func(t *testing.T) {
			tick := make(chan struct{})
			upstream := ollamatest.NewServer(counting(9, tick), ollamatest.Says("healthy", "I am well"))
			t.Cleanup(upstream.Close)
			net := startNetwork(t, upstream.Address())
			net.suffer(fault.toxic, fault.attributes, 0)
			g := startGatewayWith(t, net.address(), impatient...)
			spoiled := func(status int) record {
				return record{"http.response.status_code": status, "event.reason": fault.reason, "event.outcome": "failure"}
			}

			for i, test := range []struct {
				name   string
				stream bool
				lines  int
			}{
				{"before the first byte of a stream", true, 0},
				{"before the first byte of a whole answer", false, 0},
				{"while Ollama writes a whole answer", false, 3},
			} {
				t.Run(test.name, func(t *testing.T) {
					client, others := g.from(fmt.Sprintf("127.0.0.%d", 2+i)), len(upstream.Requests())
					token, answers := tokenFor(t, "bot"), make(chan answer, 1)
					go func() {
						a, err := g.post(client, token, chatBody("hello", test.stream))
						if err != nil {
							t.Error(err)
						}
						answers <- a
					}()
					request := arrived(t, upstream, others)
					for range test.lines {
						say(tick, request)
					}
					relent := net.suffer(fault.toxic, fault.attributes, 1)
					say(tick, request)
					a := <-answers
					if a.status != fault.status || a.errorCode() != fault.code {
						t.Errorf("got %d %s", a.status, a.body)
					}
					checkRecord(t, g.recordOf(a), spoiled(fault.status))
					cancelled(t, request)
					relent()
					g.slotIsFree(t, client)
				})
			}

			t.Run("in the midst of a stream", func(t *testing.T) {
				client, others := g.from("127.0.0.10"), len(upstream.Requests())
				s := g.stream(startedBy(tick, client), tokenFor(t, "bot"), chatBody("hello", true))
				if got := s.nextContent(); got != "1 " {
					t.Fatalf("begins with %q", got)
				}
				request := arrived(t, upstream, others)
				relent := net.suffer(fault.toxic, fault.attributes, 1)
				say(tick, request)
				end, ok := s.next()
				if code := (answer{body: end}).errorCode(); !ok || code != fault.code {
					t.Errorf("ends with %q, want an error event with code %s", end, fault.code)
				}
				if more, ok := s.next(); ok || s.events.Err() != nil {
					t.Errorf("after its end comes %q, %v", more, s.events.Err())
				}
				checkRecord(t, g.recordOf(answer{header: s.resp.Header}), spoiled(200))
				cancelled(t, request)
				relent()
				g.slotIsFree(t, client)
			})
		})
	}
}
