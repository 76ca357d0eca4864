package main

import (
	"encoding/xml"
	"fmt"
	"math"
	"strings"
)

// series is a line of a plot. Its points are in order of X.
type series struct {
	Name   string
	Dashed bool
	Color  string
	Points []point
}

type point struct{ X, Y float64 }

// The plot's size, and the frame in it.
const (
	svgWidth, svgHeight                          = 720, 420
	frameLeft, frameTop, frameRight, frameBottom = 70, 40, 540, 360
)

// plot draws the series as an SVG image, from 0 on both axes.
func plot(title, xLabel, yLabel string, all []series) string {
	var top point
	for _, s := range all {
		for _, p := range s.Points {
			top = point{max(top.X, p.X), max(top.Y, p.Y)}
		}
	}
	xStep, yStep := tick(top.X), tick(top.Y)
	top = point{math.Ceil(top.X/xStep) * xStep, math.Ceil(top.Y/yStep) * yStep}
	at := func(p point) (x, y float64) {
		p.Y = max(p.Y, 0)
		return frameLeft + p.X/top.X*(frameRight-frameLeft), frameBottom - p.Y/top.Y*(frameBottom-frameTop)
	}

	var out strings.Builder
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", svgWidth, svgHeight)
	fmt.Fprintf(&out, `<rect width="%d" height="%d" fill="white"/>`+"\n", svgWidth, svgHeight)
	text := func(x, y float64, anchor, content string) {
		fmt.Fprintf(&out, `<text x="%.1f" y="%.1f" text-anchor="%s">%s</text>`+"\n", x, y, anchor, escape(content))
	}
	line := func(x1, y1, x2, y2 float64) {
		fmt.Fprintf(&out, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="#ddd"/>`+"\n", x1, y1, x2, y2)
	}
	text((frameLeft+frameRight)/2, 24, "middle", title)
	text((frameLeft+frameRight)/2, svgHeight-16, "middle", xLabel)
	text(12, frameTop-12, "start", yLabel)
	for i := range int(math.Round(top.X/xStep)) + 1 {
		x, _ := at(point{X: float64(i) * xStep})
		line(x, frameTop, x, frameBottom)
		text(x, frameBottom+18, "middle", fmt.Sprintf("%.4g", float64(i)*xStep))
	}
	for i := range int(math.Round(top.Y/yStep)) + 1 {
		_, y := at(point{Y: float64(i) * yStep})
		line(frameLeft, y, frameRight, y)
		text(frameLeft-6, y+4, "end", fmt.Sprintf("%.4g", float64(i)*yStep))
	}
	for i, s := range all {
		dash := ""
		if s.Dashed {
			dash = ` stroke-dasharray="5 4"`
		}
		var points []string
		for _, p := range s.Points {
			x, y := at(p)
			points = append(points, fmt.Sprintf("%.1f,%.1f", x, y))
		}
		fmt.Fprintf(&out, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2"%s/>`+"\n", strings.Join(points, " "), s.Color, dash)
		y := float64(frameTop + 12 + 20*i)
		fmt.Fprintf(&out, `<line x1="%d" y1="%.1f" x2="%d" y2="%.1f" stroke="%s" stroke-width="2"%s/>`+"\n", frameRight+14, y, frameRight+44, y, s.Color, dash)
		text(frameRight+50, y+4, "start", s.Name)
	}
	out.WriteString("</svg>\n")
	return out.String()
}

// tick is a round distance of lines that leaves four to ten of them below top.
func tick(top float64) float64 {
	if top <= 0 {
		return 1
	}
	step := math.Pow(10, math.Floor(math.Log10(top)))
	switch n := top / step; {
	case n < 2:
		return step / 5
	case n < 4:
		return step / 2
	default:
		return step
	}
}

func escape(text string) string {
	var out strings.Builder
	_ = xml.EscapeText(&out, []byte(text))
	return out.String()
}
