package main

import (
	"fmt"
	"strings"
)

// goal is what a median is to keep between: that of the ratios to stock Caddy, or, if
// there is a unit, the value itself. A bound of 0 is none.
type goal struct {
	least, most float64
	unit        string
}

func atMost(ratio float64) goal  { return goal{most: ratio} }
func atLeast(ratio float64) goal { return goal{least: ratio} }

// verdict says whether a goal is met.
type verdict struct {
	Goal string `json:"goal"`
	Met  bool   `json:"met"`
}

func (v verdict) String() string {
	if v.Met {
		return v.Goal + ": met"
	}
	return v.Goal + ": NOT MET"
}

// judge is nil if there is no goal, or nothing to judge.
func (g goal) judge(value, ratio *spread) *verdict {
	s := ratio
	if g.unit != "" {
		s = value
	}
	if g == (goal{}) || s == nil {
		return nil
	}
	return &verdict{g.String(), (g.least == 0 || s.Median >= g.least) && (g.most == 0 || s.Median <= g.most)}
}

func (g goal) String() string {
	unit := g.unit
	if unit == "" {
		unit = "×"
	}
	show := func(bound float64) string {
		if g.unit == "" {
			return fmt.Sprintf("%.2f", bound)
		}
		return fmt.Sprintf("%g", bound)
	}
	var text []string
	switch {
	case g.least != 0 && g.most != 0:
		text = []string{show(g.least), "…", show(g.most)}
	case g.least != 0:
		text = []string{"≥", show(g.least)}
	default:
		text = []string{"≤", show(g.most)}
	}
	return strings.Join(append(text, unit), " ")
}
