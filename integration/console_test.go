package integration

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/golang-jwt/jwt/v5"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
)

// withConsole is a gateway that has a console on a loopback port, and its address.
func withConsole(t *testing.T, upstream *ollamatest.Server, console string) (g *gateway, address string) {
	t.Helper()
	g = prepareGateway(t, upstream.Address())
	port := freePort(t)
	address = "http://localhost:" + port + "/console/"
	g.caddyfile = strings.NewReplacer("rate 5/s", "rate 1000/s", "burst 10", "burst 1000\nqueue 10 30s").Replace(g.caddyfile) +
		fmt.Sprintf(`
http://localhost:%s {
	bind 127.0.0.1
	handle_path /console/* {
		route {
			audit_log
			%s
			gateway_console {
				ollama %s
			}
		}
	}
	handle_errors {
		openai_error
	}
}
`, port, strings.ReplaceAll(console, "/etc/caddy-ollama", g.dir), upstream.URL)
	g.writeConfig(g.caddyfile)
	g.process = startProcess(t, g.dir, "run", "--config", g.configFile(), "--adapter", "caddyfile")
	g.awaitListening(t, g.address())
	return g, address
}

// talkative is a model that goes on as long as it is listened to.
func talkative() ollamatest.Model {
	return ollamatest.Model{Name: "hello", LoadTime: time.Millisecond, ContextLength: 4096, Answer: func(r ollama.ChatRequest) ollamatest.Answer {
		if strings.Contains(r.Messages[len(r.Messages)-1].Content, "briefly") {
			return ollamatest.Answer{Content: []string{"yes"}, PromptTokens: 7}
		}
		return ollamatest.Answer{Content: lasting, Interval: 20 * time.Millisecond, PromptTokens: 7}
	}}
}

// lastingStream starts one for a user, and returns what its client has got when it has ended.
func (g *gateway) lastingStream(user string) (got <-chan string) {
	g.t.Helper()
	came := make(chan string, 1)
	token := tokenFor(g.t, user)
	client := g.from("127.0.0.2")
	go func() {
		a, err := g.post(client, token, chatBody("hello", true))
		came <- fmt.Sprint(a.status, " ", a.body, " ", err)
	}()
	return came
}

const rowOf = `[...document.querySelectorAll("#open tbody tr")].find((r) => r.innerText.includes(%q))`

func TestConsoleInABrowser(t *testing.T) {
	// a name that does harm where it is taken for HTML
	const hostile = `<img src=x onerror="document.title='taken'">`
	for _, l := range looks {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel() // most of it is waiting
			tab := openTab(t, l)
			upstream := ollamatest.NewServer(talkative())
			t.Cleanup(upstream.Close)
			g, address := withConsole(t, upstream, "")

			tab.do(chromedp.Navigate(address))
			tab.await("the connection", `document.getElementById("link").textContent === "Live"`)
			tab.await("the zone", `document.getElementById("zones").innerText.includes("default")`)

			// what is asked while one looks is seen
			for _, user := range []string{"anna", hostile} {
				if a := g.mustPost(g.from("127.0.0.2"), tokenFor(t, user), strings.Replace(chatBody("hello", false), "hi", "briefly", 1)); a.status != 200 {
					t.Fatalf("%d %s", a.status, a.body)
				}
			}
			cancelled, left := g.lastingStream("anna"), g.lastingStream(hostile)
			tab.await("both streams", `document.querySelectorAll("#open tbody tr").length === 2`)
			row := fmt.Sprintf(rowOf, "anna")
			tokens := row + `.querySelector('[data-label="Tokens so far"]').textContent`
			tab.await("tokens", `Number(`+tokens+`) > 0`)
			tab.await("more tokens", fmt.Sprintf(`Number(%s) > %s`, tokens, eval[string](tab, tokens)))
			tab.await("the model in memory", `document.getElementById("loaded").innerText.includes("hello")`)
			tab.await("the plots", `document.querySelectorAll("#users svg path[d^=M]").length === 4`)
			tab.await("the plots' words", `document.querySelector("#users svg").getAttribute("aria-label").includes("1 requests, at most 1 a minute")`)
			if eval[string](tab, "document.title") == "taken" || eval[int](tab, `document.querySelectorAll("img").length`) != 0 {
				t.Error("a user's name has become HTML")
			}
			if wide := eval[int](tab, "document.documentElement.scrollWidth"); int64(wide) > l.width {
				t.Errorf("the page is %d wide", wide)
			}

			// three errors in a row block a client
			for range 3 {
				g.mustPost(g.from("127.0.0.3"), "no.token.this", chatBody("hello", false))
			}
			if a := g.mustPost(g.from("127.0.0.3"), tokenFor(t, "anna"), chatBody("hello", false)); a.errorCode() != "client_blocked" {
				t.Fatalf("not blocked: %d %s", a.status, a.body)
			}
			tab.await("the block", `document.getElementById("blocks").innerText.includes("127.0.0.3")`)
			tab.await("the refusals", `document.getElementById("ended").innerText.includes("bad_token")`)
			tab.picture(l.name)

			// the button wants to be meant
			button := row + `.querySelector("button")`
			tab.do(chromedp.Evaluate[chromedp.Void](button + `.click()`))
			if text := eval[string](tab, button+".textContent"); text != "Sure?" {
				t.Errorf("pressed once, the button says %q", text)
			}
			tab.do(chromedp.Evaluate[chromedp.Void](button + `.click()`))
			got := within(t, "the end of the stream", func() string { return <-cancelled })
			if !strings.HasPrefix(got, "200 ") || strings.Contains(got, "[DONE]") || !strings.Contains(got, `"code":"cancelled"`) {
				t.Errorf("the stream ends with %s", got[max(0, len(got)-300):])
			}
			request := upstream.Requests()[2]
			if request.Header.Get("X-Request-Id") != g.recordWith("event.reason", "cancelled")["http.request.id"] {
				request = upstream.Requests()[3]
			}
			within(t, "Ollama's end", func() struct{} { return <-request.Ended() })
			if !request.Cancelled() {
				t.Error("Ollama has gone on")
			}
			checkRecord(t, g.recordWith("event.reason", "cancelled"), record{
				"user.id": "anna", "event.outcome": "failure", "http.response.status_code": 200, "labels.usage_estimated": true,
			})
			tab.await("the row to go", `document.querySelectorAll("#open tbody tr").length === 1`)
			tab.await("the record", `document.getElementById("ended").innerText.includes("200 cancelled")`)
			tab.await("the word of it", `document.getElementById("told").textContent.includes("is cancelled")`)

			// by keyboard
			tab.do(chromedp.Focus(chromedp.CSS("#blocks button")), chromedp.KeyEvent(kb.Enter), chromedp.KeyEvent(kb.Enter))
			tab.await("the block to go", `document.getElementById("blocks").hidden`)
			if focused := eval[string](tab, "document.activeElement.id"); focused != "blocked" {
				t.Errorf("then the focus is at %q", focused)
			}
			if a := g.mustPost(g.from("127.0.0.3"), tokenFor(t, "anna"), strings.Replace(chatBody("hello", false), "hi", "briefly", 1)); a.status != 200 {
				t.Errorf("then he gets %d %s", a.status, a.body)
			}

			// a reload ends what is shown, and the page comes back; the board has all it had
			if err := g.reload(strings.Replace(g.caddyfile, "rate 1000/s", "rate 999/s", 1)); err != nil {
				t.Fatal(err)
			}
			tab.await("the new rate", `document.getElementById("zones").innerText.includes("999/s")`)
			tab.await("what was in flight", `document.querySelectorAll("#open tbody tr").length === 1`)
			tab.await("what had ended", `document.getElementById("ended").innerText.includes("200 cancelled")`)
			if troubles := tab.takeTroubles(); len(troubles) > 0 {
				t.Errorf("the browser says %q", troubles)
			}

			// whoever looks does not hold up the end
			tab.do(chromedp.Evaluate[chromedp.Void](`{ const b = document.querySelector("#open button"); b.click(); b.click(); }`))
			within(t, "its end", func() string { return <-left })
			began := time.Now()
			if err := g.cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			within(t, "the gateway's end", func() struct{} { return <-g.exited })
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("the gateway ends after %v", took)
			}
			tab.await("the word of that", `document.getElementById("link").textContent.includes("Not connected")`)
		})
	}
}

