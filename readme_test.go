package caddyollama

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// section is a part of a README, from one heading to the next.
type section struct {
	heading string
	level   int
	code    []string // its blocks
	spans   []string // what is `code` in its text, sorted
	rows    int      // of its tables
}

var span = regexp.MustCompile("`[^`]+`")

func sections(t *testing.T, file string) (all []section) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var block []string
	inBlock := false
	all = []section{{}}
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSuffix(line, "\n")
		now := &all[len(all)-1]
		switch {
		case strings.HasPrefix(line, "```"):
			block = append(block, line)
			if inBlock {
				now.code = append(now.code, strings.Join(block, "\n"))
				block = nil
			}
			inBlock = !inBlock
		case inBlock:
			block = append(block, line)
		case strings.HasPrefix(line, "#"):
			marks, heading, _ := strings.Cut(line, " ")
			all = append(all, section{heading: heading, level: len(marks), spans: span.FindAllString(heading, -1)})
		default:
			now.spans = append(now.spans, span.FindAllString(line, -1)...)
			if strings.HasPrefix(line, "|") {
				now.rows++
			}
		}
	}
	for _, s := range all {
		slices.Sort(s.spans)
	}
	return all
}

// Who changes one README changes the other: sections, code, options and rows of tables
// are the same in both.
func TestTheChineseREADMEKeepsStep(t *testing.T) {
	english, chinese := sections(t, "README.md"), sections(t, "README.zh-CN.md")
	for i := range min(len(english), len(chinese)) {
		e, c := english[i], chinese[i]
		where := fmt.Sprintf("section %q, %q", e.heading, c.heading)
		if e.level != c.level {
			t.Fatalf("%s: the levels are %d and %d", where, e.level, c.level)
		}
		if !slices.Equal(e.code, c.code) {
			t.Errorf("%s: the code is %q and %q", where, e.code, c.code)
		}
		if !slices.Equal(e.spans, c.spans) {
			t.Errorf("%s: only one has %q", where, difference(e.spans, c.spans))
		}
		if e.rows != c.rows {
			t.Errorf("%s: the tables have %d and %d rows", where, e.rows, c.rows)
		}
	}
	if len(english) != len(chinese) {
		t.Errorf("there are %d and %d sections", len(english), len(chinese))
	}
}

// difference is what two sorted lists do not share.
func difference(a, b []string) (only []string) {
	for len(a) > 0 || len(b) > 0 {
		switch {
		case len(b) == 0 || len(a) > 0 && a[0] < b[0]:
			only, a = append(only, a[0]), a[1:]
		case len(a) == 0 || b[0] < a[0]:
			only, b = append(only, b[0]), b[1:]
		default:
			a, b = a[1:], b[1:]
		}
	}
	return only
}

var (
	link        = regexp.MustCompile(`\]\(([^)]+)\)`)
	notInAnchor = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// A link leads to a heading or a file that is there.
func TestLinksLeadSomewhere(t *testing.T) {
	for _, file := range []string{"README.md", "README.zh-CN.md"} {
		anchors := make(map[string]bool)
		for _, s := range sections(t, file) {
			anchor := strings.ToLower(notInAnchor.ReplaceAllString(s.heading, ""))
			anchors["#"+strings.ReplaceAll(anchor, " ", "-")] = true
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range link.FindAllStringSubmatch(string(data), -1) {
			target := found[1]
			if strings.HasPrefix(target, "#") {
				if !anchors[target] {
					t.Errorf("%s: there is no heading %s", file, target)
				}
			} else if _, err := os.Stat(target); err != nil && !strings.Contains(target, "://") {
				t.Errorf("%s: %v", file, err)
			}
		}
	}
}
