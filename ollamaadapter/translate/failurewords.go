package translate

import (
	"errors"
	"strings"
	"unicode"
)

// mostWords bounds what the operator's log is told of an upstream's words, in bytes.
const mostWords = 500

// unsafeWords stand for words that are not told.
const unsafeWords = "its text may quote the conversation, and is left to its own log"

// machineTroubles are how the words begin by which upstreams speak of themselves: of
// their memory, processes and queues. Others are not told, whatever the status. Ollama's
// 500 for a tool call that it cannot read quotes the answer, llama.cpp's has the rest of
// it without quotes, and no log may hold a prompt, a completion or a secret.
var machineTroubles = []string{
	// Ollama (llm/server.go, llm/llama_server.go, server/sched.go)
	"llama runner process", "llama-server process", "timed out waiting for llama",
	"model requires more system memory", "model failed to load", "model runner has unexpectedly stopped",
	"unable to load", "unable to allocate", "failed to allocate", "failed to load", "failed to commit memory",
	"memory layout cannot be allocated", "an error was encountered while running the model",
	"error loading model", "error starting", "server busy", "server not responding", "no slots available",
	"unexpected server status", "do embedding request", "cuda error", "rocm error", "cudamalloc failed",
	"ggml_", "embedding contains nan",
	// engines
	"cuda out of memory", "out of memory", "enginecore encountered an issue", "loading model",
	"model is overloaded", "compute error", "internal server error",
	// another gateway
	"the model server",
}

// FailureWords are what the body of an error answer says, for the operator's log; empty
// if it says nothing.
func FailureWords(body []byte) string {
	said := readEngineError(body).said
	if strings.HasPrefix(said, "{") { // since 0.30 Ollama's text is llama-server's own error
		said = readEngineError([]byte(said)).said
	}
	return failureWords(said)
}

func failureWords(said string) string {
	said, _, _ = strings.Cut(strings.TrimSpace(said), "\n")
	if said == "" {
		return ""
	}
	// what is quoted is not its own
	if at := strings.IndexAny(said, "\"'`{["); at >= 0 {
		said = said[:at]
	}
	said = said[:min(len(said), mostWords)]
	said = strings.Map(func(r rune) rune {
		if !unicode.IsGraphic(r) || r == unicode.ReplacementChar {
			return -1
		}
		return r
	}, said)
	for _, beginning := range machineTroubles {
		if len(said) >= len(beginning) && strings.EqualFold(said[:len(beginning)], beginning) {
			return strings.TrimRight(said, " :")
		}
	}
	return unsafeWords
}

// reported is an error that the upstream tells of within its answer.
type reported struct {
	error
	words string // for the operator's log
}

func (r reported) Unwrap() error { return r.error }

// reportedIn is the error of an Ollama's line that tells of this one.
func reportedIn(line []byte) error { return reported{ErrUpstream, FailureWords(line)} }

// Words are what the upstream has said of an error in its answer, for the operator's log.
func Words(err error) string {
	r, _ := errors.AsType[reported](err)
	return r.words
}
