package ollamatest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
)

const (
	lineA     = `{"model":"m","message":{"role":"assistant","content":"a"},"done":false}` + "\n"
	lineB     = `{"model":"m","message":{"role":"assistant","content":"b"},"done":false}` + "\n"
	doneLine  = `{"model":"m","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","eval_count":2}` + "\n"
	afterEnd  = `{"model":"m","message":{"role":"assistant","content":"after the end"},"done":false}` + "\n"
	object    = `{"model":"m","message":{"role":"assistant","content":"ab"},"done":true,"done_reason":"stop","eval_count":2}` + "\n"
	errorLine = `{"error":"an error was encountered while running the model"}`
	page      = "<html><body><h1>502 Bad Gateway</h1></body></html>\n"
	halfRune  = "\xe2"
)

// asking is a chat request of one word.
func asking(stream bool) string {
	if stream {
		return `{"model":"m","messages":[{"role":"user","content":"hi"}],"stream":true}`
	}
	return `{"model":"m","messages":[{"role":"user","content":"hi"}],"stream":false}`
}

// outcome is what a caller sees of an answer; without a status there was none.
type outcome struct {
	status int
	body   string
	end    error
}

func outcomeOf(t *testing.T, client *http.Client, url string, stream bool) outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/api/chat", strings.NewReader(asking(stream)))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return outcome{end: err}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return outcome{resp.StatusCode, string(body), err}
}

// faulty is a model whose stream has three lines, with this fault.
func faulty(fault ollamatest.Fault, at int) ollamatest.Model {
	return answers("m", ollamatest.Answer{Content: []string{"a", "b"}, Fault: fault, FaultAt: at})
}

func TestFaultsOfAStream(t *testing.T) {
	const done = ollamatest.AfterDone
	covered := map[ollamatest.Fault]bool{ollamatest.Stall: true, ollamatest.LongLine: true, ollamatest.LongerLine: true}
	for _, test := range []struct {
		name  string
		fault ollamatest.Fault
		at    int
		want  outcome
	}{
		{"no fault", "", 0, outcome{200, lineA + lineB + doneLine, nil}},
		{"an error line before the first has a status of success, as in old versions", ollamatest.ErrorLine, 0, outcome{200, errorLine + "\n", nil}},
		{"an error line ends the answer", ollamatest.ErrorLine, 1, outcome{200, lineA + errorLine + "\n", nil}},
		{"an error line after the end", ollamatest.ErrorLine, done, outcome{200, lineA + lineB + doneLine + errorLine + "\n", nil}},
		{"a reset before the first line leaves no status", ollamatest.Reset, 0, outcome{0, "", syscall.ECONNRESET}},
		{"a reset between two lines", ollamatest.Reset, 1, outcome{200, lineA, syscall.ECONNRESET}},
		{"a reset after the end", ollamatest.Reset, done, outcome{200, lineA + lineB + doneLine, syscall.ECONNRESET}},
		{"a clean end before the first line", ollamatest.CleanClose, 0, outcome{200, "", nil}},
		{"a clean end without a last line", ollamatest.CleanClose, 2, outcome{200, lineA + lineB, nil}},
		{"a cut in the first line", ollamatest.Cut, 0, outcome{200, lineA[:len(lineA)/2], io.ErrUnexpectedEOF}},
		{"a cut in the last line", ollamatest.Cut, 2, outcome{200, lineA + lineB + doneLine[:len(doneLine)/2], io.ErrUnexpectedEOF}},
		{"a cut after the last line", ollamatest.Cut, done, outcome{200, lineA + lineB + doneLine, io.ErrUnexpectedEOF}},
		{"garbage with the rest behind it", ollamatest.Garbage, 1, outcome{200, lineA + page + lineB + doneLine, nil}},
		{"garbage after the end", ollamatest.Garbage, done, outcome{200, lineA + lineB + doneLine + page, nil}},
		{"half a rune, then a cut", ollamatest.HalfRune, 1, outcome{200, lineA + strings.Split(lineB, `b"`)[0] + halfRune, io.ErrUnexpectedEOF}},
		{"every byte alone makes the same answer", ollamatest.Split, 0, outcome{200, lineA + lineB + doneLine, nil}},
		{"lines that end in CRLF", ollamatest.CRLF, 0, outcome{200, strings.ReplaceAll(lineA+lineB+doneLine, "\n", "\r\n"), nil}},
		{"the last line twice", ollamatest.TwoDone, 0, outcome{200, lineA + lineB + doneLine + doneLine, nil}},
		{"content after the last line", ollamatest.TextAfterDone, 0, outcome{200, lineA + lineB + doneLine + afterEnd, nil}},
	} {
		covered[test.fault] = true
		t.Run(test.name, func(t *testing.T) {
			server, client := start(t, faulty(test.fault, test.at))
			check(t, outcomeOf(t, client, server.URL, true), test.want)
			<-server.WaitFor(1).Ended()
			if server.Requests()[0].Cancelled() {
				t.Error("the caller is said to have left")
			}
		})
	}
	for _, fault := range ollamatest.Faults() {
		if !covered[fault] {
			t.Errorf("nothing tests the fault %q", fault)
		}
	}
}

