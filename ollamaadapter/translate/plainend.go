package translate

import (
	"bytes"
	"strconv"

	"github.com/gateway18789/caddy-ollama/ollamaadapter/ollama"
)

// The last line of nearly all answers is of the same form, but that it has no text and
// tells how the answer has ended:
//
//	…"done":true,"done_reason":"stop","total_duration":1,"load_duration":1,"prompt_eval_count":1,…}
//
// Each answer has one, so it is read without decoding, too.

// end is the end that the line tells if it is of that form; nil if it is not.
func (p *plain) end() *ollama.ChatResponse {
	if len(p.content)+len(p.thinking) > 0 {
		return nil
	}
	resp := new(ollama.ChatResponse)
	at := scanner{rest: p.state}
	for {
		if !at.member(resp) {
			return nil
		}
		if string(at.rest) == "}" {
			break
		}
		if !at.skip(",") {
			return nil
		}
	}
	if !resp.Done {
		return nil
	}
	return resp
}

// member takes a name and its value, if it is one of those that an end may have.
func (s *scanner) member(resp *ollama.ChatResponse) bool {
	var ignored int
	switch {
	case s.skip(`"done":true`):
		resp.Done = true
		return true
	case s.skip(`"done_reason":"`):
		var reason []byte
		ok := s.take(&reason) && bytes.IndexByte(reason, '\\') < 0
		resp.DoneReason = string(reason)
		return ok
	case s.skip(`"total_duration":`):
		return number(s, &ignored)
	case s.skip(`"load_duration":`):
		return number(s, &resp.LoadDuration)
	case s.skip(`"prompt_eval_count":`):
		return number(s, &resp.PromptEvalCount)
	case s.skip(`"prompt_eval_cached_count":`):
		return number(s, &resp.PromptEvalCachedCount)
	case s.skip(`"prompt_eval_duration":`):
		return number(s, &resp.PromptEvalDuration)
	case s.skip(`"eval_count":`):
		return number(s, &resp.EvalCount)
	case s.skip(`"eval_duration":`):
		return number(s, &resp.EvalDuration)
	}
	return false
}

// number takes a number that is neither negative nor a fraction.
func number[N int | ollama.Nanoseconds](s *scanner, to *N) bool {
	digits := 0
	for digits < len(s.rest) && '0' <= s.rest[digits] && s.rest[digits] <= '9' {
		digits++
	}
	n, err := strconv.Atoi(string(s.rest[:digits])) // which refuses none, and one too large
	if err != nil || s.rest[0] == '0' && digits > 1 {
		return false
	}
	*to = N(n)
	s.rest = s.rest[digits:]
	return true
}
