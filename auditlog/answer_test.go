package auditlog

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestTheAnswerHasTheIDOfItsRecordWhateverBecomesOfTheHeader(t *testing.T) {
	for name, meddle := range map[string]func(http.Header){
		"it is left alone":       func(http.Header) {},
		"it is deleted":          func(h http.Header) { h.Del("X-Request-Id") },
		"it is set":              func(h http.Header) { h.Set("X-Request-Id", "other") },
		"another one is added":   func(h http.Header) { h.Add("X-Request-Id", "other") },
		"it is changed in place": func(h http.Header) { h["X-Request-Id"][0] = "other" },
	} {
		t.Run(name, func(t *testing.T) {
			var asked string
			got := newAudit(t).serve(t, newRequest("GET", "/"), func(w http.ResponseWriter, r *http.Request) error {
				meddle(w.Header())
				w.WriteHeader(http.StatusEarlyHints)
				meddle(w.Header())
				_, err := io.WriteString(w, "x")
				asked = r.Header.Get("X-Request-Id")
				return err
			})
			id := got.fields["http.request.id"]
			if ids := got.header["X-Request-Id"]; len(ids) != 1 || ids[0] != id || asked != id {
				t.Errorf("the answer's is %q, the request's %q, the record's %q", ids, asked, id)
			}
		})
	}
}

// A flush before the status must not make it 200.
func TestAFlushLeavesTheStatusToWhoComes(t *testing.T) {
	for _, test := range []struct {
		name    string
		first   next
		then    next
		status  int
		flushed bool
	}{
		{"before an error is returned", flush, fail(502), 502, false},
		{"before an error is written", flush, write(404), 404, false},
		{"after the status is written", write(201), flush, 201, true},
		{"after a piece is written", func(w http.ResponseWriter, _ *http.Request) error {
			_, err := io.WriteString(w, "x")
			return err
		}, flush, 200, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			a := newAudit(t)
			_ = a.handler.ServeHTTP(w, newRequest("GET", "/"), inTurn(test.first, test.then))
			status := a.logs.TakeAll()[0].ContextMap()["http.response.status_code"]
			if status != test.status || w.Flushed != test.flushed {
				t.Errorf("the record says %v, flushed: %v", status, w.Flushed)
			}
		})
	}
}

func flush(w http.ResponseWriter, _ *http.Request) error {
	return http.NewResponseController(w).Flush()
}

// What reverse_proxy and others copy with goes through as it is, with a status.
func TestAnAnswerIsCopiedByTheWriterBehind(t *testing.T) {
	behind := &copies{ResponseRecorder: httptest.NewRecorder()}
	a := newAudit(t)
	err := a.handler.ServeHTTP(behind, newRequest("GET", "/"), next(func(w http.ResponseWriter, _ *http.Request) error {
		_, err := io.Copy(w, io.LimitReader(strings.NewReader("answer"), 10))
		if _, _, hijacked := http.NewResponseController(w).Hijack(); !errors.Is(hijacked, http.ErrNotSupported) {
			t.Errorf("hijacked: %v", hijacked)
		}
		return err
	}))
	if err != nil || behind.Body.String() != "answer" || !slices.Equal(behind.calls, []string{"200", "ReadFrom"}) {
		t.Errorf("%v, %q by %v", err, behind.Body, behind.calls)
	}
}

// copies tells how it was written to.
type copies struct {
	*httptest.ResponseRecorder
	calls []string
}

func (c *copies) WriteHeader(status int) {
	c.calls = append(c.calls, strconv.Itoa(status))
	c.ResponseRecorder.WriteHeader(status)
}

func (c *copies) ReadFrom(r io.Reader) (int64, error) {
	c.calls = append(c.calls, "ReadFrom")
	return io.Copy(c.ResponseRecorder, r)
}