func TestFaultsOfAWholeAnswer(t *testing.T) {
	const done = ollamatest.AfterDone
	third := len(object) / 3
	for _, test := range []struct {
		name  string
		fault ollamatest.Fault
		at    int
		want  outcome
	}{
		{"no fault", "", 0, outcome{200, object, nil}},
		{"an error has its status", ollamatest.ErrorLine, 1, outcome{500, errorLine, nil}},
		{"a reset before the answer leaves no status", ollamatest.Reset, 0, outcome{0, "", syscall.ECONNRESET}},
		{"a reset in the midst of it", ollamatest.Reset, 1, outcome{200, object[:third], syscall.ECONNRESET}},
		{"a clean end is an object that is not done", ollamatest.CleanClose, 1, outcome{200, lineA, nil}},
		{"a cut in the midst of it", ollamatest.Cut, 1, outcome{200, object[:third+third/2], io.ErrUnexpectedEOF}},
		{"a cut after it", ollamatest.Cut, done, outcome{200, object, io.ErrUnexpectedEOF}},
		{"garbage stands in place of it", ollamatest.Garbage, 1, outcome{200, page, nil}},
		{"garbage after it", ollamatest.Garbage, done, outcome{200, object + page, nil}},
		{"half a rune, then a cut", ollamatest.HalfRune, 2, outcome{200, strings.Split(object, `"},`)[0] + halfRune, io.ErrUnexpectedEOF}},
		{"every byte alone makes the same answer", ollamatest.Split, 0, outcome{200, object, nil}},
		{"an object that ends in CRLF", ollamatest.CRLF, 0, outcome{200, object[:len(object)-1] + "\r\n", nil}},
		{"the object twice", ollamatest.TwoDone, 0, outcome{200, object + object, nil}},
		{"content after the object", ollamatest.TextAfterDone, 0, outcome{200, object + afterEnd, nil}},
	} {
		t.Run(test.name, func(t *testing.T) {
			server, client := start(t, faulty(test.fault, test.at))
			check(t, outcomeOf(t, client, server.URL, false), test.want)
		})
	}
}

func TestAnUnfinishedAnswerHasWhatWasSaid(t *testing.T) {
	const call = `,"tool_calls":[{"function":{"index":0,"name":"f","arguments":{}}}]`
	for at, want := range []string{
		`"content":""`,
		`"content":"","thinking":"hm"`,
		`"content":"a","thinking":"hm"`,
		`"content":"a","thinking":"hm"` + call,
	} {
		server, client := start(t, answers("m", ollamatest.Answer{
			Thinking: []string{"hm"}, Content: []string{"a"}, Fault: ollamatest.CleanClose, FaultAt: at,
			ToolCalls: []ollama.ToolCall{{Function: ollama.FunctionCall{Name: "f", Arguments: []byte(`{}`)}}},
		}))
		want = `{"model":"m","message":{"role":"assistant",` + want + `},"done":false}` + "\n"
		check(t, outcomeOf(t, client, server.URL, false), outcome{200, want, nil})
	}
}

