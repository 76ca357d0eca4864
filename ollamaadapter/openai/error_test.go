package openai_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
)

func TestErrorJSON(t *testing.T) {
	for _, test := range []struct {
		name string
		in   openai.Error
		want string
	}{
		{"all four members", openai.Error{Message: "m", Type: "t", Param: "p", Code: "c"},
			`{"error":{"message":"m","type":"t","param":"p","code":"c"}}`},
		{"empty ones are null, not missing", openai.Error{Message: "m", Type: "t"},
			`{"error":{"message":"m","type":"t","param":null,"code":null}}`},
		{"no raw line break, so that it fits an event of a stream", openai.Error{Message: "a\r\n\u2028\u2029\"b", Type: "t"},
			`{"error":{"message":"a\r\n\u2028\u2029\"b","type":"t","param":null,"code":null}}`},
		{"broken UTF-8 breaks no answer", openai.Error{Message: "a\xff", Type: "t"},
			"{\"error\":{\"message\":\"a\ufffd\",\"type\":\"t\",\"param\":null,\"code\":null}}"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := string(test.in.JSON()); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

// SDKs show people the message, and the log has the text.
func TestAFieldErrorNamesTheFieldInItsMessage(t *testing.T) {
	e := openai.FieldError("temperature", openai.CodeInvalidType, "wrong type")
	const want = `{"error":{"message":"temperature: wrong type","type":"invalid_request_error","param":"temperature","code":"invalid_type"}}`
	if got := string(e.JSON()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := e.Error(); got != "temperature: wrong type" {
		t.Errorf("the text is %q", got)
	}
}

func TestErrorOf(t *testing.T) {
	for _, test := range []struct {
		status     int
		kind, code string
	}{
		{http.StatusBadRequest, openai.TypeInvalidRequest, "bad_request"},
		{http.StatusUnauthorized, openai.TypeInvalidRequest, openai.CodeInvalidAPIKey},
		{http.StatusForbidden, openai.TypePermission, "forbidden"},
		{http.StatusNotFound, openai.TypeInvalidRequest, "not_found"},
		{http.StatusMethodNotAllowed, openai.TypeInvalidRequest, "method_not_allowed"},
		{http.StatusRequestTimeout, openai.TypeInvalidRequest, "request_timeout"},
		{http.StatusRequestEntityTooLarge, openai.TypeInvalidRequest, openai.CodeTooLarge},
		{http.StatusUnsupportedMediaType, openai.TypeInvalidRequest, "unsupported_media_type"},
		{http.StatusUnprocessableEntity, openai.TypeInvalidRequest, "unprocessable_entity"},
		{http.StatusTooManyRequests, openai.TypeRateLimit, openai.CodeRateLimitExceeded},
		{499, openai.TypeInvalidRequest, "bad_request"},
		{http.StatusInternalServerError, openai.TypeServer, "internal_error"},
		{http.StatusBadGateway, openai.TypeServer, openai.CodeUpstream},
		{http.StatusServiceUnavailable, openai.TypeServer, "server_overloaded"},
		{http.StatusGatewayTimeout, openai.TypeServer, "upstream_timeout"},
		{0, openai.TypeServer, "internal_error"},
		{999, openai.TypeServer, "internal_error"},
	} {
		t.Run(http.StatusText(test.status), func(t *testing.T) {
			e := openai.ErrorOf(test.status)
			if e.Type != test.kind || e.Code != test.code || e.Param != "" {
				t.Errorf("%d: %s; want type %q, code %q", test.status, e.JSON(), test.kind, test.code)
			}
			if e.Message == "" || !jsontext.Value(e.JSON()).IsValid() {
				t.Errorf("%d: %s", test.status, e.JSON())
			}
			if strings.Contains(strings.ToLower(e.Message), "ollama") {
				t.Errorf("%d: %q names what stands behind", test.status, e.Message)
			}
		})
	}
}

// Clients stop sending for good at insufficient_quota.
func TestErrorOfNeverTalksOfQuotas(t *testing.T) {
	for status := range 600 {
		if e := openai.ErrorOf(status); strings.Contains(e.Code, "quota") {
			t.Errorf("%d: %s", status, e.JSON())
		}
	}
}
