package jwtauth

import (
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/gateway18789/caddy-ollama/jwtauth/token"
)

// faultsInWords say what is wrong with a token that is refused.
var faultsInWords = map[token.Fault]string{
	token.Malformed:       "it is not three parts of base64url, or longer than 8 KiB",
	token.BadHeader:       "its header is not one plain JSON object, or has what is never followed (crit, zip, cty, jku, x5u, jwk, x5c)",
	token.BadAlgorithm:    "no key is one of its algorithm",
	token.UnknownKey:      "no key has its kid",
	token.KeysUnavailable: "the keys of the jwks that may have signed it cannot be fetched at the moment",
	token.BadSignature:    "no key here has signed it",
	token.BadClaims:       "its claims are not one plain JSON object with numbers for exp and iat",
	token.BadSubject:      "its sub is missing, blank or longer than 256 bytes, or has characters that are not to be seen",
	token.Expired:         "it has expired",
	token.NotYetValid:     "it is not valid yet; do the clocks agree?",
	token.TooLong:         "its life is longer than the longest that is allowed",
	token.BadIssuer:       "its iss is another",
	token.BadAudience:     "its aud is another",
	token.MissingClaim:    "it lacks a claim that is required",
	token.MissingScope:    "it lacks a scope that is required",
	token.BadBinding:      "it is not bound to the certificate that comes with it",
	token.Replayed:        "it has been used before",
}

// inWords explains what the audit record says of a refused token, which came with a
// certificate or with none.
func inWords(reason string, withCertificate bool) string {
	if reason == string(token.BadBinding) && !withCertificate {
		return "it must be bound to the client's certificate, and none comes with it; name the client's with --cert (" + reason + ")"
	}
	if words := faultsInWords[token.Fault(reason)]; words != "" {
		return words + " (" + reason + ")"
	}
	return reason
}

// explain writes what a token says, but never its signature. Nothing of a text that
// is no token is repeated: it may be a secret.
func explain(w io.Writer, compact string, now time.Time) {
	parts := strings.Split(compact, ".")
	if len(parts) != 3 {
		fmt.Fprintf(w, "this is no token: it has %d bytes and %d dots, not 2\n", len(compact), len(parts)-1)
		return
	}
	explainPart(w, "header", parts[0], now)
	explainPart(w, "claims", parts[1], now)
	if signature, err := base64.RawURLEncoding.DecodeString(parts[2]); err == nil {
		fmt.Fprintf(w, "signature\n  %d bytes\n", len(signature))
	} else {
		fmt.Fprintln(w, "signature\n  not base64url")
	}
}

func explainPart(w io.Writer, name, part string, now time.Time) {
	fmt.Fprintln(w, name)
	data, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		fmt.Fprintln(w, "  not base64url")
		return
	}
	var members map[string]jsontext.Value
	if err := json.Unmarshal(data, &members); err != nil || members == nil {
		fmt.Fprintln(w, "  not one JSON object in UTF-8 in which each name is there once")
		return
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, member := range slices.Sorted(maps.Keys(members)) {
		value := members[member]
		fmt.Fprintf(table, "  %s\t%s", visible(member), visible(string(value)))
		if at, ok := date(member, value); ok {
			fmt.Fprintf(table, "\t%s", dateInWords(at, now))
		}
		fmt.Fprintln(table)
	}
	table.Flush()
	if issued, ok := date("iat", members["iat"]); ok {
		if expires, ok := date("exp", members["exp"]); ok {
			fmt.Fprintf(w, "  lives %s\n", expires.Sub(issued))
		}
	}
}

// date is the time in a claim that has one, if it is one of these centuries.
func date(claim string, value jsontext.Value) (time.Time, bool) {
	if !slices.Contains([]string{"iat", "nbf", "exp", "auth_time"}, claim) {
		return time.Time{}, false
	}
	var seconds float64
	if err := json.Unmarshal(value, &seconds); err != nil || seconds < 0 || seconds > 1e11 {
		return time.Time{}, false
	}
	return time.Unix(int64(seconds), 0).UTC(), true
}

func dateInWords(at, now time.Time) string {
	text := at.Format("2006-01-02 15:04:05 UTC")
	if distance := at.Sub(now).Round(time.Second); distance > 0 {
		return fmt.Sprintf("%s, in %s", text, distance)
	} else if distance < 0 {
		return fmt.Sprintf("%s, %s ago", text, -distance)
	}
	return text + ", now"
}

// visible makes a text safe to print: nothing in it controls the terminal, turns the
// text or hides.
func visible(text string) string {
	var b strings.Builder
	for _, r := range text {
		if unicode.IsPrint(r) {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}
