package prometheus

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/gateway18789/caddy-ollama/jwtauth/token"
)

// rules are what is tested of alerts.yml.
type rules struct {
	Groups []struct {
		Name  string `yaml:"name"`
		Rules []struct {
			Alert       string            `yaml:"alert"`
			Expr        string            `yaml:"expr"`
			For         string            `yaml:"for"`
			Labels      map[string]string `yaml:"labels"`
			Annotations map[string]string `yaml:"annotations"`
		} `yaml:"rules"`
	} `yaml:"groups"`
}

// ruleTests are what is tested of alerts_test.yml.
type ruleTests struct {
	Files    []string `yaml:"rule_files"`
	Interval string   `yaml:"evaluation_interval"`
	Tests    []struct {
		Name     string `yaml:"name"`
		Interval string `yaml:"interval"`
		Series   []struct {
			Series string `yaml:"series"`
			Values string `yaml:"values"`
		} `yaml:"input_series"`
		Alerts []struct {
			Time     string `yaml:"eval_time"`
			Alert    string `yaml:"alertname"`
			Expected []any  `yaml:"exp_alerts"`
		} `yaml:"alert_rule_test"`
	} `yaml:"tests"`
}

func readYAML(t *testing.T, name string, into any) {
	t.Helper()
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	decoder := yaml.NewDecoder(file)
	decoder.KnownFields(true)
	if err := decoder.Decode(into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

func TestEachAlarmSaysWhatToDo(t *testing.T) {
	var all rules
	readYAML(t, "alerts.yml", &all)
	seen := make(map[string]bool)
	for _, group := range all.Groups {
		for _, rule := range group.Rules {
			severe := slices.Contains([]string{"critical", "warning"}, rule.Labels["severity"])
			if rule.Alert == "" || seen[rule.Alert] || !severe || rule.Annotations["summary"] == "" || rule.Annotations["action"] == "" {
				t.Errorf("%q lacks a name of its own, a severity, a summary or an action", rule.Alert)
			}
			seen[rule.Alert] = true
		}
	}
}

// An alarm that was never seen to fire, or fires always, is none.
func TestEachAlarmIsSeenToFireAndToKeepQuiet(t *testing.T) {
	var all rules
	var tests ruleTests
	readYAML(t, "alerts.yml", &all)
	readYAML(t, "alerts_test.yml", &tests)
	fires, quiet := make(map[string]bool), make(map[string]bool)
	for _, test := range tests.Tests {
		for _, at := range test.Alerts {
			if len(at.Expected) > 0 {
				fires[at.Alert] = true
			} else {
				quiet[at.Alert] = true
			}
		}
	}
	for _, group := range all.Groups {
		for _, rule := range group.Rules {
			if !fires[rule.Alert] || !quiet[rule.Alert] {
				t.Errorf("%s: fires in a test: %v, keeps quiet in one: %v", rule.Alert, fires[rule.Alert], quiet[rule.Alert])
			}
			delete(fires, rule.Alert)
		}
	}
	for alert := range fires {
		t.Errorf("a test is of %s, which is no alarm", alert)
	}
}

// promtool runs Prometheus' own tool, where it is installed.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed")
	}
	if output, err := exec.Command(path, args...).CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, output)
	}
}

func TestPromtoolTakesTheRules(t *testing.T) { promtool(t, "check", "rules", "alerts.yml") }

func TestAlarmsFireAsRecorded(t *testing.T) { promtool(t, "test", "rules", "alerts_test.yml") }

func TestPromtoolTakesTheConfiguration(t *testing.T) {
	text, err := os.ReadFile("prometheus.yml")
	if err != nil {
		t.Fatal(err)
	}
	const installed = "/etc/prometheus/caddy-ollama-alerts.yml"
	for _, name := range []string{"prometheus.yml", "README.md", "alerts.yml"} {
		if text, err := os.ReadFile(name); err != nil || !strings.Contains(string(text), installed) {
			t.Errorf("%s does not say %s (%v)", name, installed, err)
		}
	}
	// what is commented out works when it is taken in
	before, rest, ok := strings.Cut(string(text), "    # From another host")
	_, block, _ := strings.Cut(rest, "    #\n")
	block, rest, _ = strings.Cut(block, "\n\n")
	if !ok || !strings.Contains(block, "tls_config") {
		t.Fatal("tls_config has moved")
	}
	from := before + strings.ReplaceAll(block, "    # ", "    ") + "\n\n" + rest
	for name, config := range map[string]string{"on the same host": string(text), "from another host": from} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "prometheus.yml")
			if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
				t.Fatal(err)
			}
			promtool(t, "check", "config", "--syntax-only", file)
		})
	}
}

