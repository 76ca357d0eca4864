package integration

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
)

// What goes on while the configuration is changed.
const (
	liveStreams   = 50
	linesOfStream = 300
)

// kernelMigrates is set in the environment where nothing may be lost with any listener.
const kernelMigrates = "CADDY_OLLAMA_TEST_KERNEL_MIGRATES"

// noon is how often it is changed, and how often somebody asks meanwhile.
func noon() (changes int, changesEvery, requestsEvery time.Duration) {
	switch {
	case raceEnabled: // a handshake takes half a second then, and must not meet two changes
		return 10, time.Second, 100 * time.Millisecond
	case testing.Short():
		return 20, 100 * time.Millisecond, 20 * time.Millisecond
	}
	return 100, 100 * time.Millisecond, 20 * time.Millisecond
}

// reloads are how often it is changed.
func reloads() int {
	n, _, _ := noon()
	return n
}

// noonModels are a model that answers at once, and one that goes on for as long as it
// is fed.
func noonModels(pace <-chan struct{}) []ollamatest.Model {
	var numbers []string
	for i := range linesOfStream {
		numbers = append(numbers, strconv.Itoa(i+1)+" ")
	}
	return []ollamatest.Model{
		ollamatest.Says("hello", "Hello", " world"),
		{Name: "long", Answer: func(ollama.ChatRequest) ollamatest.Answer {
			return ollamatest.Answer{Content: numbers, Pace: pace}
		}},
	}
}

// feed feeds streams until it is stopped, and then all they want.
func feed(t *testing.T) (pace chan struct{}, stop func()) {
	pace, done := make(chan struct{}), make(chan struct{})
	stop = sync.OnceFunc(func() { close(done) })
	t.Cleanup(stop)
	go func() {
		defer close(pace)
		ticker := time.NewTicker(4 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case <-ticker.C:
			}
			select {
			case <-done:
				return
			case pace <- struct{}{}:
			}
		}
	}()
	return pace, stop
}

// side is a server that is changed while it works.
type side struct {
	*gateway
	path    string // of chats
	http2   bool
	clients []*http.Client
	token   string
	tries   int // how often a request is sent until one connection is not lost

	sent, lost atomic.Int64
	late       atomic.Int64 // requests that met what was changed, or were lost
	turnedAway atomic.Int64 // of those that are lost: before the TLS handshake was over, mostly in the queue
	unread     atomic.Int64 // of those that are lost: after the request was sent
	streams    []<-chan answer
	stopLoad   func() // and wait for the answers to all that was sent
}

func newSide(g *gateway, path string, http2 bool) *side {
	s := &side{gateway: g, path: path, http2: http2, token: tokenFor(g.t, "bot"), tries: 3}
	for i := range liveStreams { // each with a throttle of its own
		s.clients = append(s.clients, s.caller(fmt.Sprintf("127.0.0.%d", 2+i)))
	}
	return s
}

// caller is a client that opens a connection for each request, and leaves no trying
// again to its HTTP library.
func (s *side) caller(source string) *http.Client {
	client := s.from(source)
	transport := client.Transport.(*http.Transport)
	transport.DisableKeepAlives, transport.ForceAttemptHTTP2 = true, s.http2
	client.Timeout = time.Minute
	return client
}

func (s *side) chat(client *http.Client, body string) (answer, error) {
	return s.chatIn(context.Background(), client, body)
}

func (s *side) chatIn(ctx context.Context, client *http.Client, body string) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url(s.path), strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+s.token)
	resp, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(data)}, err
}

// open opens the live streams, and waits until each has begun.
func (s *side) open() {
	s.t.Helper()
	for i := range liveStreams {
		req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.url(s.path), strings.NewReader(chatBody("long", true)))
		if err != nil {
			s.t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer "+s.token)
		client := s.from(fmt.Sprintf("127.0.0.%d", 60+i))
		resp, err := client.Do(req)
		if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
			s.t.Fatal(err, s.hangs("a stream's beginning"))
		}
		if err != nil {
			s.t.Fatal(err)
		}
		answers := make(chan answer, 1)
		s.streams = append(s.streams, answers)
		go func() {
			defer resp.Body.Close()
			data, err := io.ReadAll(resp.Body)
			if err != nil {
				s.t.Errorf("stream %d is broken: %v", i, err)
			}
			answers <- answer{resp.StatusCode, resp.Header, string(data)}
		}()
	}
}

// work sends requests until stopLoad. One whose connection fails is sent again, as often as
// OpenAI's SDKs do.
func (s *side) work() {
	done := make(chan struct{})
	var pending, loop sync.WaitGroup
	loop.Go(func() {
		_, _, every := noon()
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			case <-ticker.C:
			}
			pending.Go(func() { s.request(s.clients[i%len(s.clients)]) })
		}
	})
	s.stopLoad = sync.OnceFunc(func() {
		close(done)
		loop.Wait()
		pending.Wait()
	})
	s.t.Cleanup(s.stopLoad)
}

func (s *side) request(client *http.Client) {
	s.sent.Add(1)
	body := chatBody("hello", false)
	var secured atomic.Bool
	a, err := s.chatIn(httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { secured.Store(true) },
	}), client, body)
	if err != nil {
		s.lost.Add(1)
		s.t.Logf("lost: %v", err)
		if secured.Load() {
			s.unread.Add(1)
		} else {
			s.turnedAway.Add(1)
		}
		for tries := 1; err != nil && tries < s.tries; tries++ {
			a, err = s.chat(client, body)
		}
	}
	if err != nil || a.status != 200 || !strings.Contains(a.body, "Hello world") {
		s.t.Errorf("%s: got %d %s (%v)", s.path, a.status, a.body, err)
	}
}

