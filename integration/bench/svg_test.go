package main

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

// polylines reads the points of each line of a plot, which must be well-formed XML.
func polylines(t *testing.T, svg string) (lines [][]point) {
	t.Helper()
	decoder := xml.NewDecoder(strings.NewReader(svg))
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return lines
		}
		if err != nil {
			t.Fatalf("%v:\n%s", err, svg)
		}
		element, ok := token.(xml.StartElement)
		if !ok || element.Name.Local != "polyline" {
			continue
		}
		var line []point
		for _, attr := range element.Attr {
			if attr.Name.Local != "points" {
				continue
			}
			for _, pair := range strings.Fields(attr.Value) {
				var p point
				if _, err := fmt.Sscanf(pair, "%g,%g", &p.X, &p.Y); err != nil {
					t.Fatalf("point %q: %v", pair, err)
				}
				line = append(line, p)
			}
		}
		lines = append(lines, line)
	}
}

func TestPlot(t *testing.T) {
	for name, c := range map[string]struct {
		points, want []point
	}{
		"0 is in the corner, and the greatest at its place": {[]point{{0, 0}, {1000, 5}}, []point{{70, 360}, {540, 40}}},
		"what is half as much is half as far":               {[]point{{500, 2.5}, {1000, 5}}, []point{{305, 200}, {540, 40}}},
		"the frame ends at a round number":                  {[]point{{950, 4.5}}, []point{{516.5, 72}}},
		"less than nothing is drawn as nothing":             {[]point{{1000, -1}, {1000, 5}}, []point{{540, 360}, {540, 40}}},
		"no points are an empty line":                       {nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got := polylines(t, plot("a < b & c", "x", "y", []series{{Name: "<A>", Color: "red", Points: c.points}}))
			if len(got) != 1 || fmt.Sprint(got[0]) != fmt.Sprint(c.want) {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

func TestTicks(t *testing.T) {
	for name, c := range map[string]struct{ top, want float64 }{
		"of nothing":             {0, 1},
		"of 1000 is 200":         {1000, 200},
		"of 3000 is 500":         {3000, 500},
		"of 7 is 1":              {7, 1},
		"of a fraction is finer": {0.3, 0.05},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tick(c.top); fmt.Sprintf("%.6g", got) != fmt.Sprintf("%.6g", c.want) {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}
