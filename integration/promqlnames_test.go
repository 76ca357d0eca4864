package integration

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// selector is a metric that a query of Prometheus asks for, and the labels by which it
// picks among its series.
type selector struct {
	metric string
	labels []string
}

var promQLToken = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|[a-zA-Z_:][a-zA-Z0-9_:]*|[0-9][0-9a-zA-Z.]*|\S`)

// promQLNames finds the names in a query: the metrics with the labels in their braces,
// and the labels by which it groups and joins. That the query is valid is promtool's to
// tell (caddyfile-examples/prometheus).
func promQLNames(query string) (selectors []selector, grouping []string) {
	tokens := append(promQLToken.FindAllString(query, -1), "", "")
	words := regexp.MustCompile(`^[a-zA-Z_:]`)
	// labels are the words up to the end, but for strings
	labels := func(i int, end string) (names []string, next int) {
		for ; tokens[i] != end && tokens[i] != ""; i++ {
			if words.MatchString(tokens[i]) {
				names = append(names, tokens[i])
			}
		}
		return names, i
	}
	for i := 0; i < len(tokens)-2; i++ {
		token, next := tokens[i], tokens[i+1]
		switch {
		case token == "[":
			_, i = labels(i, "]")
		case token == "$" || token == "offset":
			i++ // a variable, or a duration
		case !words.MatchString(token) || slices.Contains([]string{"and", "or", "unless", "bool"}, token):
		case slices.Contains([]string{"by", "without", "on", "ignoring", "group_left", "group_right"}, token):
			var names []string
			names, i = labels(i+1, ")")
			grouping = append(grouping, names...)
		case next == "(" || next == "by" || next == "without": // a function
		case next == "{":
			s := selector{metric: token}
			s.labels, i = labels(i+2, "}")
			selectors = append(selectors, s)
		default:
			selectors = append(selectors, selector{metric: token})
		}
	}
	return selectors, grouping
}

func TestNamesAreFoundInQueries(t *testing.T) {
	for query, want := range map[string]string{
		`up`:                                `[{up []}] []`,
		`up{job="a\"b{c=\"d\"}"} == bool 0`: `[{up [job]}] []`,
		`sum by (a, b) (rate(m[5m])) > 0`:   `[{m []}] [a b]`,
		`sum(rate(m{a=~"x|y", b!=""}[$__rate_interval])) without (c) / $limit`: `[{m [a b]}] [c]`,
		`m unless n offset 5m and on (a) up`:                                   `[{m []} {n []} {up []}] [a]`,
		`histogram_quantile(0.95, sum by (le) (rate(m_bucket[1m])))`:           `[{m_bucket []}] [le]`,
		`vector(1) or min(m)`: `[{m []}] []`,
	} {
		selectors, grouping := promQLNames(query)
		if got := fmt.Sprint(selectors, grouping); got != want {
			t.Errorf("%s: got %s, want %s", strings.TrimSpace(query), got, want)
		}
	}
}
