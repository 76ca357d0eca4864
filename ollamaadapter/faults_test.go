package ollamaadapter_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
	"github.com/gateway18789/caddy-ollama/ollamaadapter"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
)

// words are what the model says, one in each line; the final line says nothing.
var words = []string{"na\u00efve \"words\"\n", "\u4e16\u754c ", "\\u0000 ", "\U0001F600 <b>"}

// brief is a time-out that a test waits for, and that no loaded machine is too slow
// to keep where there is something to be kept.
const brief = 500 * time.Millisecond

// trouble is a fault in place of a line, or before it.
type trouble struct {
	fault ollamatest.Fault
	at    int
}

// troubles are all faults in the midst of the words, in the final line and after it.
func troubles() []trouble {
	all := []trouble{{"", 0}}
	for _, fault := range ollamatest.Faults() {
		switch fault {
		case ollamatest.Split, ollamatest.CRLF, ollamatest.TwoDone, ollamatest.TextAfterDone:
			all = append(all, trouble{fault, 0}) // wherever
		default:
			for _, at := range []int{0, 1, 2, len(words), ollamatest.AfterDone} {
				all = append(all, trouble{fault, at})
			}
		}
	}
	return all
}

func (x trouble) String() string {
	switch {
	case x.fault == "":
		return "no fault"
	case x.at == ollamatest.AfterDone:
		return fmt.Sprintf("%s after the final line", x.fault)
	case x.at == len(words):
		return fmt.Sprintf("%s at the final line", x.fault)
	}
	return fmt.Sprintf("%s at line %d", x.fault, x.at)
}

// harmless reports whether Ollama has said all it had to say, and that it had, so
// that a reader can make it out.
func (x trouble) harmless() bool {
	switch x.fault {
	case "", ollamatest.Split, ollamatest.CRLF, ollamatest.TwoDone, ollamatest.TextAfterDone, ollamatest.LongLine:
		return true
	}
	return x.at == ollamatest.AfterDone
}

// long reports whether there is a line of 8 MiB or more.
func (x trouble) long() bool {
	return x.fault == ollamatest.LongLine || x.fault == ollamatest.LongerLine
}

// patient are the options of a handler that only the fault in question can make
// lose patience.
func (x trouble) patient() ollamaadapter.Handler {
	switch {
	case x.fault != ollamatest.Stall || x.at == ollamatest.AfterDone:
		return ollamaadapter.Handler{}
	case x.at == 0:
		return ollamaadapter.Handler{FirstByteTimeout: lasting(brief)}
	default:
		return ollamaadapter.Handler{StallTimeout: lasting(brief)}
	}
}

// wanted is how a request with this trouble has to end. What fails after a part of
// the answer is out cannot have a status of its own any more.
func (x trouble) wanted(f form) wanted {
	if x.harmless() {
		return wanted{
			seen:     seen{http.StatusOK, x.all(), "stop", complete, ""},
			reason:   record.OK,
			usage:    &record.Usage{InputTokens: promptTokens, OutputTokens: len(words)},
			finished: "stop",
		}
	}
	w := wanted{seen: seen{status: http.StatusBadGateway, ending: failed, code: "upstream_error"}, reason: record.UpstreamError}
	if x.fault == ollamatest.Stall {
		w.status, w.code, w.reason = http.StatusGatewayTimeout, "upstream_timeout", record.UpstreamStalled
	}
	if x.at > 0 {
		w.usage = &record.Usage{OutputTokens: x.at, Estimated: true}
		if f.streamed {
			w.status, w.text = http.StatusOK, strings.Join(words[:x.at], "")
		}
	}
	return w
}

// all are all words, those of a long line among them.
func (x trouble) all() string {
	if x.fault != ollamatest.LongLine || x.at == ollamatest.AfterDone {
		return strings.Join(words, "")
	}
	return strings.Join(words[:x.at], "") + longWord + strings.Join(words[x.at:], "")
}

// longWord stands for what a long line says.
const longWord = "<8 MiB>"

// abridged has a long line's word shortened.
func abridged(text string) string {
	const longest = 8 << 20
	if n := strings.Count(text, "x"); n > longest-200 && n < longest {
		return strings.Replace(text, strings.Repeat("x", n), longWord, 1)
	}
	return text
}

func TestEachFaultHasOneTruthfulEnding(t *testing.T) {
	for _, x := range troubles() {
		if !x.long() {
			inEachForm(t, x.String(), anyForm, x.test)
		}
	}
}

// A line of 8 MiB keeps the race detector busy for a second. So these are not in
// parallel with what has to be in time, and only one form walks the places.
func TestEachLongLineHasOneTruthfulEnding(t *testing.T) {
	for _, x := range troubles() {
		for _, f := range forms {
			version := http1
			if f.streamed {
				version = http2
			}
			if x.long() && (x.at == 1 || f == forms[1]) {
				t.Run(fmt.Sprintf("%s, %s, %s", x, f.name, version), func(t *testing.T) { x.test(t, f, version) })
			}
		}
	}
}

