package checkup

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
)

// chunk is what an event of a stream has, as far as it is of use.
type chunk struct {
	Object      string `json:"object"`
	Fingerprint string `json:"system_fingerprint"`
	Error       *struct {
		Message string `json:"message"`
		Code    string `json:"code"`
	} `json:"error"`
}

func checkAdapter(ctx context.Context, p *Patient) Finding {
	switch {
	case p.Gateway == nil:
		return skipped("there is no gateway to look at")
	case p.Token == "" && !p.inner():
		return skipped("there is no token to ask with")
	case p.NoRequest:
		return skipped("as --no-request wants")
	}
	asked := p.Asked
	if asked == "" {
		asked = p.anyModel()
	}
	reply, err := p.Gateway.Chat(ctx, asked)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return failed("no answer within %s", long).because(
			"The model takes that long to load, or Ollama hangs.", "Look at `ollama ps` and `journalctl -u ollama`; take a smaller model if the GPU's memory is too small.")
	case err != nil:
		return failed("the answer breaks off: %v", err).because("The gateway or something in between ends it.", "Look at the gateway's log.")
	}
	p.latest = reply
	if reply.Status != http.StatusOK {
		return unanswered(p, reply)
	}
	return streamed(reply)
}

// unanswered explains an answer that is an error.
func unanswered(p *Patient, reply *Reply) Finding {
	if f := refusal(reply); f.Status != "" {
		return f
	}
	said := failed("a chat is answered %d", reply.Status)
	switch {
	case strings.Contains(reply.Body, `"model_not_found"`):
		return said.because("The model is not installed, or `models` of ollama_adapter or the token's models_claim does not list it.",
			"`ollama pull` it, or list it; `GET /v1/models` shows what this client may ask for.")
	case reply.Status == http.StatusNotFound, reply.Status == http.StatusForbidden:
		return said.because("ollama_adapter is missing, so the request reaches Ollama as it is, which does not know the path or the host's name.",
			"Put ollama_adapter before reverse_proxy in the site's route.")
	case reply.Status == http.StatusBadGateway:
		return said.because("Ollama is not where reverse_proxy looks for it, or fails (out of memory, perhaps).",
			"Correct the address of reverse_proxy; look at `journalctl -u ollama` and the gateway's log.")
	case reply.Status == http.StatusServiceUnavailable:
		return said.because("Ollama has too much to do, nothing can be written into the audit log, or the gateway is being stopped.",
			"Look at the gateway's log, at `df` for the audit log's disk, and try again.")
	case reply.Status == http.StatusGatewayTimeout:
		return said.because("The model took longer to load than first_byte_timeout allows, or is silent.",
			"Look at `ollama ps`; raise first_byte_timeout, or set `keep_alive -1`.")
	}
	return said.because("The gateway's own words: "+firstOf(reply.Body, 200), "Look at the gateway's log.")
}

// streamed judges an answer that should be a stream in OpenAI's dialect.
func streamed(reply *Reply) Finding {
	missing := "ollama_adapter is missing: the answer comes from Ollama itself, or from another server."
	add := "Put ollama_adapter before reverse_proxy in the site's route."
	if !strings.HasPrefix(reply.Header.Get("Content-Type"), "text/event-stream") {
		return failed("a stream was asked for, and what comes is %q", reply.Header.Get("Content-Type")).because(missing, add)
	}
	events, done := 0, false
	for line := range strings.Lines(reply.Body) {
		data, isData := strings.CutPrefix(strings.TrimSpace(line), "data:")
		if data = strings.TrimSpace(data); !isData {
			continue
		}
		if done = data == "[DONE]"; done {
			break
		}
		var c chunk
		switch err := json.Unmarshal([]byte(data), &c); {
		case err == nil && c.Error != nil:
			return failed("the stream ends with an error: %s", c.Error.Message).because(
				"Ollama failed after it had begun ("+orElse(c.Error.Code, "no code")+").", "Look at `journalctl -u ollama`; out of memory is the most common reason.")
		case err != nil || c.Object != "chat.completion.chunk" || c.Fingerprint == "fp_ollama":
			return failed("the stream is not the adapter's").because(missing, add)
		}
		events++
	}
	if !done || events == 0 {
		return failed("the stream ends without [DONE]").because(
			"Something in between buffers it, or breaks it off.", "Take out what stands between, or have it pass text/event-stream on unbuffered.")
	}
	return ok("a stream in OpenAI's dialect, first word after %s", reply.Came.Sub(reply.Sent).Round(10*time.Millisecond))
}

func firstOf(text string, n int) string {
	if len(text) > n {
		return strings.ToValidUTF8(text[:n], "") + "…"
	}
	return orElse(text, "none")
}
