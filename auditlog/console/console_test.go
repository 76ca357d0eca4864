package console

import (
	"encoding/json"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/gateway18789/caddy-ollama/auditlog/board"
	"github.com/gateway18789/caddy-ollama/auditlog/record"
	"github.com/gateway18789/caddy-ollama/ratelimit"
)

func TestCaddyfile(t *testing.T) {
	for _, test := range []struct {
		name, text string
		want       string // JSON
		wrong      string // or what is said of it
	}{
		{"nothing", "gateway_console", `{}`, ""},
		{"everything", "gateway_console {\nollama http://127.0.0.1:11434\nviewers 3\nprotected_elsewhere\n}",
			`{"ollama":"http://127.0.0.1:11434","viewers":3,"protected_elsewhere":true}`, ""},
		{"an argument", "gateway_console x", "", "wrong argument count"},
		{"an unknown option", "gateway_console {\nviewer 3\n}", "", `unrecognized option "viewer"`},
		{"an option twice", "gateway_console {\nviewers 3\nviewers 4\n}", "", "viewers is given twice"},
		{"no viewers", "gateway_console {\nviewers 0\n}", "", "from 1 to 1000"},
		{"too many viewers", "gateway_console {\nviewers 1001\n}", "", "from 1 to 1000"},
		{"no number", "gateway_console {\nviewers many\n}", "", "from 1 to 1000"},
		{"no address", "gateway_console {\nollama\n}", "", "wrong argument count"},
		{"an address without a scheme", "gateway_console {\nollama 127.0.0.1:11434\n}", "", "such as http://127.0.0.1:11434"},
		{"an address with a password", "gateway_console {\nollama http://anna:secret@127.0.0.1:11434\n}", "", "such as http://127.0.0.1:11434"},
		{"an address with a path", "gateway_console {\nollama http://127.0.0.1:11434/api/ps\n}", "", "and nothing else"},
		{"a switch with a value", "gateway_console {\nprotected_elsewhere off\n}", "", "wrong argument count"},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := new(Handler)
			err := h.UnmarshalCaddyfile(caddyfile.NewTestDispenser(test.text))
			if test.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), test.wrong) || strings.Contains(err.Error(), "secret") {
					t.Errorf("%v, want %q", err, test.wrong)
				}
				return
			}
			got, _ := json.Marshal(h)
			if err != nil || string(got) != test.want {
				t.Errorf("%s, %v; want %s", got, err, test.want)
			}
		})
	}
}

func TestJSONOptionsAreCheckedToo(t *testing.T) {
	for _, options := range []string{`{"viewers":-1}`, `{"viewers":1001}`, `{"ollama":"ftp://127.0.0.1"}`, `{"ollama":"http://127.0.0.1/?x"}`} {
		if _, err := newContext(t).LoadModuleByID("http.handlers.gateway_console", []byte(options)); err == nil {
			t.Errorf("%s is taken", options)
		}
	}
	_, e := begin(t, new(record.Record))
	if e != nil {
		t.Error("a configuration that was refused has left a board behind")
	}
}

func TestThePage(t *testing.T) {
	h := load(t, newContext(t), `{}`)
	for _, test := range []struct {
		method, path string
		status       int
		mediaType    string
	}{
		{"GET", "/", 200, "text/html; charset=utf-8"},
		{"GET", "/console.js", 200, "text/javascript; charset=utf-8"},
		{"GET", "/views.js", 200, "text/javascript; charset=utf-8"},
		{"GET", "/console.css", 200, "text/css; charset=utf-8"},
		{"GET", "/icon.svg", 200, "image/svg+xml"},
		{"GET", "/index.html", 404, ""},
		{"GET", "/console", 404, ""},
		{"GET", "/../console.go", 404, ""},
		{"GET", "/console/", 404, ""},
		{"GET", "//", 404, ""},
		{"GET", "/console%2ejs", 404, ""},
		{"GET", "/events/x", 404, ""},
		{"GET", "/x/events", 404, ""},
		{"GET", "//events", 404, ""},
		{"GET", "/%65vents", 404, ""},
		{"GET", "/Events", 404, ""},
		{"POST", "/", 405, ""},
		{"POST", "/events", 405, ""},
		{"GET", "/cancel", 405, ""},
		{"GET", "/unblock", 405, ""},
		{"HEAD", "/", 200, "text/html; charset=utf-8"},
		{"HEAD", "/console.css", 200, "text/css; charset=utf-8"},
		{"HEAD", "/console", 404, ""},
		{"HEAD", "/events", 405, ""},
		{"HEAD", "/cancel", 405, ""},
	} {
		w, status := serve(h, newRequest(test.method, "http://localhost"+test.path, ""))
		if status != test.status || w.Header().Get("Content-Type") != test.mediaType {
			t.Errorf("%s %s: %d, %q", test.method, test.path, status, w.Header().Get("Content-Type"))
		}
		if test.status == 405 {
			want := map[string]string{"/": "GET, HEAD", "/events": "GET", "/cancel": "POST", "/unblock": "POST"}[test.path]
			if got := w.Header().Get("Allow"); got != want {
				t.Errorf("%s %s: Allow %q, want %q", test.method, test.path, got, want)
			}
		}
		policy := w.Header().Get("Content-Security-Policy")
		for _, part := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "frame-ancestors 'none'", "form-action 'none'"} {
			if !strings.Contains(policy, part) {
				t.Errorf("%s %s: the policy %q lacks %s", test.method, test.path, policy, part)
			}
		}
		if strings.Contains(policy, "unsafe") || w.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s %s: %v", test.method, test.path, w.Header())
		}
	}
}

