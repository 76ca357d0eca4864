package jwks

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// interval is how old a set that came with this header becomes: the operator's
// refresh, or the provider's max-age if that is shorter. What the provider asks for
// is taken between a minute and an hour.
func interval(refresh time.Duration, header http.Header) time.Duration {
	age, given := maxAge(header)
	if !given {
		return refresh
	}
	return min(refresh, max(time.Minute, min(age, time.Hour)))
}

// maxAge is the max-age of Cache-Control (RFC 9111 section 5.2.2.1).
func maxAge(header http.Header) (age time.Duration, given bool) {
	for directive := range strings.SplitSeq(strings.Join(header.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		seconds, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 32)
		if strings.EqualFold(name, "max-age") && err == nil {
			return time.Duration(seconds) * time.Second, true
		}
	}
	return 0, false
}

// backoff is how long to wait after so many failures in a row.
func backoff(refresh time.Duration, failures int) time.Duration {
	return min(refresh, 30*time.Second, time.Second<<min(failures-1, 5))
}

// early is a bit less than d, never the same, so that many gateways do not ask all
// at once. It leaves room for the fetch itself to be over when d is.
func early(d time.Duration) time.Duration {
	return d*8/10 + rand.N(d/10)
}