func TestAStallLastsUntilTheCallerLeaves(t *testing.T) {
	third := len(object) / 3
	for _, test := range []struct {
		name   string
		at     int
		stream bool
		want   string
	}{
		{"before the first line there is no status", 0, true, ""},
		{"after the first line", 1, true, lineA},
		{"after the last line", ollamatest.AfterDone, true, lineA + lineB + doneLine},
		{"before a whole answer there is no status", 0, false, ""},
		{"in the midst of a whole answer", 1, false, object[:third]},
		{"after a whole answer", ollamatest.AfterDone, false, object},
	} {
		t.Run(test.name, func(t *testing.T) {
			server, client := start(t, faulty(ollamatest.Stall, test.at))
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			if test.want == "" {
				go func() {
					server.WaitFor(1)
					leave()
				}()
			}
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+"/api/chat", strings.NewReader(asking(test.stream)))
			if err != nil {
				t.Fatal(err)
			}
			resp, err := client.Do(req)
			if test.want != "" {
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				got := make([]byte, len(test.want))
				if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != test.want {
					t.Fatalf("read %q, %v", got, err)
				}
				leave()
				_, err = resp.Body.Read(got)
			}
			if !errors.Is(err, context.Canceled) {
				t.Errorf("the caller, who left, sees %v", err)
			}
			<-server.WaitFor(1).Ended()
			if !server.Requests()[0].Cancelled() {
				t.Error("it ended by itself")
			}
		})
	}
}

func TestAStallEndsWithTheServer(t *testing.T) {
	server, client := start(t, faulty(ollamatest.Stall, 1))
	resp := ask(t.Context(), t, client, server.URL, asking(true))
	server.Close()
	if got, err := io.ReadAll(resp.Body); string(got) != lineA || err == nil {
		t.Errorf("read %q, %v", got, err)
	}
}

func TestLongLines(t *testing.T) {
	const limit = 8 << 20
	for _, test := range []struct {
		fault ollamatest.Fault
		want  int
	}{
		{ollamatest.LongLine, limit},
		{ollamatest.LongerLine, limit + 1},
	} {
		t.Run(string(test.fault)+", streamed", func(t *testing.T) {
			server, client := start(t, faulty(test.fault, 1))
			got := outcomeOf(t, client, server.URL, true)
			lines := strings.SplitAfter(got.body, "\n")
			if len(lines) != 5 || lines[0] != lineA || len(lines[1]) != test.want+1 || lines[2]+lines[3] != lineB+doneLine {
				t.Errorf("%d lines, of which the second has %d bytes", len(lines), len(lines[1]))
			}
		})
		t.Run(string(test.fault)+", whole", func(t *testing.T) {
			server, client := start(t, faulty(test.fault, 1))
			got := outcomeOf(t, client, server.URL, false)
			if len(got.body) != test.want+1 || !strings.Contains(got.body, `"content":"abxxx`) || !strings.Contains(got.body, `"done":true`) {
				t.Errorf("%d bytes, %.100s", len(got.body), got.body)
			}
		})
	}
}

func TestEveryByteAlone(t *testing.T) {
	recorder := &flushes{ResponseRecorder: httptest.NewRecorder()}
	req := httptest.NewRequest(http.MethodPost, "http://localhost/api/chat", strings.NewReader(asking(true)))
	ollamatest.NewHandler(faulty(ollamatest.Split, 0)).ServeHTTP(recorder, req)
	if got := len(lineA + lineB + doneLine); recorder.Body.Len() != got || recorder.n != got {
		t.Errorf("%d bytes in %d flushes, want %d", recorder.Body.Len(), recorder.n, got)
	}
}

// flushes counts its flushes.
type flushes struct {
	*httptest.ResponseRecorder
	n int
}

func (f *flushes) Flush() { f.n++ }