func TestThePageIsSentOnce(t *testing.T) {
	h := load(t, newContext(t), `{}`)
	w, _ := serve(h, newRequest("GET", "/console.js", ""))
	r := newRequest("GET", "/console.js", "")
	r.Header.Set("If-None-Match", w.Header().Get("Etag"))
	if w, status := serve(h, r); status != 304 || w.Body.Len() != 0 {
		t.Errorf("then %d with %d bytes", status, w.Body.Len())
	}
	r.Header.Set("If-None-Match", `"other"`)
	if w, status := serve(h, r); status != 200 || w.Body.Len() == 0 {
		t.Errorf("another: %d with %d bytes", status, w.Body.Len())
	}
}

// What the policy forbids would fail in the browser only.
func TestThePageHasNothingInlineAndNothingFromElsewhere(t *testing.T) {
	files, err := os.ReadDir("page")
	if err != nil {
		t.Fatal(err)
	}
	forbidden := regexp.MustCompile(`(?i)https?://|<style|\bstyle=|<script[^>]*>[^<]|\son\w+=|innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|localStorage|sessionStorage|@import|url\(`)
	for _, file := range files {
		content, err := os.ReadFile("page/" + file.Name())
		if err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(string(content), "http://www.w3.org/2000/svg", "") // a name, not an address
		if found := forbidden.FindString(text); found != "" {
			t.Errorf("%s has %q", file.Name(), found)
		}
	}
}

func TestWhoMayLookAndAct(t *testing.T) {
	const user = "http.auth.user.id"
	proxied := func(header string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(header, "192.0.2.1") }
	}
	foreign := func(r *http.Request) { r.Host, r.RemoteAddr = "gw.example.com", "192.0.2.1:5000" }
	known := func(r *http.Request) {
		foreign(r)
		r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer).Set(user, "operator")
	}
	for _, test := range []struct {
		name    string
		options string
		change  func(*http.Request)
		status  int
	}{
		{"from this host", `{}`, func(*http.Request) {}, 404},
		{"from this host, by its address", `{}`, func(r *http.Request) { r.Host = "127.0.0.1" }, 404},
		{"from this host, by its address in IPv6", `{}`, func(r *http.Request) { r.Host, r.RemoteAddr = "[::1]:18790", "[::1]:5000" }, 404},
		{"from this host, by a name that somebody gave its address", `{}`, func(r *http.Request) { r.Host = "rebound.example.com" }, 403},
		{"from this host, for the sake of another", `{}`, proxied("X-Forwarded-For"), 403},
		{"from this host, for the sake of another who says so otherwise", `{}`, proxied("Forwarded"), 403},
		{"from another host", `{}`, foreign, 403},
		{"from another that calls us localhost", `{}`, func(r *http.Request) { r.RemoteAddr = "192.0.2.1:5000" }, 403},
		{"from a user who has shown who he is", `{}`, known, 404},
		{"from another host, where something else protects", `{"protected_elsewhere":true}`, foreign, 404},
		{"without the page's header", `{}`, func(r *http.Request) { r.Header.Del(ownHeader) }, 403},
		{"without the page's header, by a known user", `{}`, func(r *http.Request) { known(r); r.Header.Del(ownHeader) }, 403},
		{"from the page", `{}`, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-origin") }, 404},
		{"from another site", `{}`, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }, 403},
		{"from a neighbour", `{}`, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-site") }, 403},
		{"from another origin", `{}`, func(r *http.Request) { r.Header.Set("Origin", "https://evil.example.com") }, 403},
		{"from its own origin", `{}`, func(r *http.Request) { r.Header.Set("Origin", "http://localhost:18790") }, 404},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := load(t, newContext(t), test.options)
			r := newRequest("POST", "/cancel", `{"key":99}`) // which is not there
			test.change(r)
			if w, status := serve(h, r); status != test.status || strings.Contains(w.Header().Get("Access-Control-Allow-Origin"), "*") {
				t.Errorf("%d", status)
			}
		})
	}
}

