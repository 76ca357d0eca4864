package console

import (
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gateway18789/caddy-ollama/auditlog/record"
	"github.com/gateway18789/caddy-ollama/ollamaadapter/openai"
)

// ownHeader is sent by the page and by no other: a browser lets none send it here.
const ownHeader = "X-Gateway-Console"

// sameSite refuses what a browser does for the sake of another site.
var sameSite = http.NewCrossOriginProtection()

// guarded serves only whom something vouches for, and who asks on his own account.
func (h *Handler) guarded(serve func(http.ResponseWriter, *http.Request) error) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		switch {
		case !h.ProtectedElsewhere && !isKnown(r) && !isLocal(r):
			return forbidden(r, record.ForbiddenAddress, "gateway_console shows this to nobody in particular: put it behind jwt_auth or basic_auth, or ask from the gateway's own host")
		case r.Header.Get(ownHeader) == "", sameSite.Check(r) != nil:
			return forbidden(r, record.ForbiddenOrigin, "only the page of gateway_console itself may ask for this")
		}
		w.Header().Set("Cache-Control", "no-store")
		return serve(w, r)
	}
}

// forbidden is the answer to a request that is refused for a reason, which its record has.
func forbidden(r *http.Request, reason, message string) error {
	record.From(r.Context()).Explain(reason)
	return caddyhttp.Error(http.StatusForbidden, &openai.Error{
		Message: message, Type: openai.TypePermission, Code: "forbidden",
	})
}

// isKnown reports whether one of Caddy's authentications has let the request pass.
func isKnown(r *http.Request) bool {
	repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok {
		return false
	}
	user, _ := repl.GetString("http.auth.user.id")
	return user != ""
}

// isLocal reports whether the request comes from this host, for nobody else's sake. The
// name by which it asks must be this host's too: a site that a browser has open may give
// its own name the address 127.0.0.1.
func isLocal(r *http.Request) bool {
	for _, header := range []string{"X-Forwarded-For", "Forwarded", "X-Real-Ip", "Via"} {
		if r.Header.Get(header) != "" {
			return false
		}
	}
	client, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	peer, _, err := net.SplitHostPort(r.RemoteAddr)
	return err == nil && isLoopback(peer) && isLoopback(client) && isLocalName(r.Host)
}

func isLoopback(address string) bool {
	ip, err := netip.ParseAddr(address)
	return err == nil && ip.Unmap().IsLoopback()
}

func isLocalName(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.Trim(host, "[]"))
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || isLoopback(host)
}
