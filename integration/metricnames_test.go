package integration

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollamatest"
)

// TestAlarmsAndDashboardNameWhatIsThere scrapes a gateway to which everything has
// happened that an alarm is for, at the place where the README has it serve its metrics.
func TestAlarmsAndDashboardNameWhatIsThere(t *testing.T) {
	there := scrapedMetrics(t)
	there["up"] = nil // Prometheus' own
	for name := range there {
		there[name] = append(there[name], "job", "instance")
	}

	queries := alarmQueries(t)
	maps.Copy(queries, dashboardQueries(t))
	if len(queries) < 40 {
		t.Errorf("there are only %d queries", len(queries))
	}
	for where, query := range queries {
		selectors, grouping := promQLNames(query)
		var labels []string // that the metrics of the query have
		for _, s := range selectors {
			known, ok := there[s.metric]
			if !ok {
				t.Errorf("%s: there is no %s", where, s.metric)
				continue
			}
			for _, label := range s.labels {
				if !slices.Contains(known, label) {
					t.Errorf("%s: %s has no label %s, only %v", where, s.metric, label, known)
				}
			}
			labels = append(labels, known...)
		}
		for _, label := range grouping {
			if !slices.Contains(labels, label) {
				t.Errorf("%s: nothing in %s has a label %s", where, query, label)
			}
		}
	}
}

// alarmQueries are those of the rules, by their names.
func alarmQueries(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../caddyfile-examples/prometheus/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	var rules struct {
		Groups []struct {
			Rules []struct{ Alert, Expr string }
		}
	}
	if err := yaml.Unmarshal(text, &rules); err != nil {
		t.Fatal(err)
	}
	queries := make(map[string]string)
	for _, group := range rules.Groups {
		for _, rule := range group.Rules {
			queries["alarm "+rule.Alert] = rule.Expr
		}
	}
	return queries
}

var labelValues = regexp.MustCompile(`^label_values\((.*), (\w+)\)$`)

// dashboardQueries are those of its panels and variables.
func dashboardQueries(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../caddyfile-examples/grafana/dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ RefID, Expr string }
		}
		Templating struct {
			List []struct {
				Name, Type string
				Query      any
			}
		}
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	queries := make(map[string]string)
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			where := "panel " + panel.Title + " " + target.RefID
			if _, twice := queries[where]; twice {
				t.Errorf("there are two of %s", where)
			}
			queries[where] = target.Expr
		}
	}
	for _, variable := range dashboard.Templating.List {
		if variable.Type != "query" {
			continue
		}
		query := variable.Query.(map[string]any)["query"].(string)
		match := labelValues.FindStringSubmatch(query)
		if match == nil {
			t.Errorf("variable %s asks for %q", variable.Name, query)
			continue
		}
		queries["variable "+variable.Name] = "sum by (" + match[2] + ") (" + match[1] + ")"
	}
	return queries
}

// scrapedMetrics are the series of a gateway that has seen everything, as Prometheus
// gets them: their names with the names of their labels.
func scrapedMetrics(t *testing.T) map[string][]string {
	t.Helper()
	upstream := ollamatest.NewServer(byTopic(map[string]ollamatest.Answer{
		"hi": {Content: []string{"Hello", " world", "!"}, Interval: 10 * time.Millisecond},
	}))
	t.Cleanup(upstream.Close)
	port := freePort(t)
	site, _ := metricsSites(t)
	g := startGatewayWith(t, upstream.Address(),
		// a second throttle, with a store that is down
		"\t\t# From OpenAI's dialect", "\t\tip_throttle {\n\t\t\tzone shared\n\t\t\trate 100/s\n\t\t\tburst 100\n\t\t\tstore redis {\n\t\t\t\taddress 127.0.0.1:"+freePort(t)+
			"\n\t\t\t}\n\t\t}\n\n\t\t# From OpenAI's dialect",
		// an audit log whose receiver is away
		"\t\t\tretention 180d", "\t\t\tship 127.0.0.1:"+freePort(t)+" {\n\t\t\t\tplaintext\n\t\t\t}",
		"\tgrace_period 30s", "\tgrace_period 1s\n"+webhookOptions(t),
		host, strings.ReplaceAll(site, "9180", port)+"\n"+host)

	token := tokenFor(t, "bot")
	for _, stream := range []bool{false, true} {
		if a := g.mustPost(g.from("127.0.0.2"), token, chatBody("hello", stream)); a.status != 200 {
			t.Fatalf("got %d %s", a.status, a.body)
		}
	}
	forged := signedToken(t, strings.Repeat("x", 48), jwt.MapClaims{
		"sub": "bot", "iat": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix(),
	})
	for range 4 { // three errors are one block
		g.mustPost(g.from("127.0.0.3"), forged, chatBody("hello", false))
	}
	upstream.Close()
	if a := g.mustPost(g.from("127.0.0.4"), token, chatBody("hello", false)); a.status < 500 {
		t.Errorf("got %d %s from an Ollama that is gone", a.status, a.body)
	}

	found := make(map[string][]string)
	await(t, "the metrics of a store that was lost", func() error {
		resp, err := http.Get("http://127.0.0.1:" + port + "/metrics")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		found = seriesOf(t, resp.Body)
		if _, ok := found["caddy_ip_throttle_store_outages_total"]; !ok {
			return errors.New("there are none yet")
		}
		return nil
	})
	return found
}