// test lets a client have this trouble.
func (x trouble) test(t *testing.T, f form, version string) {
	g, server := startOver(t, version, x.patient(), answers(ollamatest.Answer{
		Raw: f.lines(words...), Fault: x.fault, FaultAt: x.at,
	}))
	l := g.ask(t, f)
	x.wanted(f).check(t, g, l)
	x.checkUpstream(t, server)
}

// checkUpstream checks that Ollama has nothing more to do, and was stopped exactly
// where it had not come to its end.
func (x trouble) checkUpstream(t *testing.T, server *ollamatest.Server) {
	t.Helper()
	request := arrived(t, server)
	within(t, request.Ended(), "Ollama's end")
	stopped := request.Cancelled()
	switch {
	case x.fault == ollamatest.Stall && !stopped:
		t.Error("Ollama was not stopped")
	case stopped && x.harmless() && x.at < len(words) && x.fault != ollamatest.TwoDone && x.fault != ollamatest.TextAfterDone:
		t.Error("Ollama was stopped, though it ended by itself")
	}
	if n := len(server.Requests()); n != 1 {
		t.Errorf("Ollama got %d requests", n)
	}
}

// What Ollama refuses keeps its meaning in every form.
func TestErrorAnswersInEachForm(t *testing.T) {
	for _, test := range []struct {
		name   string
		answer ollamatest.Answer
		status int
		code   string
		reason string
	}{
		{"a bad request", ollamatest.Answer{Status: 400, Error: "CANARY"}, 400, "invalid_value", record.BadRequest},
		{"a model that is not there", ollamatest.Answer{Status: 404, Error: "model 'CANARY' not found"}, 404, "model_not_found", record.ModelNotFound},
		{"a page that is not there", ollamatest.Answer{Status: 404, Error: "CANARY"}, 502, "upstream_error", record.UpstreamError},
		{"a failure", ollamatest.Answer{Status: 500, Error: "CANARY"}, 502, "upstream_error", record.UpstreamError},
		{"a full queue", ollamatest.Answer{Status: 503, Error: "CANARY"}, 503, "server_overloaded", record.UpstreamError},
	} {
		inEachForm(t, test.name, anyForm, func(t *testing.T, f form, version string) {
			g, server := startOver(t, version, ollamaadapter.Handler{}, answers(test.answer))
			l := g.ask(t, f)
			wanted{seen: seen{status: test.status, ending: failed, code: test.code}, reason: test.reason}.check(t, g, l)
			if got := l.resp.Header.Get("Retry-After"); (got != "") != (test.status == 503) {
				t.Errorf("Retry-After %q", got)
			}
			within(t, arrived(t, server).Ended(), "Ollama's end")
		})
	}
}

func TestADeadUpstreamInEachForm(t *testing.T) {
	inEachForm(t, "nobody listens", anyForm, func(t *testing.T, f form, version string) {
		g, server := startOver(t, version, ollamaadapter.Handler{}, ollamatest.Says("m", "hi"))
		server.Close()
		l := g.ask(t, f)
		wanted{seen: seen{status: http.StatusBadGateway, ending: failed, code: "upstream_error"}, reason: record.UpstreamError}.check(t, g, l)
	})
}

// The first choice is complete; the answer is not, and its counts are not all of them.
func TestAFaultInTheSecondChoice(t *testing.T) {
	for _, x := range []trouble{{ollamatest.ErrorLine, 0}, {ollamatest.ErrorLine, 1}, {ollamatest.CleanClose, 1}, {ollamatest.Cut, 1}, {ollamatest.Stall, 1}} {
		inEachForm(t, x.String(), withChoices, func(t *testing.T, f form, version string) {
			g, server := startOver(t, version, x.patient(), inTurn(
				ollamatest.Answer{Raw: f.lines(words...)},
				ollamatest.Answer{Raw: f.lines(words...), Fault: x.fault, FaultAt: x.at},
			))
			l := g.ask(t, f, `"n":2`)
			want := x.wanted(f)
			switch {
			case f.streamed && x.at > 0:
				want.text, want.finish = strings.Join(words, "")+"|"+want.text, "stop|"
			case f.streamed:
				want.status, want.text, want.finish = http.StatusOK, strings.Join(words, ""), "stop"
			}
			want.usage = &record.Usage{InputTokens: promptTokens, OutputTokens: len(words) + x.at, Estimated: true}
			want.finished = "stop"
			want.check(t, g, l)
			for _, request := range server.Requests() {
				within(t, request.Ended(), "Ollama's end")
			}
		})
	}
}
