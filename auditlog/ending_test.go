package auditlog

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
)

func write(status int) next {
	return func(w http.ResponseWriter, _ *http.Request) error {
		w.WriteHeader(status)
		return nil
	}
}

func fail(status int) next {
	return func(http.ResponseWriter, *http.Request) error {
		return caddyhttp.Error(status, errors.New("failed"))
	}
}

func explain(reason string, then next) next {
	return func(w http.ResponseWriter, r *http.Request) error {
		record.From(r.Context()).Explain(reason)
		return then(w, r)
	}
}

// inTurn runs the handlers until one fails.
func inTurn(handlers ...next) next {
	return func(w http.ResponseWriter, r *http.Request) error {
		for _, handler := range handlers {
			if err := handler(w, r); err != nil {
				return err
			}
		}
		return nil
	}
}

func TestEveryRequestHasOneRecordHoweverItEnds(t *testing.T) {
	plain := errors.New("plain")
	panics := func(value any) next { return func(http.ResponseWriter, *http.Request) error { panic(value) } }
	returns := func(err error) next { return func(http.ResponseWriter, *http.Request) error { return err } }
	writes := func(w http.ResponseWriter, _ *http.Request) error { _, err := w.Write([]byte("x")); return err }

	for _, test := range []struct {
		name    string
		left    bool // the client, before the handler ended
		inner   next
		status  int
		reason  string
		outcome string
	}{
		{"served", false, write(200), 200, "ok", "success"},
		{"served without writing a status", false, writes, 200, "ok", "success"},
		{"served without writing anything", false, returns(nil), 200, "ok", "success"},
		{"served with another success", false, write(204), 204, "ok", "success"},
		{"redirected", false, write(308), 308, "ok", "success"},
		{"an error written by a handler", false, write(404), 404, "not_found", "failure"},
		{"an error returned by a handler", false, fail(404), 404, "not_found", "failure"},
		{"an error within an error", false, returns(fmt.Errorf("outer: %w", caddyhttp.Error(404, plain))), 404, "not_found", "failure"},
		{"an error without status", false, returns(plain), 500, "internal_error", "failure"},
		{"an error with status zero", false, returns(caddyhttp.HandlerError{Err: plain}), 500, "internal_error", "failure"},
		{"the first status written counts", false, inTurn(write(404), write(200)), 404, "not_found", "failure"},
		{"an early hint is not the answer", false, inTurn(write(103), write(200)), 200, "ok", "success"},
		{"nor is it the answer if an error comes after it", false, inTurn(write(103), fail(502)), 502, "upstream_error", "failure"},
		{"nor if nothing comes after it", false, write(103), 200, "ok", "success"},

		{"a failure in the middle of a stream", false, inTurn(write(200), fail(502)), 200, "upstream_error", "failure"},
		{"a plain failure in the middle of a stream", false, inTurn(write(200), returns(plain)), 200, "internal_error", "failure"},
		{"a failure explained, in the middle of a stream", false,
			explain(record.UpstreamError, inTurn(write(200), returns(nil))), 200, "upstream_error", "failure"},

		{"a panic", false, panics("bug"), 500, "internal_error", "failure"},
		{"a panic in the middle of a stream", false, inTurn(write(200), panics("bug")), 200, "internal_error", "failure"},
		{"a stream cut by the upstream", false, inTurn(write(200), panics(http.ErrAbortHandler)), 200, "internal_error", "failure"},
		{"a stream cut by the upstream, explained", false,
			explain(record.UpstreamError, inTurn(write(200), panics(http.ErrAbortHandler))), 200, "upstream_error", "failure"},
		{"cut before it began", false, panics(http.ErrAbortHandler), 500, "internal_error", "failure"},

		{"the client left, and the handler says so", false, fail(499), 499, "client_gone", "unknown"},
		{"the client left, as explained by the handler", true, explain(record.ClientGone, write(200)), 499, "client_gone", "unknown"},
		{"the client left a stream, which is cut", true, inTurn(write(200), panics(http.ErrAbortHandler)), 499, "client_gone", "unknown"},
		{"the client left before the answer", true, panics(http.ErrAbortHandler), 499, "client_gone", "unknown"},
		{"the client left, and the handler fails for it", true, returns(context.Canceled), 499, "client_gone", "unknown"},
		{"the client left a stream, and the handler fails for it", true,
			inTurn(write(200), returns(context.Canceled)), 499, "client_gone", "unknown"},
		{"the client left when all was written", true, write(200), 200, "ok", "success"},
		{"the client left when it was refused already", true,
			explain(record.Blocked, fail(403)), 403, "blocked", "failure"},
		// else a stranger would only have to hang up to leave no trace of having been refused
		{"the client hung up when it was refused, and no handler explains it", true, fail(403), 403, "forbidden_address", "failure"},
		{"the client hung up when its request was refused as bad", true, fail(400), 400, "bad_request", "failure"},
		{"the client hung up while its refusal was written", true,
			inTurn(write(403), returns(context.Canceled)), 403, "forbidden_address", "failure"},
		{"the client hung up, and the upstream seems to have failed", true, fail(502), 499, "client_gone", "unknown"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRequest(http.MethodPost, "/v1/chat/completions")
			ctx, leave := context.WithCancel(r.Context())
			defer leave()
			got := newAudit(t).serve(t, r.WithContext(ctx), func(w http.ResponseWriter, r *http.Request) error {
				if test.left {
					leave()
				}
				return test.inner(w, r)
			})
			check(t, got, test.status, test.reason, test.outcome)
		})
	}
}

func TestErrorsAndPanicsGoOn(t *testing.T) {
	a := newAudit(t)
	plain := errors.New("plain")
	got := a.serve(t, newRequest("GET", "/"), func(http.ResponseWriter, *http.Request) error { return plain })
	if got.err != plain {
		t.Errorf("the error becomes %v", got.err)
	}
	for _, value := range []any{http.ErrAbortHandler, "bug"} {
		got := a.serve(t, newRequest("GET", "/"), func(http.ResponseWriter, *http.Request) error { panic(value) })
		if got.panicked != value {
			t.Errorf("the panic %v becomes %v, net/http needs to see it", value, got.panicked)
		}
	}
}

func TestReasonOfAStatusThatNobodyExplains(t *testing.T) {
	for status, want := range map[int]string{
		200: "ok", 201: "ok", 304: "ok", 399: "ok",
		400: "bad_request", 401: "no_token", 403: "forbidden_address", 404: "not_found", 405: "method_not_allowed",
		408: "bad_request", 413: "too_large", 415: "bad_request", 422: "bad_request", 425: "bad_request",
		429: "rate_limited", 499: "client_gone",
		500: "internal_error", 501: "internal_error", 502: "upstream_error", 503: "upstream_error", 504: "upstream_error",
	} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			outcome := map[string]string{"ok": "success", "client_gone": "unknown"}[want]
			if outcome == "" {
				outcome = "failure"
			}
			check(t, newAudit(t).serve(t, newRequest("GET", "/"), write(status)), status, want, outcome)
		})
	}
}

func TestTheHandlerNearestToTheCauseSpeaksFirst(t *testing.T) {
	for _, reason := range []string{"bad_token:expired", "blocked", "over_capacity", "model_not_found", "context_length_exceeded"} {
		got := newAudit(t).serve(t, newRequest("GET", "/"), explain(reason, fail(403)))
		check(t, got, 403, reason, "failure")
	}
}
