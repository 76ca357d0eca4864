package verify

import "fmt"

// areLines counts lines in words.
func areLines(n uint64) string {
	if n == 1 {
		return "1 line is"
	}
	return fmt.Sprintf("%d lines are", n)
}