// load puts a Caddyfile in force by the admin API, which is what `caddy reload` does.
func (s *side) load(caddyfile string) error {
	s.writeConfig(caddyfile)
	a, err := s.admin(http.MethodPost, "/load", caddyfile)
	if err == nil && a.status != 200 {
		err = fmt.Errorf("%d %s", a.status, a.body)
	}
	return err
}

// admin asks the admin API, more than once if there is no answer: see insist.
func (s *side) admin(method, path, body string) (a answer, err error) {
	err = s.insist(method+" "+path, func(ctx context.Context) error {
		a, err = s.adminOnce(ctx, method, path, body)
		return err
	})
	return a, err
}

func (s *side) adminOnce(ctx context.Context, method, path, body string) (answer, error) {
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", s.file("admin.sock"))
	}}
	req, err := http.NewRequestWithContext(ctx, method, "http://localhost"+path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Content-Type", "text/caddyfile")
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(data)}, err
}

// burstOf is the burst of the i-th edition. It never shrinks: what a client owes is cut
// down to a smaller one, and who asks too often would gain by it.
func burstOf(i int) int { return 10 + i/5 }

// edition is the gateway's Caddyfile, changed for the i-th time.
func (s *side) edition(i int) string {
	return strings.NewReplacer(
		"burst 10", fmt.Sprintf("burst %d", burstOf(i)),
		"default_model hello", fmt.Sprintf("default_model hello\n\t\t\tlimits {\n\t\t\t\tnum_predict %d\n\t\t\t}", 1000+i),
	).Replace(s.caddyfile)
}

// inForce checks that the i-th edition is what the next request meets. One whose connection
// was lost is late, and no other.
func (s *side) inForce(upstream *ollamatest.Server, i int, client *http.Client) {
	s.t.Helper()
	err := s.meets(upstream, i, client)
	if err != nil {
		s.late.Add(1)
	}
	for tries := 1; err != nil && tries < s.tries; tries++ {
		err = s.meets(upstream, i, client)
	}
	if err != nil {
		s.t.Errorf("after change %d: %v", i, err)
	}
}

// meets tells whether a request meets the i-th edition.
func (s *side) meets(upstream *ollamatest.Server, i int, client *http.Client) error {
	topic := fmt.Sprintf("probe %d of %d", len(upstream.Requests()), i)
	a, err := s.chat(client, about(topic, false))
	if err != nil {
		return err
	}
	if got, want := a.header.Get("X-RateLimit-Limit-Requests"), fmt.Sprint(burstOf(i)); a.status != 200 || got != want {
		return fmt.Errorf("got %d %s; the burst is %s, want %s", a.status, a.body, got, want)
	}
	for _, r := range upstream.Requests() {
		if r.Messages[len(r.Messages)-1].Content == topic {
			if got, want := fmt.Sprint(r.Options["num_predict"]), fmt.Sprint(1000+i); got != want {
				return fmt.Errorf("num_predict is %s, want %s", got, want)
			}
			return nil
		}
	}
	return errors.New("ollama has not seen the request")
}

// finish waits for the live streams and checks that they are whole.
func (s *side) finish() {
	s.t.Helper()
	var want strings.Builder
	for i := range linesOfStream {
		fmt.Fprintf(&want, "%d ", i+1)
	}
	for i, answers := range s.streams {
		a := within(s.t, "the end of a stream", func() answer { return <-answers })
		if got := said(s.t, a); got != want.String() {
			s.t.Errorf("stream %d says %q", i, got)
		}
	}
}

// stockCaddyfile is Caddy with the same listener and none of our modules.
func (s *side) stockCaddyfile(upstream string, edition int) string {
	return fmt.Sprintf(`{
	admin unix/%[1]s/admin.sock
	servers 127.0.0.1:%[2]s {
		listener_wrappers {
			http_redirect
			tls
		}
	}
	auto_https off
	grace_period 30s
}
%[3]s:%[2]s, :%[2]s {
	bind 127.0.0.1
	tls %[1]s/gw.crt %[1]s/gw.key {
		client_auth {
			mode require_and_verify
			trust_pool file %[1]s/internal-ca.crt
		}
	}
	header X-Edition %[5]d
	reverse_proxy %[4]s {
		header_up Host localhost
	}
}
`, s.dir, s.port, host, upstream, edition)
}

// moreThanChance is how likely it is that at least a of a+b events fall to the first of
// two sides if both are alike.
func moreThanChance(a, b int64) float64 {
	n, p := float64(a+b), 0.0
	lgamma := func(x float64) float64 { v, _ := math.Lgamma(x); return v }
	for k := float64(a); k <= n; k++ {
		p += math.Exp(lgamma(n+1) - lgamma(k+1) - lgamma(n-k+1) - n*math.Ln2)
	}
	return p
}

// auditIsSound checks that the audit log is one chain through all changes.
func (g *gateway) auditIsSound() {
	g.t.Helper()
	await(g.t, "a sound audit log", func() error {
		output, err := gatewayCommand(g.t, g.dir, "audit", "verify", g.file("audit.log")).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w\n%s", err, output)
		}
		return nil
	})
}