// Behind jwt_auth the page asks for a token, and shows nothing before it has one.
func TestConsoleBehindJWTInABrowser(t *testing.T) {
	tab := openTab(t, looks[0])
	upstream := ollamatest.NewServer(talkative())
	t.Cleanup(upstream.Close)
	g, address := withConsole(t, upstream, `
			@data path /events /cancel /unblock
			jwt_auth @data {
				secret {file./etc/caddy-ollama/jwt.key}
				require scope console
			}`)
	left := g.lastingStream("anna")
	tab.do(chromedp.Navigate(address))
	for _, attempt := range []struct{ token, says string }{
		{"", "missing bearer token"},
		{"nonsense", "invalid or expired token"},
		{tokenFor(t, "bot"), "does not permit this"}, // the clients' tokens are no good here
	} {
		if attempt.token != "" {
			tab.do(chromedp.SendKeys(chromedp.CSS("#ask-token"), attempt.token+kb.Enter))
		}
		tab.await("the question for a token", fmt.Sprintf(`document.getElementById("ask").open && document.getElementById("ask-why").textContent.includes(%q)`, attempt.says))
		if shown := eval[string](tab, "document.querySelector('main').innerText"); strings.Contains(shown, "anna") {
			t.Fatalf("shown all the same: %s", shown)
		}
	}
	tab.picture("token")
	now := time.Now()
	operator := signedToken(t, jwtSecret, jwt.MapClaims{
		"sub": "operator", "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(), "scope": "console",
	})
	tab.do(chromedp.SendKeys(chromedp.CSS("#ask-token"), operator+kb.Enter))
	tab.await("the stream", `!document.getElementById("ask").open && document.getElementById("open").innerText.includes("anna")`)
	if page := eval[string](tab, "document.documentElement.outerHTML"); strings.Contains(page, operator) {
		t.Error("the token is in the page")
	}
	tab.do(chromedp.Evaluate[chromedp.Void](`{ const b = document.querySelector("#open button"); b.click(); b.click(); }`))
	if got := within(t, "its end", func() string { return <-left }); !strings.Contains(got, `"code":"cancelled"`) {
		t.Errorf("the stream ends with %s", got)
	}
	checkRecord(t, g.recordWith("url.path", "/cancel"), record{"user.id": "operator", "http.response.status_code": 204, "event.reason": "ok"})
}