// dashboard is what is tested of Grafana's.
type dashboard struct {
	Panels []struct {
		Title   string                         `json:"title"`
		Type    string                         `json:"type"`
		Grid    struct{ X, Y, W, H int }       `json:"gridPos"`
		Targets []struct{ Expr, RefID string } `json:"targets"`
	} `json:"panels"`
	Templating struct {
		List []struct {
			Name string `json:"name"`
		} `json:"list"`
	} `json:"templating"`
}

func readDashboard(t *testing.T) (d dashboard) {
	t.Helper()
	text, err := os.ReadFile("../grafana/dashboard.json")
	if err == nil {
		err = json.Unmarshal(text, &d)
	}
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestPromtoolTakesEachQueryOfTheDashboard(t *testing.T) {
	fill := strings.NewReplacer("$__rate_interval", "1m", "$job", ".*", "$instance", ".*")
	var queries []map[string]string
	for _, panel := range readDashboard(t).Panels {
		for _, target := range panel.Targets {
			query := fill.Replace(target.Expr)
			if strings.Contains(query, "$") {
				t.Errorf("%s: %s has a variable that the dashboard has not", panel.Title, target.Expr)
			}
			queries = append(queries, map[string]string{"record": fmt.Sprintf("query:%d", len(queries)), "expr": query})
		}
	}
	text, err := yaml.Marshal(map[string]any{"groups": []any{map[string]any{"name": "dashboard", "rules": queries}}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "queries.yml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "check", "rules", file)
}

// What jwt_auth takes for forged, the alarm and the panel do, too: else the event
// audit_log.forged_token tells of tokens that they do not.
func TestForgedTokensAreThoseOfTheEvent(t *testing.T) {
	var forged []string
	for _, fault := range token.Faults() {
		if fault.Forged() {
			forged = append(forged, string(fault))
		}
	}
	slices.Sort(forged)

	queries := make(map[string]string)
	var all rules
	readYAML(t, "alerts.yml", &all)
	for _, group := range all.Groups {
		for _, rule := range group.Rules {
			if rule.Alert == "ForgedTokens" {
				queries["the alarm"] = rule.Expr
			}
		}
	}
	for _, panel := range readDashboard(t).Panels {
		if strings.HasPrefix(panel.Title, "Forged tokens") {
			queries["the panel"] = panel.Targets[0].Expr
		}
	}
	if len(queries) != 2 {
		t.Errorf("there are only %v", queries)
	}
	reasons := regexp.MustCompile(`reason=~"bad_token:\(([a-z_|]+)\)"`)
	for where, query := range queries {
		found := reasons.FindAllStringSubmatch(query, -1)
		if len(found) != 1 {
			t.Errorf("%s asks for %d lists of reasons: %s", where, len(found), query)
			continue
		}
		asked := strings.Split(found[0][1], "|")
		slices.Sort(asked)
		if !slices.Equal(asked, forged) {
			t.Errorf("%s asks for %v, forged are %v", where, asked, forged)
		}
	}
}

// Panels lie beside each other within Grafana's 24 columns, and cover nothing.
func TestPanelsHaveTheirPlace(t *testing.T) {
	taken := make(map[[2]int]string)
	rows := 0
	for _, panel := range readDashboard(t).Panels {
		if panel.Type == "row" {
			rows++
		} else if len(panel.Targets) == 0 {
			t.Errorf("%s asks nothing", panel.Title)
		}
		if panel.Title == "" || panel.Grid.X < 0 || panel.Grid.W <= 0 || panel.Grid.H <= 0 || panel.Grid.X+panel.Grid.W > 24 {
			t.Errorf("%q is at %+v", panel.Title, panel.Grid)
		}
		for x := range panel.Grid.W {
			for y := range panel.Grid.H {
				at := [2]int{panel.Grid.X + x, panel.Grid.Y + y}
				if other, is := taken[at]; is {
					t.Fatalf("%q covers %q at %v", panel.Title, other, at)
				}
				taken[at] = panel.Title
			}
		}
	}
	if rows < 4 {
		t.Errorf("there are %d rows", rows)
	}
}