// The end of a stream comes when the test says so, like a line.
func TestAFaultWaitsForItsPace(t *testing.T) {
	for _, fault := range []ollamatest.Fault{ollamatest.CleanClose, ollamatest.Reset, ollamatest.Cut, ollamatest.HalfRune} {
		t.Run(string(fault), func(t *testing.T) {
			pace := make(chan struct{})
			server, client := start(t, answers("m", ollamatest.Answer{Content: []string{"a"}, Pace: pace, Fault: fault, FaultAt: 1}))
			go func() { pace <- struct{}{} }()
			resp := ask(t.Context(), t, client, server.URL, asking(true))
			if _, err := io.ReadFull(resp.Body, make([]byte, len(lineA))); err != nil {
				t.Fatal(err)
			}
			pace <- struct{}{}
			if _, err := io.ReadAll(resp.Body); (err == nil) != (fault == ollamatest.CleanClose) {
				t.Errorf("read to %v", err)
			}
			<-server.WaitFor(1).Ended()
		})
	}
}

func TestACutLeavesAChunkIncomplete(t *testing.T) {
	server, _ := start(t, faulty(ollamatest.Cut, 0))
	conn, err := net.Dial("tcp", server.Address())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	body := asking(true)
	fmt.Fprintf(conn, "POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	got, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	_, chunks, _ := strings.Cut(string(got), "\r\n\r\n")
	if want := fmt.Sprintf("%x\r\n", len(lineA)/2+1) + lineA[:len(lineA)/2]; chunks != want {
		t.Errorf("got %q, want %q", chunks, want)
	}
}

func TestFaultsOfRawAnswers(t *testing.T) {
	raw := []string{"one\n", "two\n"}
	for _, test := range []struct {
		name   string
		answer ollamatest.Answer
		want   outcome
	}{
		{"a piece counts as a line", ollamatest.Answer{Raw: raw, Fault: ollamatest.ErrorLine, FaultAt: 1}, outcome{200, "one\n" + errorLine + "\n", nil}},
		{"a clean end is where it is put", ollamatest.Answer{Raw: raw, Fault: ollamatest.CleanClose, FaultAt: 1}, outcome{200, "one\n", nil}},
		{"the pieces are not changed", ollamatest.Answer{Raw: raw, Fault: ollamatest.CRLF}, outcome{200, "one\r\ntwo\r\n", nil}},
		{"a cut comes after all", ollamatest.Answer{Raw: raw, Cut: true}, outcome{200, "one\ntwo\n", io.ErrUnexpectedEOF}},
		{"a cut of nothing leaves no status", ollamatest.Answer{Raw: []string{}, Cut: true}, outcome{0, "", io.EOF}},
		{"a cut of an empty piece leaves one", ollamatest.Answer{Raw: []string{""}, Cut: true}, outcome{200, "", io.ErrUnexpectedEOF}},
	} {
		t.Run(test.name, func(t *testing.T) {
			server, client := start(t, answers("m", test.answer))
			check(t, outcomeOf(t, client, server.URL, true), test.want)
			if test.answer.Fault != ollamatest.ErrorLine { // which has a status, where the answer is whole
				check(t, outcomeOf(t, client, server.URL, false), test.want)
			}
		})
	}
	if raw[0] != "one\n" || raw[1] != "two\n" {
		t.Errorf("the caller's pieces are now %q", raw)
	}
}

func TestAnUnknownFaultIsAMistakeInTheTest(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("nobody noticed")
		}
	}()
	req := httptest.NewRequest(http.MethodPost, "http://localhost/api/chat", strings.NewReader(asking(true)))
	ollamatest.NewHandler(faulty("stal", 0)).ServeHTTP(httptest.NewRecorder(), req)
}

func TestWhenARequestEnded(t *testing.T) {
	begun := time.Now()
	server, client := start(t, ollamatest.Says("m", "hi"))
	outcomeOf(t, client, server.URL, true)
	req := server.WaitFor(1)
	<-req.Ended()
	if ended := req.EndedAt(); ended.Before(begun) || ended.After(time.Now()) {
		t.Errorf("ended at %v", ended)
	}
}

func check(t *testing.T, got, want outcome) {
	t.Helper()
	if got.status != want.status || got.body != want.body || !errors.Is(got.end, want.end) {
		t.Errorf("got  %d, %v\n%s\nwant %d, %v\n%s", got.status, got.end, got.body, want.status, want.end, want.body)
	}
}
