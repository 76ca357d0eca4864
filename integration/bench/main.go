// Command bench measures what the gateway costs, beside what Caddy's reverse_proxy
// costs that does nothing else:
//
//	go run ./integration/bench
//
// It builds both, runs them on loopback, with TLS and client certificates, before one
// scripted Ollama that costs next to nothing, and lets them take turns: stock Caddy; the
// gateway with everything on; the gateway with each part left out; and the bare upstream,
// which tells what the rig itself can do, and what it adds. Every request has a token
// that no other has had for thousands of requests.
//
// Compare ratios, not times: those are of the machine and of what else it does. What the
// rig can tell apart shows when one binary is measured against itself (-same).
//
// It needs Linux, whose /proc says what a process costs.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// options of a run.
type options struct {
	duration  time.Duration
	rounds    int
	streams   int
	tokenRate float64
	loads     []float64
	parts     bool
	same      bool
	growth    bool
	sizing    bool
	only      string
	ours      string
	stock     string
	json, svg string
}

func main() {
	// what the rig itself costs, its targets do not get: it has memory to spare
	debug.SetGCPercent(800)
	if len(os.Args) > 2 && os.Args[1] == upstreamCommand {
		exit(serveUpstream(os.Args[2], os.Args[3:]))
	}
	var o options
	var loads string
	flag.DurationVar(&o.duration, "d", 500*time.Millisecond, "how long each measurement lasts")
	flag.IntVar(&o.rounds, "rounds", 3, "how often each is done; the targets take turns")
	flag.IntVar(&o.streams, "streams", 500, "how many streams are held")
	flag.Float64Var(&o.tokenRate, "token-rate", 20, "tokens a second of each held stream")
	flag.StringVar(&loads, "loads", "0.1,0.3,0.5,0.7", "the open loop's rates, as parts of what stock Caddy can do")
	flag.BoolVar(&o.parts, "parts", true, "also with each part of the gateway left out")
	flag.BoolVar(&o.same, "same", false, "also stock Caddy a second time, to see what the rig can tell apart")
	flag.BoolVar(&o.growth, "growth", false, "also from 1 to 1,000,000 known clients, and from 1 to 2,000 streams: two to five minutes more")
	flag.BoolVar(&o.sizing, "sizing", false, "instead, what one processor core carries, as the README's table")
	flag.StringVar(&o.only, "only", "", "only scenarios whose name contains this")
	flag.StringVar(&o.ours, "ours", "", "the gateway's binary, if it is not to be built")
	flag.StringVar(&o.stock, "stock", "", "stock Caddy's binary, if it is not to be built")
	flag.StringVar(&o.json, "json", "", "a file for all that was measured")
	flag.StringVar(&o.svg, "svg", "", "a file for the plot of added latency over load")
	flag.Parse()
	for _, part := range strings.Split(loads, ",") {
		load, err := strconv.ParseFloat(part, 64)
		if err != nil || load <= 0 {
			exit(fmt.Errorf("-loads %s: %q is no part of a load", loads, part))
		}
		o.loads = append(o.loads, load)
	}
	if o.duration <= 0 || o.rounds < 1 || o.streams < 1 || o.tokenRate <= 0 {
		exit(fmt.Errorf("-d, -rounds, -streams and -token-rate must be positive"))
	}
	exit(bench(o))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// bench does a run and reports it.
func bench(o options) error {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt, syscall.SIGTERM)

	rig, err := startRig(o, dir)
	if err != nil {
		return err
	}
	defer rig.stop()
	done := make(chan error, 1)
	var rep *report
	var sizes *sizing
	go func() {
		var err error
		if o.sizing {
			sizes, err = rig.size(os.Stderr)
		} else {
			rep, err = rig.measure(os.Stderr)
		}
		done <- err
	}()
	select {
	case err = <-done:
	case <-interrupted:
		err = fmt.Errorf("interrupted")
	}
	if err != nil {
		return err
	}
	if o.sizing {
		fmt.Print(sizes)
		return nil
	}
	fmt.Print(rep)
	return rep.write(o.json, o.svg)
}

// build makes a binary of a package of this module, if none is given.
func build(given, dir, name, pkg string) (string, error) {
	if given != "" {
		return filepath.Abs(given)
	}
	binary := filepath.Join(dir, "bin", name) // apart from the folders of targets
	// with the flags of xcaddy, which is how gateways are built
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-w -s", "-tags", "nobadger,nomysql,nopgx",
		"-o", binary, "github.com/gateway18789/caddy-ollama/"+pkg)
	if output, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build %s: %w\n%s", pkg, err, output)
	}
	return binary, nil
}
