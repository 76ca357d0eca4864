package main

import (
	"reflect"
	"testing"
)

func TestPercentile(t *testing.T) {
	hundred := make([]int, 100)
	for i := range hundred {
		hundred[i] = i + 1
	}
	for name, c := range map[string]struct {
		sorted []int
		p      float64
		want   int
	}{
		"of nothing is nothing":                             {nil, 50, 0},
		"of one value is that value":                        {[]int{7}, 99, 7},
		"the 50th of two is the lower":                      {[]int{1, 2}, 50, 1},
		"the 50th of three is the middle":                   {[]int{1, 2, 9}, 50, 2},
		"the 99th of a hundred is the last but one":         {hundred, 99, 99},
		"the 100th is the greatest":                         {hundred, 100, 100},
		"the 0th is the smallest":                           {hundred, 0, 1},
		"the 99th of a few is the greatest, not an average": {[]int{1, 1, 1, 50}, 99, 50},
	} {
		t.Run(name, func(t *testing.T) {
			if got := percentile(c.sorted, c.p); got != c.want {
				t.Errorf("%d, want %d", got, c.want)
			}
		})
	}
}

func TestSpread(t *testing.T) {
	for name, c := range map[string]struct {
		values []float64
		want   *spread
	}{
		"of nothing is none":                         {nil, nil},
		"of one round is that round":                 {[]float64{2}, &spread{2, 2, 2}},
		"of an odd number has the middle one":        {[]float64{3, 1, 2}, &spread{2, 1, 3}},
		"of an even number has the mean of the two":  {[]float64{4, 1, 2, 3}, &spread{2.5, 1, 4}},
		"one wild round moves the end, not the rest": {[]float64{1, 1, 100}, &spread{1, 1, 100}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := spreadOf(c.values); !reflect.DeepEqual(got, c.want) {
				t.Errorf("%+v, want %+v", got, c.want)
			}
		})
	}
}

func TestRatiosAreOfTheSameRound(t *testing.T) {
	for name, c := range map[string]struct {
		a, b map[int]float64
		want []float64
	}{
		"each round by itself, though the machine slowed down":  {map[int]float64{0: 2, 1: 20}, map[int]float64{0: 1, 1: 10}, []float64{2, 2}},
		"a round that only one of them has counts for nothing":  {map[int]float64{0: 2, 1: 3}, map[int]float64{1: 1}, []float64{3}},
		"nothing is added by one: there is no ratio to nothing": {map[int]float64{0: 2}, map[int]float64{0: -1}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if got := ratios(c.a, c.b); !reflect.DeepEqual(got, c.want) {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}
