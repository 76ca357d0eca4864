package token_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/gateway18789/caddy-ollama/jwtauth/token"
)

// Times in these tests are in seconds from now.
func TestTime(t *testing.T) {
	const none = "none"
	for _, test := range []struct {
		name          string
		iat, exp, nbf string
		leeway        time.Duration
		at            time.Duration
		want          token.Fault
	}{
		{"fresh", "0", "300", none, 0, 0, ""},
		{"in the middle of its life", "-100", "200", none, 0, 0, ""},
		{"a nanosecond before it expires", "0", "60", none, 0, time.Minute - 1, ""},
		{"at the moment it expires", "0", "60", none, 0, time.Minute, token.Expired},
		{"expired long ago", "-1000", "-700", none, 0, 0, token.Expired},
		{"expired within the leeway", "-100", "-10", none, 30 * time.Second, 0, ""},
		{"expired at the end of the leeway", "-100", "-30", none, 30 * time.Second, 0, token.Expired},

		{"issued in the future", "1", "100", none, 0, 0, token.NotYetValid},
		{"issued at the end of the leeway", "30", "100", none, 30 * time.Second, 0, ""},
		{"issued beyond the leeway", "31", "100", none, 30 * time.Second, 0, token.NotYetValid},
		{"not yet valid", "0", "100", "1", 0, 0, token.NotYetValid},
		{"valid from now on", "0", "100", "0", 0, 0, ""},
		{"valid since long", "0", "100", "-100000", 0, 0, ""},
		{"not yet valid, but within the leeway", "0", "100", "30", 30 * time.Second, 0, ""},
		{"not yet valid, beyond the leeway", "0", "100", "31", 30 * time.Second, 0, token.NotYetValid},

		{"a lifetime of exactly the longest", "0", "300", none, 0, 0, ""},
		{"a lifetime one second too long", "0", "301", none, 0, 0, token.TooLong},
		{"a lifetime half a second too long", "0", "300.5", none, 0, 0, token.TooLong},
		{"a lifetime of a hundred years", "0", "3153600000", none, 0, 0, token.TooLong},
		{"a lifetime too long, though the token expires soon", "-3600", "60", none, 0, 0, token.TooLong},
		{"expiring when it is issued", "0", "0", none, 0, 0, token.TooLong},
		{"expiring before it is issued", "0", "-1", none, 0, 0, token.TooLong},
		{"the leeway does not stretch the claimed lifetime", "0", "301", none, 30 * time.Second, 0, token.TooLong},
		{"a nanosecond before it is too old", "-300", "0", none, 30 * time.Second, -1, ""},
		{"the leeway does not stretch the lived lifetime", "-300", "0", none, 30 * time.Second, 0, token.Expired},
	} {
		t.Run(test.name, func(t *testing.T) {
			more := ""
			if test.nbf != none {
				more = `"nbf":` + at(t, test.nbf)
			}
			v := verifier
			v.Leeway = test.leeway
			compact := sign(goodHeader, claims(`"clawdbot"`, at(t, test.iat), at(t, test.exp), more))
			check(t, v, compact, now.Add(test.at), test.want)
		})
	}
}

// at is the NumericDate so many seconds from now.
func at(t *testing.T, offset string) string {
	t.Helper()
	var seconds float64
	if _, err := fmt.Sscan(offset, &seconds); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%.1f", float64(now.Unix())+seconds)
}

func TestEveryMomentOfALife(t *testing.T) {
	compact := sign(goodHeader, claims(`"clawdbot"`, "1800000000", "1800000060", ""))
	for second := -120; second <= 120; second++ {
		_, err := verifier.Verify(t.Context(), compact, now.Add(time.Duration(second)*time.Second))
		if alive := second >= 0 && second < 60; (err == nil) != alive {
			t.Errorf("%d seconds after it was issued: %v", second, err)
		}
	}
}