// Who looks into the audit log for it must not search his allow-list.
func TestTheRecordTellsWhyTheConsoleRefuses(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*http.Request)
		reason string
	}{
		{"from another host", func(r *http.Request) { r.RemoteAddr = "192.0.2.1:5000" }, "forbidden_address"},
		{"without the page's header", func(r *http.Request) { r.Header.Del(ownHeader) }, "forbidden_origin"},
		{"from another site", func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }, "forbidden_origin"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRequest("POST", "/cancel", `{"key":99}`)
			test.change(r)
			rec := new(record.Record)
			_, status := serve(load(t, newContext(t), `{}`), r.WithContext(record.NewContext(r.Context(), rec)))
			if status != 403 || rec.Reason != test.reason {
				t.Errorf("%d, %s: want 403, %s", status, rec.Reason, test.reason)
			}
		})
	}
}

func TestWhoMayNotLookIsShownNothing(t *testing.T) {
	h := load(t, newContext(t), `{}`)
	r := newRequest("GET", "/events", "")
	r.RemoteAddr = "192.0.2.1:5000"
	if w, status := serve(h, r); status != 403 || w.Body.Len() > 0 {
		t.Errorf("%d %s", status, w.Body)
	}
}

func TestCancel(t *testing.T) {
	h := load(t, newContext(t), `{}`)
	ctx, e := begin(t, &record.Record{RequestID: "r1"})
	shown, _ := h.board.InFlight(1)
	order, _ := json.Marshal(map[string]uint64{"key": shown[0].Key})
	if _, status := serve(h, newRequest("POST", "/cancel", string(order))); status != 204 || !record.WasCancelled(ctx) {
		t.Errorf("%d, cancelled: %v", status, record.WasCancelled(ctx))
	}
	e.End(&record.Record{Reason: record.Cancelled})
	for body, want := range map[string]int{
		string(order): 404, `{"key":-1}`: 400, `{"key":"1"}`: 400, `{"id":"r1"}`: 400, ``: 400, strings.Repeat(" ", 5000) + `{"key":1}`: 400,
	} {
		if _, status := serve(h, newRequest("POST", "/cancel", body)); status != want {
			t.Errorf("%.40q: %d, want %d", body, status, want)
		}
	}
}

// The page's own requests are no news; what its buttons do is.
func TestWhoLooksIsNotOnTheBoard(t *testing.T) {
	h := load(t, newContext(t), `{}`)
	for _, test := range []struct {
		method, path, body string
		shown              int
	}{
		{"GET", "/", "", 0}, {"GET", "/console.js", "", 0}, {"POST", "/cancel", `{"key":99}`, 1},
	} {
		r := newRequest(test.method, test.path, test.body)
		ctx, e := board.Begin(r.Context(), new(record.Record), func(name string) string { return name })
		serve(h, r.WithContext(ctx))
		if _, all := h.board.InFlight(1); all != test.shown {
			t.Errorf("%s %s: %d in flight", test.method, test.path, all)
		}
		e.End(&record.Record{Reason: record.OK})
	}
}

func TestUnblock(t *testing.T) {
	ctx := newContext(t)
	h := load(t, ctx, `{}`)
	if _, status := serve(h, newRequest("POST", "/unblock", `{"zone":"default","client":"192.0.2.1"}`)); status != 404 {
		t.Errorf("without an ip_throttle: %d", status)
	}
	for body, want := range map[string]int{`{"zone":1}`: 400, `{"client":"192.0.2.1","zone":"x","more":1}`: 400} {
		if _, status := serve(h, newRequest("POST", "/unblock", body)); status != want {
			t.Errorf("%s: %d", body, status)
		}
	}
	if blocks := ratelimit.Blocks(""); len(blocks) != 0 {
		t.Errorf("%+v", blocks)
	}
}

// A reload provisions the next configuration before it cleans the last one up.
func TestTheBoardLivesThroughReloads(t *testing.T) {
	old, oldEnd := caddy.NewContext(caddy.Context{Context: t.Context()})
	load(t, old, `{}`)
	ctx, entry := begin(t, &record.Record{RequestID: "long"})
	young, youngEnd := caddy.NewContext(caddy.Context{Context: t.Context()})
	h := load(t, young, `{}`)
	oldEnd()
	if shown, _ := h.board.InFlight(1); len(shown) != 1 || shown[0].RequestID != "long" {
		t.Fatalf("in flight: %+v", shown)
	}
	youngEnd()
	if _, e := begin(t, new(record.Record)); e != nil {
		t.Error("there is a board though nobody can look")
	}
	entry.End(new(record.Record)) // of a request that outlives them all
	board.Hide(ctx)
}
