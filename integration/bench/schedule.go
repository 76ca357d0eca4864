package main

// schedule is in which order the targets take their turns in a round: A B C, B C A, and
// so on, so that none always has the same one before it.
func schedule(targets []string, turns, round int) (order []string) {
	for turn := range turns {
		for i := range targets {
			order = append(order, targets[(i+turn+round)%len(targets)])
		}
	}
	return order
}
