package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestPrometheusWatchesTheGateway runs a real Prometheus with the configuration and the
// alarms that we give away: it finds the gateway, evaluates each alarm and each query of
// the dashboard, and notices that the gateway is gone.
func TestPrometheusWatchesTheGateway(t *testing.T) {
	program, err := exec.LookPath("prometheus")
	if err != nil {
		t.Skip("Prometheus is not installed")
	}
	port := freePort(t)
	site, _ := metricsSites(t)
	g := startGatewayWith(t, scripted(t).Address(), host, strings.ReplaceAll(site, "9180", port)+"\n"+host)
	if a := g.mustPost(g.from("127.0.0.2"), tokenFor(t, "bot"), chatBody("hello", true)); a.status != 200 {
		t.Fatalf("got %d %s", a.status, a.body)
	}
	p := startPrometheus(t, program, port)

	await(t, "Prometheus to scrape the gateway", func() error { return p.has(`up{job="caddy-ollama"} == 1 and on () caddy_ip_throttle_clients`) })
	for where, query := range dashboardQueries(t) {
		fill := strings.NewReplacer("$__rate_interval", "1m", "$job", ".*", "$instance", ".*")
		if _, err := p.query(fill.Replace(query)); err != nil {
			t.Errorf("%s: %v", where, err)
		}
	}
	g.stop()
	await(t, "Prometheus to raise an alarm", func() error { return p.has(`ALERTS{alertname="GatewayDown"}`) })
	var answer struct {
		Groups []struct {
			Rules []struct{ Name, Health, LastError string }
		}
	}
	if err := p.ask("/api/v1/rules", &answer); err != nil {
		t.Fatal(err)
	}
	evaluated := 0
	for _, group := range answer.Groups {
		for _, rule := range group.Rules {
			if evaluated++; rule.Health != "ok" {
				t.Errorf("%s: %s, %s", rule.Name, rule.Health, rule.LastError)
			}
		}
	}
	if want := len(alarmQueries(t)); evaluated != want {
		t.Errorf("%d alarms are evaluated, want %d", evaluated, want)
	}
}

// prometheus is one that runs until the test ends.
type prometheus struct{ address string }

func startPrometheus(t *testing.T, program, metricsPort string) *prometheus {
	t.Helper()
	examples, err := filepath.Abs("../caddyfile-examples/prometheus")
	if err != nil {
		t.Fatal(err)
	}
	config, err := os.ReadFile(filepath.Join(examples, "prometheus.yml"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	p := &prometheus{"127.0.0.1:" + freePort(t)}
	writeFile(t, dir+"/prometheus.yml", []byte(strings.NewReplacer(
		"/etc/prometheus/caddy-ollama-alerts.yml", filepath.Join(examples, "alerts.yml"),
		"127.0.0.1:9180", "127.0.0.1:"+metricsPort, "15s", "1s", "127.0.0.1:9093", "127.0.0.1:"+freePort(t)).Replace(string(config))))
	var output lockedBuffer
	cmd := exec.Command(program, "--config.file="+dir+"/prometheus.yml", "--storage.tsdb.path="+dir+"/data",
		"--web.listen-address="+p.address)
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(output.String())
		}
	})
	await(t, "Prometheus to be ready", func() error {
		resp, err := http.Get("http://" + p.address + "/-/ready")
		if err != nil {
			return err
		}
		resp.Body.Close()
		if resp.StatusCode != 200 {
			return errors.New(resp.Status)
		}
		return nil
	})
	return p
}

// ask asks Prometheus' API.
func (p *prometheus) ask(path string, into any) error {
	resp, err := http.Get("http://" + p.address + path)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var answer struct {
		Status, Error string
		Data          json.RawMessage
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return err
	}
	if answer.Status != "success" {
		return fmt.Errorf("%s: %s", path, answer.Error)
	}
	return json.Unmarshal(answer.Data, into)
}

// query is how many series a query has.
func (p *prometheus) query(query string) (series int, err error) {
	var data struct{ Result []any }
	err = p.ask("/api/v1/query?query="+url.QueryEscape(query), &data)
	return len(data.Result), err
}

func (p *prometheus) has(query string) error {
	n, err := p.query(query)
	if err == nil && n == 0 {
		err = fmt.Errorf("nothing is %s", query)
	}
	return err
}
