package ratelimit

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// parseRate reads `<n>/<s|m|h>` and returns the time between two requests at
// that rate. No rate at all is 0.
func parseRate(rate string) (time.Duration, error) {
	if rate == "" {
		return 0, nil
	}
	count, unit, _ := strings.Cut(rate, "/")
	periods := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}
	period, known := periods[unit]
	n, err := strconv.Atoi(count)
	if err != nil || !known || n < 1 || n > 1_000_000 {
		return 0, fmt.Errorf("rate %q: give a number from 1 to 1000000 and a unit, such as 5/s, 100/m or 1000/h", rate)
	}
	return (period + time.Duration(n) - 1) / time.Duration(n), nil // rounded up
}
