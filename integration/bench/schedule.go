package main

// turn is one measurement of a scenario.
type turn struct {
	round  int
	target string
}

// schedule lets the targets take turns, A B A B, so that what else the machine does
// meets all of them.
func schedule(targets []string, rounds int) (turns []turn) {
	for round := range rounds {
		for _, target := range targets {
			turns = append(turns, turn{round, target})
		}
	}
	return turns
}
