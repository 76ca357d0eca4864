package jwtauth

import (
	"net/http"
	"strings"
)

// bearerToken returns the token of the request's Authorization header. Any other
// scheme, or none, is no token at all; so is the scheme with nothing behind it,
// which clients with an empty API key send. More than one header is a token that
// cannot be right: which of them counts would depend on who reads it.
func bearerToken(header http.Header) (token string, present bool) {
	values := header.Values("Authorization")
	if len(values) == 0 {
		return "", false
	}
	if len(values) > 1 {
		return "", true
	}
	// the scheme is case-insensitive (RFC 9110 section 11.1)
	scheme, token, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", false
	}
	token = strings.TrimLeft(token, " ")
	return token, token != ""
}