// seriesOf reads an exposition.
func seriesOf(t *testing.T, text io.Reader) map[string][]string {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(text)
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string][]string)
	for name, family := range families {
		metric := family.Metric[0]
		var labels []string
		for _, pair := range metric.Label {
			labels = append(labels, pair.GetName())
		}
		switch {
		case metric.Histogram != nil:
			found[name+"_bucket"] = append(slices.Clone(labels), "le")
			found[name+"_sum"], found[name+"_count"] = labels, slices.Clone(labels)
		case metric.Summary != nil:
			found[name] = append(slices.Clone(labels), "quantile")
			found[name+"_sum"], found[name+"_count"] = labels, slices.Clone(labels)
		default:
			found[name] = labels
		}
	}
	return found
}

// metricsSites are those in the README of the Prometheus example: one for this host, and
// one for others.
func metricsSites(t *testing.T) (here, elsewhere string) {
	t.Helper()
	text, err := os.ReadFile("../caddyfile-examples/prometheus/README.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(text), "```caddyfile\n")
	if len(blocks) != 3 {
		t.Fatalf("the README has %d sites, want 2", len(blocks)-1)
	}
	here, _, _ = strings.Cut(blocks[1], "```\n")
	elsewhere, _, _ = strings.Cut(blocks[2], "```\n")
	return here, elsewhere
}

func TestMetricsAreOnlyForThoseWithACertificate(t *testing.T) {
	_, site := metricsSites(t)
	g := prepareGateway(t, scripted(t).Address())
	port := freePort(t)
	g.caddyfile += strings.NewReplacer("/etc/caddy-ollama", g.dir, host+":9180 {", host+":"+port+" {\n\tbind 127.0.0.1").Replace(site)
	g.writeConfig(g.caddyfile)
	g.process = startProcess(t, g.dir, "run", "--config", g.configFile(), "--adapter", "caddyfile")
	g.awaitListening(t, "127.0.0.1:"+port)

	ask := func(config *tls.Config) (*http.Response, error) {
		client := g.clientWith("127.0.0.2", config)
		client.Transport.(*http.Transport).DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, "127.0.0.1:"+port)
		}
		return client.Get("https://" + host + ":" + port + "/metrics")
	}
	resp, err := ask(&tls.Config{RootCAs: g.ca.pool(), Certificates: []tls.Certificate{g.client}})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if found := seriesOf(t, resp.Body); found["caddy_ip_throttle_in_flight"] == nil {
		t.Errorf("with a certificate there are %d metrics, and none of the gateway's", len(found))
	}
	if resp, err := ask(&tls.Config{RootCAs: g.ca.pool()}); err == nil {
		resp.Body.Close()
		t.Errorf("without a certificate: %s", resp.Status)
	}
}

// webhookOptions has events sent to where nobody listens.
func webhookOptions(t *testing.T) string {
	t.Helper()
	return "\tevents {\n\t\ton ip_throttle.blocked webhook http://127.0.0.1:" + freePort(t) + "\n\t}\n"
}
