package realollama

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/gateway18789/caddy-ollama/integration/scriptedmodel"
)

const (
	// readyWithin is how long Ollama may take to answer its first request. It
	// looks for GPUs first, which takes a second or two.
	readyWithin = time.Minute

	// readyPoll is how often it is asked meanwhile.
	readyPoll = 50 * time.Millisecond

	// endGrace is how long Ollama may take to end its runners and itself.
	endGrace = 10 * time.Second

	// portAttempts is how often another port is tried if someone takes the
	// chosen one before Ollama does.
	portAttempts = 3

	// logTail is how many bytes of Ollama's log go into an error.
	logTail = 8 << 10
)

// Server is a running Ollama with scripted models.
type Server struct {
	// URL is the base URL of its API, without a slash at the end.
	URL string

	process *process
	logPath string
	environ []string
}

// Start runs the Ollama binary bin with dir as the folder for all its files,
// waits until it answers, and creates the models in it. If ctx ends before
// that, or anything fails, nothing is left running, and the error holds the end
// of Ollama's log. A started server runs until Close, whatever becomes of ctx.
func Start(ctx context.Context, bin, dir string, models ...scriptedmodel.Model) (*Server, error) {
	var s *Server
	for attempt := 1; ; attempt++ {
		var err error
		if s, err = launch(bin, dir, len(models)); err != nil {
			return nil, err
		}
		if err = s.awaitReady(ctx); err == nil {
			break
		}
		log := s.Log()
		s.Close()
		if attempt < portAttempts && strings.Contains(log, "address already in use") {
			continue
		}
		return nil, fmt.Errorf("%w; the end of its log:\n%s", err, log)
	}
	for _, m := range models {
		if err := s.create(ctx, bin, dir, m); err != nil {
			log := s.Log()
			s.Close()
			return nil, fmt.Errorf("%w; the end of ollama's log:\n%s", err, log)
		}
	}
	return s, nil
}

// Close ends Ollama and its runners and returns when Ollama has ended. It may
// be called more than once.
func (s *Server) Close() {
	s.process.end(endGrace)
}

// Log returns the end of Ollama's log, for messages about failures.
func (s *Server) Log() string {
	text, err := os.ReadFile(s.logPath)
	if err != nil {
		return "(no log: " + err.Error() + ")"
	}
	return tail(text)
}

// launch starts "ollama serve" on a port that is free now, prepared for the
// given number of models.
func launch(bin, dir string, models int) (*Server, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	home := filepath.Join(dir, "home")
	if err := os.MkdirAll(home, 0o755); err != nil {
		return nil, fmt.Errorf("make a home folder for ollama: %w", err)
	}
	s := &Server{
		URL:     "http://" + address,
		logPath: filepath.Join(dir, "ollama.log"),
		environ: environment(address, home, filepath.Join(dir, "models"), models),
	}
	// Given a file, not a pipe, the command writes to it by itself: no
	// goroutine has to copy, and runners that outlive Ollama hold nothing up.
	log, err := os.Create(s.logPath)
	if err != nil {
		return nil, fmt.Errorf("make ollama's log file: %w", err)
	}
	defer log.Close()
	cmd := exec.Command(bin, "serve")
	cmd.Dir, cmd.Env = dir, s.environ
	cmd.Stdout, cmd.Stderr = log, log
	if s.process, err = startProcess(cmd); err != nil {
		return nil, fmt.Errorf("start %s: %w", bin, err)
	}
	return s, nil
}

// environment returns the variables for Ollama: those of this process without
// any setting for an Ollama of the user's, and the settings for a test server.
func environment(address, home, models string, count int) []string {
	var environ []string
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "OLLAMA_") {
			environ = append(environ, variable)
		}
	}
	return append(environ,
		"HOME="+home,
		"OLLAMA_HOST="+address,
		"OLLAMA_MODELS="+models,
		"OLLAMA_NO_CLOUD=1",
		"OLLAMA_CONTEXT_LENGTH=4096",
		// Requests that run at the same time must not wait for each other,
		// nor one model for another to be unloaded.
		"OLLAMA_NUM_PARALLEL=4",
		"OLLAMA_MAX_LOADED_MODELS="+strconv.Itoa(max(count, 1)),
		"OLLAMA_KEEP_ALIVE=30m",
	)
}

// freeAddress returns a loopback address with a port that nobody listens on.
func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port for ollama: %w", err)
	}
	defer listener.Close()
	return listener.Addr().String(), nil
}

// awaitReady returns when Ollama answers requests.
func (s *Server) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	// A kept connection would leave goroutines behind in the test process.
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	ticker := time.NewTicker(readyPoll)
	defer ticker.Stop()
	for {
		if s.answers(ctx, client) {
			return nil
		}
		select {
		case <-s.process.done:
			return fmt.Errorf("ollama ended before it answered (%v)", s.process.err)
		case <-ctx.Done():
			return fmt.Errorf("wait for ollama to answer at %s: %w", s.URL, context.Cause(ctx))
		case <-ticker.C:
		}
	}
}

func (s *Server) answers(ctx context.Context, client *http.Client) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/api/version", nil)
	if err != nil {
		return false
	}
	response, err := client.Do(request)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// create writes the model's files into dir and makes Ollama take them in.
func (s *Server) create(ctx context.Context, bin, dir string, m scriptedmodel.Model) error {
	gguf := filepath.Join(dir, m.Name+".gguf")
	if err := writeModel(gguf, m); err != nil {
		return err
	}
	modelfile := filepath.Join(dir, m.Name+".Modelfile")
	if err := os.WriteFile(modelfile, []byte(m.Modelfile(gguf)), 0o644); err != nil {
		return fmt.Errorf("write the Modelfile of %q: %w", m.Name, err)
	}
	cmd := exec.CommandContext(ctx, bin, "create", m.Name, "-f", modelfile)
	cmd.Dir, cmd.Env = dir, s.environ
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("ollama create %s: %w: %s", m.Name, err, tail(output))
	}
	return nil
}

func writeModel(path string, m scriptedmodel.Model) error {
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("make the file of model %q: %w", m.Name, err)
	}
	defer file.Close()
	if err := m.WriteGGUF(file); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return fmt.Errorf("write the file of model %q: %w", m.Name, err)
	}
	return nil
}

// tail returns the last lines of a command's output.
func tail(output []byte) string {
	text := strings.TrimSpace(string(output))
	if len(text) <= logTail {
		return text
	}
	text = text[len(text)-logTail:]
	_, text, _ = strings.Cut(text, "\n") // drop the line that was cut in two
	return text
}
