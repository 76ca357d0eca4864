package token_test

import (
	"strings"
	"testing"

	"github.com/gateway18789/caddy-ollama/jwtauth/token"
)

func TestForm(t *testing.T) {
	sound := sign(goodHeader, goodClaims)
	parts := strings.Split(sound, ".")
	header, payload, signature := parts[0], parts[1], parts[2]
	join := func(parts ...string) string { return strings.Join(parts, ".") }
	// filled to a length, or hardly more, by a claim
	sized := func(length int) string {
		filled := func(n int) string { return sign(goodHeader, good(`"fill":"`+strings.Repeat("x", n)+`"`)) }
		return filled((length - len(filled(0)) + 1) * 3 / 4)
	}
	atLimit := sized(8192)
	if len(atLimit) != 8192 {
		t.Fatalf("the token has %d bytes", len(atLimit))
	}

	for _, test := range []struct {
		name    string
		compact string
		want    token.Fault
	}{
		{"a sound token is accepted", sound, ""},
		{"a token of 8 KiB is accepted", atLimit, ""},
		{"nothing is no token", "", token.Malformed},
		{"one segment", header, token.Malformed},
		{"two segments", join(header, payload), token.Malformed},
		{"four segments", join(header, payload, signature, signature), token.Malformed},
		{"five segments, the form of an encrypted token", join(header, "", "", payload, signature), token.Malformed},
		{"an empty header", join("", payload, signature), token.Malformed},
		{"an empty payload", join(header, "", signature), token.Malformed},
		{"an empty signature", join(header, payload, ""), token.Malformed},
		{"dots alone", "..", token.Malformed},
		{"padding after the header", join(header+"=", payload, signature), token.Malformed},
		{"padding after the signature", sound + "=", token.Malformed},
		{"a line feed within base64", join(header, payload[:9]+"\n"+payload[9:], signature), token.Malformed},
		{"a carriage return within base64", join(header, payload[:9]+"\r"+payload[9:], signature), token.Malformed},
		{"a line break in the signature", join(header, payload, signature[:9]+"\r\n"+signature[9:]), token.Malformed},
		{"a line break after the token", sound + "\n", token.Malformed},
		{"a blank in front", " " + sound, token.Malformed},
		{"a blank behind", sound + " ", token.Malformed},
		{"a NUL behind", sound + "\x00", token.Malformed},
		{"the standard alphabet of base64", join(header, payload, "+/"+signature[2:]), token.Malformed},
		{"letters beyond ASCII", join(header, payload, "é"+signature[2:]), token.Malformed},
		{"quotes around the token", `"` + sound + `"`, token.Malformed},
		{"a token in JSON form", `{"payload":"` + payload + `","signature":"` + signature + `"}`, token.Malformed},
		{"a length that base64 cannot have", join(header, payload, signature+"AA"), token.Malformed},
		{"9 KB", sized(9000), token.Malformed},
		{"one byte over 8 KiB", sized(8193), token.Malformed},
		{"8 MiB", sized(8 << 20), token.Malformed},
		{"8 MiB of dots", strings.Repeat(".", 8<<20), token.Malformed},
	} {
		t.Run(test.name, func(t *testing.T) { check(t, verifier, test.compact, now, test.want) })
	}
}

// The last character of a part may hold bits that decode to nothing. Only one
// spelling of a token is that token: else who counts tokens can be deceived.
func TestTrailingBitsMustBeZero(t *testing.T) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	sound := sign(`{"alg":"HS256"}`+" ", goodClaims+" ") // lengths that leave bits over
	parts := strings.Split(sound, ".")
	for i, part := range parts {
		if len(part)%4 == 0 {
			t.Fatalf("part %d leaves no bits over", i)
		}
		last := strings.IndexByte(alphabet, part[len(part)-1])
		twisted := append([]string(nil), parts...)
		twisted[i] = part[:len(part)-1] + alphabet[last+1:last+2]
		check(t, verifier, strings.Join(twisted, "."), now, token.Malformed)
	}
	check(t, verifier, sound, now, "")
}
